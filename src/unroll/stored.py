"""Reading back JSON that the pipeline wrote: nothing in it is trusted before its schema has seen it."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from unroll.files import damaged, read_json
from unroll.mistakes import readable
from unroll.settings import Settings

S = TypeVar("S", bound=Settings)


def read_stored(path: Path, schema: type[S]) -> S:
    """What the file at `path` holds; raises `UserError` naming it and what in it is not as `schema` has it."""
    return checked(path, read_json(path), schema)


def checked(path: Path, data: Any, schema: type[S], whole: str = "the file") -> S:
    """`data`, which is `whole` in the file at `path`, as `read_stored` gives it."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        raise damaged(path, "; ".join(readable(error, schema, data, whole))) from None
