"""A data set of the Hugging Face hub at a pinned commit, streamed; code that comes with a data set never runs."""

import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from unroll.errors import UserError
from unroll.mistakes import did_you_mean
from unroll.settings import PathName, Settings, hexadecimal, rule
from unroll.text.corpus import SPLITS, Corpus, Row
from unroll.text.sources.files.readers import pick
from unroll.text.sources.files.rows import RowSettings, tidy
from unroll.text.sources.files.splitting import SplitSettings, carve
from unroll.text.sources.settings import SourceSettings


class HubSplits(Settings):
    """The data set's own names of the splits."""

    train: str = "train"
    """What we call train."""
    valid: str | None = "validation"
    """What we call valid; null where it has none, and `split` takes it from train."""
    test: str | None = "test"
    """What we call test; null as for `valid`."""


class CorpusSettings(RowSettings, SourceSettings):
    """One configuration of a data set, at one commit."""

    source: Literal["hub"]
    path: PathName
    """What DVC watches; the commit pins the text itself."""
    dataset: str = Field(min_length=1)
    """`owner/name`."""
    config: str | None = None
    """The configuration, where the data set has several."""
    revision: Annotated[str, hexadecimal(40, "a commit")]
    """The full commit: names of branches move."""
    splits: HubSplits = HubSplits()
    """Which of the data set's splits are ours."""
    split: SplitSettings | None = None
    """Takes valid and test from the rows of train, where the data set has none."""
    columns: list[str] | dict[str, str] = Field(default=["text"], min_length=1)
    """The columns, or our name -> theirs (`a.b` looks inside `a`)."""
    licence: str = "unknown"
    """Under which the text may be used; the data set and every bundle made of it say so."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @rule
    def _each_split_has_one_place(self) -> Iterator[str]:
        for name in ("valid", "test"):
            carved = self.split is not None and getattr(self.split, name) is not None
            if carved == (getattr(self.splits, name) is not None):
                found = (
                    "both a name in `splits` and a part of" if carved else "neither a name in `splits` nor a part of"
                )
                yield f"{name} has {found} `split`; give it one of the two"

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
        origin=f"https://huggingface.co/datasets/{settings.dataset} at {settings.revision}",
        rows=_rows(settings),
        keep_blank=settings.keep_blank,
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    # Its cache can hand back an older version of a file: this one is thrown away.
    with tempfile.TemporaryDirectory(prefix="unroll-hub-") as cache:
        found = _load(settings, cache)
        for split in SPLITS:
            theirs = getattr(settings.splits, split)
            if theirs is None:
                continue
            if theirs not in found:
                raise UserError(f"{settings.dataset}: no split '{theirs}'{did_you_mean(theirs, found)}")
            read_split = partial(_tidy_texts, settings, theirs, found[theirs])
            if split == "train" and settings.split:
                yield from carve(read_split, settings.split)
            else:
                yield from ((split, texts) for texts in read_split())


def _load(settings: CorpusSettings, cache: str) -> Any:
    """The data set's splits by their names, each an iterable of records."""
    import datasets

    try:
        builder = datasets.load_dataset_builder(
            settings.dataset, settings.config, revision=settings.revision, cache_dir=cache
        )
        # Where it is CSV, the words NA and null are words.
        exact = {"keep_default_na": False} if hasattr(builder.config, "keep_default_na") else {}
        return datasets.load_dataset(
            settings.dataset,
            settings.config,
            revision=settings.revision,
            cache_dir=cache,
            streaming=True,
            **exact,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{settings.dataset}: cannot be loaded: {error}") from error


def _tidy_texts(settings: CorpusSettings, split: str, rows: Any) -> Iterator[tuple[str, ...]]:
    return tidy(_texts(settings, split, rows), settings)


def _texts(settings: CorpusSettings, split: str, rows: Any) -> Iterator[tuple[str, ...]]:
    columns = settings.columns if isinstance(settings.columns, dict) else {name: name for name in settings.columns}
    number = 0
    try:
        for record in rows:
            number += 1
            yield pick(f"{settings.dataset}, {split} row {number}", record, columns)
    except OSError as error:
        raise UserError(f"{settings.dataset}, {split} after row {number}: reading stopped: {error}") from error
