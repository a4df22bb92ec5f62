"""What all sources on the hub have in common: which data set, at which commit, and its splits streamed."""

import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import Field

from unroll.errors import UserError
from unroll.mistakes import did_you_mean
from unroll.settings import PathName, Settings, hexadecimal, rule
from unroll.text.sources.settings import SourceSettings


class HubSplits(Settings):
    """The data set's own names of the splits."""

    train: str = "train"
    """What we call train."""
    valid: str | None = "validation"
    """What we call valid; null where it has none, and `split` takes it from train."""
    test: str | None = "test"
    """What we call test; null as for `valid`."""


class HubSettings(SourceSettings):
    """One configuration of a data set, at one commit."""

    path: PathName
    """What DVC watches; the commit pins what is read."""
    dataset: str = Field(min_length=1)
    """`owner/name`."""
    config: str | None = None
    """The configuration, where the data set has several."""
    revision: Annotated[str, hexadecimal(40, "a commit")]
    """The full commit: names of branches move."""
    splits: HubSplits = HubSplits()
    """Which of the data set's splits are ours."""
    licence: str = "unknown"
    """Under which the data may be used; the data set and every bundle made of it say so."""

    @abstractmethod
    def carves(self, split: str) -> bool:
        """Whether `valid` or `test` is taken from the rows of train."""

    @rule
    def _each_split_has_one_place(self) -> Iterator[str]:
        for name in ("valid", "test"):
            carved = self.carves(name)
            if carved == (getattr(self.splits, name) is not None):
                found = (
                    "both a name in `splits` and a part of" if carved else "neither a name in `splits` nor a part of"
                )
                yield f"{name} has {found} `split`; give it one of the two"

    @property
    def origin(self) -> str:
        """Where it is from, for people."""
        return f"https://huggingface.co/datasets/{self.dataset} at {self.revision}"


@contextmanager
def streamed(settings: HubSettings) -> Iterator[Mapping[str, Any]]:
    """The data set's splits by our names, each an iterable of records; those that it has."""
    # Its cache can hand back an older version of a file: this one is thrown away.
    with tempfile.TemporaryDirectory(prefix="unroll-hub-") as cache:
        found = _load(settings, cache)
        ours = {ours: theirs for ours, theirs in settings.splits.model_dump().items() if theirs is not None}
        for theirs in ours.values():
            if theirs not in found:
                raise UserError(f"{settings.dataset}: no split '{theirs}'{did_you_mean(theirs, found)}")
        yield {split: found[theirs] for split, theirs in ours.items()}


def records(settings: HubSettings, split: str, rows: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each record of one of our splits, with where it is, for people."""
    theirs, number = getattr(settings.splits, split), 0
    try:
        for record in rows:
            number += 1
            yield f"{settings.dataset}, {theirs} row {number}", record
    except OSError as error:
        raise UserError(f"{settings.dataset}, {theirs} after row {number}: reading stopped: {error}") from error


def _load(settings: HubSettings, cache: str) -> Any:
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
