"""Published files and archives, fetched by address and checked by SHA-256, then read as `files` are."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from unroll.settings import Count, PathName, Settings, Sha256, rule
from unroll.text.corpus import Corpus, Row
from unroll.text.sources.files import FilesLayout, read_layout
from unroll.text.sources.settings import SourceSettings
from unroll.text.sources.url.fetching import check_url, download, downloads_folder
from unroll.text.sources.url.unpacking import unpack


def _allowed(url: str) -> str:
    check_url(url)
    return url


def _plain(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError("a file name here has letters, digits, ., - and _, and begins with a letter or digit")
    return name


class Download(Settings):
    """One file on the web, and what it must be."""

    url: Annotated[str, AfterValidator(_allowed)]
    """An https address."""
    sha256: Sha256
    """Of the file, as `sha256sum` prints it."""


class CorpusSettings(FilesLayout, SourceSettings):
    """Files and archives on the web; train, valid and test are globs over what they hold."""

    source: Literal["url"]
    path: PathName
    """What DVC watches; the checksums pin the text itself."""
    urls: dict[Annotated[str, AfterValidator(_plain)], Download] = Field(min_length=1)
    """File name -> address and SHA-256. What is named .zip, .tar (.gz, .bz2, .xz) or .gz is unpacked."""
    max_bytes: Count = 4_000_000_000
    """The most that one download, and all files once unpacked, may take."""

    @rule
    def _says_train(self) -> Iterator[str]:
        if self.train is None:
            yield "say in `train` which of the files to read"


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
