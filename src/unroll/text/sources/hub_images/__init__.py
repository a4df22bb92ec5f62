"""Images with captions from the Hugging Face hub, at a pinned commit; as `hub`, streamed, and no code ever runs."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from unroll.errors import UserError
from unroll.images import FILE_BYTES, read_image
from unroll.mistakes import did_you_mean
from unroll.settings import rule
from unroll.text.corpus import Corpus, Row
from unroll.text.sources.files import first_of
from unroll.text.sources.files.readers import pick
from unroll.text.sources.hub.loading import HubSettings, records, streamed
from unroll.text.sources.images import KINDS, PartSettings


class CorpusSettings(HubSettings):
    """Images and captions of one configuration of a data set, at one commit."""

    images: ClassVar[tuple[str, ...]] = ("image",)

    source: Literal["hub_images"]
    image: str = "image"
    """Its column of images."""
    captions: str | list[str] = Field(default="captions", min_length=1)
    """Its column of captions, each a text or a list of texts; or several columns of one caption each."""
    split: PartSettings | None = None
    """Takes valid and test from the rows of train, where the data set has neither."""
    skip: bool = False
    """Images that cannot be read or have no caption are left out, and told; false: refused."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return "image", "captions"

    def carves(self, split: str) -> bool:
        return self.split is not None

    @rule
    def _columns_differ(self) -> Iterator[str]:
        columns = [self.image, *([self.captions] if isinstance(self.captions, str) else self.captions)]
        if len(set(columns)) < len(columns):
            yield "`image` and `captions` should name each column once"


def read(settings: CorpusSettings) -> Corpus:
    """Images with their captions; `UserError` for what the hub does not have, and for what is no image or text."""
    return Corpus(
        columns=settings.column_names,
        licence=settings.licence,
        origin=settings.origin,
        rows=_rows(settings),
        kinds=KINDS,
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    from datasets import Image

    problems: list[str] = []
    with streamed(settings) as splits:
        for split, rows in splits.items():
            if isinstance((rows.features or {}).get(settings.image), Image):
                rows = rows.cast_column(settings.image, Image(decode=False))
            for number, (where, record) in enumerate(records(settings, split, rows)):
                try:
                    cells = _image(where, record, settings), _captions(where, record, settings)
                except UserError as error:
                    problems += error.problems
                    continue
                yield settings.split.of(str(number)) if settings.split else split, cells
    if problems and not settings.skip:
        raise UserError([*first_of(problems), "state `skip: true` to leave them out"])
    if problems:
        print(f"{settings.dataset}: {len(problems):,} left out, first {problems[0]}", file=sys.stderr)


def _image(where: str, record: Mapping[str, Any], settings: CorpusSettings) -> bytes:
    """The bytes of the image's file."""
    if settings.image not in record:
        raise UserError(f"{where}: no column '{settings.image}'{did_you_mean(settings.image, record)}")
    found = record[settings.image]
    if not isinstance(found, Mapping) or not {"bytes", "path"} <= set(found):
        raise UserError(f"{where}: column '{settings.image}' is {type(found).__name__}; should hold images")
    data = found.get("bytes")
    if data is None:
        import fsspec

        with fsspec.open(found["path"], "rb") as file:
            data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise UserError(f"{where}: more than {FILE_BYTES:,} bytes, which are the most for an image")
    _ = read_image(data, where)
    return bytes(data)


def _captions(where: str, record: Mapping[str, Any], settings: CorpusSettings) -> tuple[str, ...]:
    """Its captions, each on one line; blank ones are none."""
    texts: dict[str, Any] = {}
    for column in [settings.captions] if isinstance(settings.captions, str) else settings.captions:
        found = record.get(column)
        if isinstance(found, list):
            texts |= {f"{column}[{n}]": text for n, text in enumerate(found)}
        else:
            (texts[column],) = pick(where, record, {column: column})
    said = pick(where, texts, {name: name for name in texts})
    captions = tuple(" ".join(text.split()) for text in said if text.strip())
    if not captions:
        raise UserError(f"{where}: has no caption")
    return captions
