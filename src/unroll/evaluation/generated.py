"""`samples.jsonl`: the texts that a language model wrote, in a run's folder of predictions."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from unroll.evaluation.findings import as_lines
from unroll.files import damaged

FILE = "samples.jsonl"


class Generated(NamedTuple):
    """A text and what it was to begin with."""

    prompt: str
    text: str
    """With its prompt."""


def to_jsonl(texts: Iterable[Generated]) -> str:
    """A JSON object a line."""
    return as_lines(json.dumps(text._asdict(), ensure_ascii=False) for text in texts)


def read_generated(folder: Path) -> list[Generated]:
    """What `to_jsonl` wrote to `FILE` in `folder`; nothing where it is not. Raises `UserError` if it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        return [Generated(**json.loads(line)) for line in lines]
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(path, f"no texts with their prompts: {error}") from None
