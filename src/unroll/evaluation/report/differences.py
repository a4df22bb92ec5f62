"""What the runs of a table are told differently in params.yaml."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from unroll.evaluation.results import leaves


def differences(rows: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Of each key that differs, by its YAML path, the value in each row as text.

    A row is the entries of the runs in it, whose values stand side by side. A key that a kind of model does not have is
    empty there, and no difference.
    """
    told = [[dict(leaves(entry, ".")) for entry in row] for row in rows]
    entries = [entry for row in told for entry in row]
    keys = _in_sections(dict.fromkeys(key for entry in entries for key in entry))
    parents = {parent for key in keys for parent in _parents(key)}
    found = {}
    for key in keys:
        values = [[_value(entry, key) for entry in row] for row in told]
        distinct = {value for row in values for value in row if value is not None}
        if key not in parents and len(distinct) > 1:
            found[key] = [", ".join(dict.fromkeys(value for value in row if value is not None)) for row in values]
    return found


def _in_sections(keys: Iterable[str]) -> list[str]:
    """`keys` in the order in which their first parts come, and in their own order within."""
    sections: dict[str, list[str]] = {}
    for key in keys:
        sections.setdefault(key.partition(".")[0], []).append(key)
    return [key for section in sections.values() for key in section]


def _parents(key: str) -> list[str]:
    return list(accumulate(key.split(".")[:-1], lambda path, part: f"{path}.{part}"))


def _value(entry: Mapping[str, Any], key: str) -> str | None:
    """The value of a key as text, or of the key above it that has one: where `dropout` is 0, `dropout.input` is too."""
    for path in (key, *reversed(_parents(key))):
        if path in entry:
            value = entry[path]
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return None
