"""YAML that a person wrote: plain values and nothing else, told by its place where it is not right."""

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node

from unroll.errors import UserError

MOST_VALUES = 100_000  # that aliases may stand for: a few lines with aliases of aliases are billions


def parse(text: str, where: str) -> Any:
    """The values in `text`; no tag makes an object of anything else. Raises `UserError` that begins with `where`."""
    try:
        count = _values(YAML(typ="safe").compose(text), {})
        if count > MOST_VALUES:
            raise UserError(f"{where}: its aliases stand for {count:,} values, where {MOST_VALUES:,} are the most")
        return YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{where}: not valid YAML{place}: {error.problem or error.context}") from None
    except (YAMLError, ValueError, RecursionError) as error:  # the last two: numbers and nesting beyond all measure
        raise UserError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None


def _values(node: Node | None, counted: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out; `counted` has those of nodes that were met before."""
    if not isinstance(node, CollectionNode):
        return 1
    if id(node) not in counted:
        counted[id(node)] = 1  # of an alias inside of what it names
        inner = [part for pair in node.value for part in pair] if isinstance(node, MappingNode) else node.value
        counted[id(node)] = 1 + sum(_values(part, counted) for part in inner)
    return counted[id(node)]
