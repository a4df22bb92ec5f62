"""A vocabulary that the stage `vocab` wrote, read by the standard library alone: no numpy, no pydantic, no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.files import read_json
from unroll.text.specials import SPECIALS
from unroll.text.tokenizer import ESCAPE, Tokenizer

Splitter = Callable[[str], list[str]]


def read_entries(path: Path) -> list[str]:
    """One name for each id of the vocabulary in `path` (V,), no name twice, the specials first.

    A token of the text that looks like a special one, such as the `<unk>` of the Penn Treebank, is no special: it is
    named with U+FFEE before it, which no token has there. Raises `UserError` for a subword or hybrid vocabulary.
    """
    tokens: list[str] = _read(path)["tokens"]
    return [*SPECIALS, *_names(tokens[len(SPECIALS) :])]


def read_splitter(path: Path) -> Splitter:
    """From a text to the names of its tokens, for the units `char` and `word`; raises `UserError` for others."""
    stored = _read(path)
    if stored["unit"] == "char":
        return list
    if stored["unit"] == "word":
        tokenizer = Tokenizer(stored["settings"]["tokenizer"], stored["settings"]["lowercase"])
        return lambda text: _names(tokenizer.split(text))
    raise UserError(
        f"{path}: texts of unit {stored['unit']} are cut by unroll alone; read their ids in data/encoded, "
        "or take unit char or word"
    )


def _names(tokens: Sequence[str]) -> list[str]:
    return [ESCAPE + token if token in SPECIALS else token for token in tokens]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; the stage vocab writes data/vocab/DATASET/FIELD.json")
    stored: dict[str, Any] = read_json(path)
    if stored["unit"] == "subword":
        raise UserError(
            f"{path}: a subword vocabulary is a model and no list of tokens; "
            f"torchtext.transforms.SentencePieceTokenizer reads {path.with_suffix('.model')}"
        )
    if stored["unit"] == "hybrid":
        raise UserError(
            f"{path}: a hybrid vocabulary is open, its rare words are spelled by the model and have no lasting ids; "
            "take unit char or word"
        )
    return stored
