"""A corpus in many small row groups, and data sets of all units made of it by any engine."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from unroll.engine import LOCAL, Engine
from unroll.text import corpus as corpus_module
from unroll.text.corpus import Corpus, write_corpus
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.vocabulary import save_vocabularies

SYLLABLES = ("sta", "tion", "inter", "ac", "tive", "hy", "phen", "a", "é", "ß", "東京", "+", "￭")
UNITS: dict[str, dict[str, Any]] = {
    "char": {"unit": "char", "min_count": 2},
    "word": {"unit": "word", "max_size": 60, "min_count": 2},
    "lower": {"unit": "word", "tokenizer": "whitespace", "lowercase": True, "max_size": 60},
    "subword": {"unit": "subword", "max_size": 330},
    "syllable": {"unit": "syllable", "max_words": 20, "max_syllables": 20, "language": "en_US"},
    "hybrid": {"unit": "hybrid", "max_words": 20, "min_count": 2},
}


def corpus(folder: Path, rows: int = 90, group_rows: int = 7) -> None:
    """Pairs of random words in `folder`, so many rows a row group."""
    draw = random.Random(1)

    def text() -> str:
        words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(draw.randint(1, 9))]
        return draw.choice([" ", "\n", "  "]).join(words).capitalize() + draw.choice(".!,")

    splits = ("train",) * 7 + ("valid", "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "GROUP_ROWS", group_rows)
        pairs = ((splits[n % len(splits)], (text(), text())) for n in range(rows))
        write_corpus(Corpus(columns=("one", "other"), licence="CC0", origin="a test", rows=pairs), folder)


def fields(unit: str) -> dict[str, Any]:
    """Of pairs with one vocabulary for both; of unit `hybrid` the text alone, which is all that it is for."""
    stated = UNITS[unit]
    if unit == "hybrid":
        return {"text": {"column": "one", **stated}}
    return {"source": {"column": "one", **stated}, "target": {"column": "other", "share": "source"}}


def prepare(raw: Path, folder: Path, unit: str, engine: Engine = LOCAL) -> None:
    """Count and encode as the stages do."""
    settings = DatasetSettings(corpus="tiny", fields=fields(unit), max_length=5)
    save_vocabularies(raw, settings, folder / "vocab", engine)
    encode_dataset("tiny", raw, folder / "vocab", settings, folder / "encoded", engine)


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
