"""Validation errors in the words of the person who wrote the YAML."""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from unroll.settings import CHOICE

Path = tuple[str | int, ...]
KEY = "[key]"  # what pydantic puts behind the place of a key that is wrong itself


class Problem(NamedTuple):
    """A mistake: where it is, what was found there and what would be right."""

    path: Path
    sentence: str

    def told(self, whole: str = "the file") -> str:
        """As one line; `whole` is what it is about that has no path."""
        return f"{'.'.join(map(str, self.path)) or whole}: {self.sentence}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion and the list of what there is, to be put behind the statement that `word` is not there."""
    known = [str(name) for name in known]
    return f"{_near(word, known)} (there are: {', '.join(known)})" if known else " (there are none)"


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def readable(error: ValidationError, schema: type[BaseModel], data: Any, whole: str = "the file") -> Iterator[str]:
    """One line a mistake; `whole` is what it is about that has no path."""
    return (problem.told(whole) for problem in problems(error, schema, data))


def problems(error: ValidationError, schema: type[BaseModel], data: Any) -> Iterator[Problem]:
    """The mistakes that `schema` has found in `data`, each once."""
    details = [(_path(detail["loc"], schema, data), detail) for detail in error.errors(include_url=False)]
    # Where one alternative of a union was looked into, that the value is none of the others says nothing.
    looked_into = {path[:n] for path, _ in details for n in range(len(path))}
    looked_into |= {path for path, detail in details if detail["type"] == "value_error"}
    values: dict[Path, list[ErrorDetails]] = {}
    for path, detail in details:
        if _is_of_a_value(detail) and not (path in looked_into and detail["type"].endswith("_type")):
            values.setdefault(path, []).append(detail)
    for path, detail in details:
        if not _is_of_a_value(detail):
            yield _problem(path, detail, schema)
        elif path in values:
            alternatives = values.pop(path)
            yield Problem(path, f"should be {_either(map(_right, alternatives))}, found {_short(detail['input'])}")


def _path(loc: Path, schema: Any, data: Any) -> Path:
    """The place in the YAML, no deeper than it goes: one value may stand for several settings."""
    path, _ = _follow(schema, loc)
    for n, part in enumerate(path):
        if not isinstance(data, Mapping | list):
            return path[:n]
        there = part in data if isinstance(data, Mapping) else isinstance(part, int) and part < len(data)
        data = data[part] if there else {}  # type: ignore[index]
    return path


def _follow(annotation: Any, loc: Path) -> tuple[Path, Any]:
    """The YAML path of a place, which has a part more for each union on the way, and the type of what is there."""
    path: list[str | int] = []
    for part in loc:
        members = _members(annotation)
        if len(members) > 1:
            annotation = next((member for member in members if _is_named(member, part)), None)
        else:
            path.append(part)
            annotation = _inside(members[0], part)
    return tuple(path), _bare(_members(annotation)[0])


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, null apart, or the annotation itself."""
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return [member for member in get_args(bare) if member is not types.NoneType]
    return [annotation]


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _is_named(member: Any, name: str | int) -> bool:
    """Whether an alternative of a union is the one that pydantic calls `name`."""
    if get_origin(member) is Annotated and Tag(str(name)) in get_args(member)[1:]:
        return True
    bare = _bare(member)
    return str(name).partition("[")[0] == getattr(get_origin(bare) or bare, "__name__", None)


def _inside(annotation: Any, part: str | int) -> Any:
    """The type of what lies under `part`; None where that is not known."""
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        field = bare.model_fields.get(str(part))
        return field.annotation if field else None
    return get_args(bare)[-1] if get_origin(bare) in (dict, list) else None


def _is_of_a_value(detail: ErrorDetails) -> bool:
    """Whether pydantic says what the value should be."""
    return detail["msg"].startswith("Input should be ") and detail["loc"][-1:] != (KEY,)


def _problem(path: Path, detail: ErrorDetails, schema: type[BaseModel]) -> Problem:
    """A mistake that is not one of a value alone."""
    kind, context = detail["type"], detail.get("ctx", {})
    path = path[:-1] if path[-1:] == (KEY,) else path
    if kind == "invalid_key" or (detail["loc"][-1:] == (KEY,) and kind == "string_type"):
        return Problem(path, f"the key should be text, found {_short(detail['input'])}")
    if kind == "missing":
        return Problem(path, "is missing")
    if kind == "extra_forbidden":
        _, there = _follow(schema, detail["loc"][:-1])
        return Problem(path, f"unknown key{did_you_mean(str(path[-1]), there.model_fields)}")
    if kind == "value_error":
        return Problem(path, str(context["error"]))
    if kind == CHOICE:
        return _unchosen(path, detail["input"], context)
    if kind in ("too_short", "string_too_short"):
        least, unit = context["min_length"], "character" if kind.startswith("string") else "entry"
        return Problem(path, "should not be empty" if least == 1 else f"should have {least} {unit}s or more")
    return Problem(path, f"{detail['msg']}, found {_short(detail['input'])}")


def _unchosen(path: Path, data: Any, context: Mapping[str, Any]) -> Problem:
    """The value that decides between alternatives is missing or none of them."""
    values = context["values"]
    *parents, key = context["key"].split(".")
    for part in [*parents, key]:
        if not isinstance(data, Mapping):
            return Problem(path, f"should be a dictionary, found {_short(data)}")
        path = (*path, part)
        if part not in data:
            return Problem(path, f"is missing; one of {values}{context['instead']}" if part == key else "is missing")
        data = data[part]
    return Problem(path, f"should be one of {values}, found {_short(data)}{_near(str(data), values.split(', '))}")


def _right(detail: ErrorDetails) -> str:
    """What a value should be, in fewer words than pydantic's."""
    message = detail["msg"].removeprefix("Input should be ").replace("a valid integer", "an integer")
    return message.replace("valid ", "").split(" or instance of ")[0].split(" or object to ")[0]


def _either(words: Iterable[str]) -> str:
    *first, last = dict.fromkeys(words)
    return f"{', '.join(first)} or {last}" if first else last


def _short(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    shown = repr(value)
    return (shown if len(shown) <= 60 else shown[:57] + "...") + f" ({type(value).__name__})"
