"""Published files and archives, fetched by address and checked by SHA-256, then read as `files` are."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from unroll.settings import Settings
from unroll.text.corpus import Corpus, Row
from unroll.text.sources.files import FilesLayout, read_layout
from unroll.text.sources.url.fetching import check_url, download, downloads_folder
from unroll.text.sources.url.unpacking import unpack


def _allowed(url: str) -> str:
    check_url(url)
    return url


class Download(Settings):
    """One file on the web, and what it must be."""

    url: Annotated[str, AfterValidator(_allowed)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class CorpusSettings(FilesLayout):
    """Files and archives on the web; train, valid and test are globs over what they hold."""

    source: Literal["url"]
    path: str = Field(min_length=1)
    """What DVC watches; the checksums pin the text itself."""
    urls: dict[Annotated[str, Field(pattern=r"^[\w][\w.\-]*$")], Download] = Field(min_length=1)
    """File name -> address and SHA-256. What is named .zip, .tar (.gz, .bz2, .xz) or .gz is unpacked."""
    max_bytes: int = Field(default=4_000_000_000, gt=0)
    """The most that one download, and all files once unpacked, may take."""

    @model_validator(mode="after")
    def _says_train(self) -> "CorpusSettings":
        if self.train is None:
            raise ValueError("say in `train` which of the files to read")
        return self


def read(settings: CorpusSettings) -> Corpus:
    """The texts behind the addresses; `UserError` for what cannot be fetched, verified, unpacked or read."""
    return Corpus(
        columns=settings.column_names,
        licence=settings.licence,
        origin=", ".join(item.url for item in settings.urls.values()),
        rows=_rows(settings),
        keep_blank=settings.keep_blank,
    )


def _rows(settings: CorpusSettings) -> Iterator[Row]:
    archives = {name: download(item.url, item.sha256, settings.max_bytes) for name, item in settings.urls.items()}
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=downloads_folder()) as temporary:
        folder, left = Path(temporary), settings.max_bytes
        for name, archive in archives.items():
            left -= unpack(archive, name, folder, left)
        yield from read_layout(settings, folder)
