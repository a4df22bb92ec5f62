"""Validation errors in the words of the person who wrote the YAML."""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion and the list of what there is, to be put behind the statement that `word` is not there."""
    known = [str(name) for name in known]
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (there are: {', '.join(known)})" if known else " (there are none)"


def readable(error: ValidationError, schema: type[BaseModel], data: Any, whole: str = "the file") -> Iterator[str]:
    """One line a mistake: the YAML path, `whole` if it is about all, what was found, what is allowed."""
    for detail in error.errors(include_url=False):
        path = _path(detail["loc"], data)
        yield f"{'.'.join(map(str, path)) or whole}: {_sentence(detail, path, schema, data)}"


def _path(loc: Path, data: Any) -> Path:
    """The place in the YAML: `loc` without the tags that pydantic puts in for the branches of a union."""
    path: list[str | int] = []
    for n, part in enumerate(loc):
        if (isinstance(data, Mapping) and part in data) or (isinstance(data, list) and isinstance(part, int)):
            data = data[part]  # type: ignore[index]
        elif n < len(loc) - 1 or not isinstance(data, Mapping):
            continue
        path.append(part)
    return tuple(path)


def _sentence(detail: Any, path: Path, schema: type[BaseModel], data: Any) -> str:
    kind: str = detail["type"]
    message: str = detail["msg"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        known = _keys(schema, path[:-1], data)
        return f"unknown key{did_you_mean(str(path[-1]), known)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind.startswith("union_tag") or kind in ("kind", "unit", "source"):
        return message
    message = message.removeprefix("Input ").replace("a valid integer", "an integer").replace("valid ", "")
    message = message.split(" or instance of ")[0].split(" or object to ")[0]
    return f"{message}, found {_short(detail['input'])}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    shown = repr(value)
    return (shown if len(shown) <= 60 else shown[:57] + "...") + f" ({type(value).__name__})"


def _keys(annotation: Any, path: Path, data: Any) -> list[str]:
    """The keys that the schema knows at `path`, choosing the branches of unions by the data."""
    models = [model for model in _models(annotation) if _fits(model, data)]
    if not path:
        return [key for model in models for key in model.model_fields]
    inner = data[path[0]]
    for model in models:
        if path[0] in model.model_fields:
            return _keys(model.model_fields[str(path[0])].annotation, path[1:], inner)
    values = [get_args(member)[-1] for member in _members(annotation) if get_origin(member) in (dict, list)]
    return [key for value in values for key in _keys(value, path[1:], inner)]


def _members(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, or the annotation itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [member for member in _members(annotation) if isinstance(member, type) and issubclass(member, BaseModel)]


def _fits(model: type[BaseModel], data: Any) -> bool:
    """Whether every literal that tells models apart, here or one level down, is the one in the data."""
    if not isinstance(data, Mapping):
        return True
    for name, field in model.model_fields.items():
        if name not in data:
            continue
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            if data[name] not in get_args(field.annotation):
                return False
        elif any(not _fits(inner, data[name]) for inner in _models(field.annotation)[:1]):
            return False
    return True
