"""A data set of the Hugging Face hub at a pinned commit, streamed; code that comes with a data set never runs."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from unroll.settings import rule
from unroll.text.corpus import Corpus, Row
from unroll.text.sources.files.readers import pick
from unroll.text.sources.files.rows import RowSettings, tidy
from unroll.text.sources.files.splitting import SplitSettings, carve
from unroll.text.sources.hub.loading import HubSettings, records, streamed


class CorpusSettings(RowSettings, HubSettings):
    """One configuration of a data set, at one commit."""

    source: Literal["hub"]
    split: SplitSettings | None = None
    """Takes valid and test from the rows of train, where the data set has none."""
    columns: list[str] | dict[str, str] = Field(default=["text"], min_length=1)
    """The columns, or our name -> theirs (`a.b` looks inside `a`)."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def carves(self, split: str) -> bool:
        return self.split is not None and getattr(self.split, split) is not None

    @rule
    def _columns_differ(self) -> Iterator[str]:
        if len(set(self.columns)) < len(self.columns):
            yield "columns must be named, each once"

    @rule
    def _pairs_stay_whole(self) -> Iterator[str]:
        if self.split is not None:
            yield from self.split.against(self.column_names)


def read(settings: CorpusSettings) -> Corpus:
    """The data set's texts; `UserError` for what the hub does not have, and for a value that is no text."""
    return Corpus(
        columns=settings.column_names,
        licence=settings.licence,
        origin=settings.origin,
        rows=_rows(settings),
        keep_blank=settings.keep_blank,
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    with streamed(settings) as splits:
        for split, rows in splits.items():
            read_split = partial(_tidy_texts, settings, split, rows)
            if split == "train" and settings.split:
                yield from carve(read_split, settings.split)
            else:
                yield from ((split, texts) for texts in read_split())


def _tidy_texts(settings: CorpusSettings, split: str, rows: Any) -> Iterator[tuple[str, ...]]:
    columns = settings.columns if isinstance(settings.columns, dict) else {name: name for name in settings.columns}
    return tidy((pick(where, record, columns) for where, record in records(settings, split, rows)), settings)
