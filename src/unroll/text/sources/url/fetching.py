"""Downloads that go on where they stopped, and are used only once their SHA-256 is as stated."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from unroll.errors import UserError
from unroll.files import sha256
from unroll.progress import parts_done

if TYPE_CHECKING:
    from requests import Response

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
TRIES = 5  # in a row without a new byte
PAUSE = 1.0  # seconds before the second try; doubled before each other
TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
REDIRECTS = 10
CHUNK = 1 << 20


def downloads_folder() -> Path:
    """Where downloads are kept, by their SHA-256: below `$UNROLL_CACHE`, or `~/.cache/unroll`."""
    cache = os.environ.get("UNROLL_CACHE")
    return (Path(cache) if cache else Path.home() / ".cache" / "unroll") / "downloads"


def check_url(url: str) -> None:
    """`ValueError` unless `url` is https, or http to this machine."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
    if not (parts.hostname and (local or parts.scheme == "https")):
        raise ValueError(f"'{url}' must begin with https://")


def check_redirect(url: str, place: str) -> None:
    """`ValueError` unless `url` may lead to `place`: https stays https, so that nobody else's address leads here."""
    check_url(place)
    if urlsplit(place).scheme != urlsplit(url).scheme == "https":
        raise ValueError(f"'{place}' must begin with https://")


def download(url: str, checksum: str, limit: int) -> Path:
    """The file behind `url`, fetched unless it is there already, and verified.

    `UserError` for an answer that is no file, for more than `limit` bytes, and for another SHA-256.
    """
    from filelock import FileLock

    folder = downloads_folder()
    folder.mkdir(parents=True, exist_ok=True)
    whole, part = folder / checksum, folder / f"{checksum}.part"
    # Two corpora may share a download, and be fetched side by side.
    with FileLock(folder / f"{checksum}.lock"):
        if whole.is_file() and sha256(whole) == checksum:
            return whole
        whole.unlink(missing_ok=True)
        _fetch(url, part, limit)
        found = sha256(part)
        if found != checksum:
            part.unlink()
            raise UserError(f"{url}: SHA-256 is {found}, not {checksum} as stated; check address and sum")
        part.replace(whole)
    return whole


def _fetch(url: str, part: Path, limit: int) -> None:
    """Fetch what `part` lacks, trying again after a lost connection as long as bytes keep coming."""
    from requests import ConnectionError, RequestException, Timeout
    from requests.exceptions import ChunkedEncodingError
    from urllib3.exceptions import HTTPError

    failed, size = 0, _size(part)
    while True:
        try:
            return _attempt(url, part, limit)
        except (ConnectionError, Timeout, ChunkedEncodingError, HTTPError, _BusyServerError) as error:
            failed = failed + 1 if _size(part) <= size else 1
            size = _size(part)
            if failed == TRIES:
                raise UserError(f"{url}: the download failed {TRIES} times, last with: {error}") from None
            time.sleep(PAUSE * 2 ** (failed - 1))
        except (RequestException, ValueError) as error:  # an address or a header that is none
            raise UserError(f"{url}: cannot be fetched: {error}") from None


class _BusyServerError(Exception):
    """An answer that may be another one later."""


def _attempt(url: str, part: Path, limit: int) -> None:
    have = _size(part)
    with _answer(url, have) as answer:
        status = HTTPStatus(answer.status_code)
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing is missing, or what is there is wrong: the checksum tells
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT) or status >= 500:
            raise _BusyServerError(f"{status.value} {status.phrase}")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise UserError(f"{url}: the server says {status.value} {status.phrase}")
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        goes_on = goes_on and status == HTTPStatus.PARTIAL_CONTENT
        size = have if goes_on else 0
        announced = answer.headers.get("Content-Length") or "0"
        if announced.isdecimal() and size + int(announced[:20]) > limit:
            raise UserError(f"{url}: larger than {limit} bytes; raise `max_bytes` if that is right")
        total = size + int(announced[:20]) if announced.isdecimal() and announced != "0" else None
        with part.open("ab" if goes_on else "wb") as file, parts_done(part.name, total, "bytes") as tell:
            tell(size)
            # Raw bytes: a .gz file that the server calls an encoding stays the file that the checksum is of.
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                size += len(chunk)
                tell(len(chunk))
                if size > limit:
                    raise UserError(f"{url}: larger than {limit} bytes; raise `max_bytes` if that is right")
                file.write(chunk)


@contextmanager
def _answer(url: str, have: int) -> Iterator["Response"]:
    """The answer to a request for the bytes after the first `have`; redirections are followed where allowed."""
    import requests

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.Session() as session:
        place = url
        for _ in range(REDIRECTS):
            with session.get(place, headers=headers, stream=True, allow_redirects=False, timeout=TIMEOUT) as answer:
                if not answer.is_redirect:
                    yield answer
                    return
                place = urljoin(place, answer.headers["Location"])
            try:
                check_redirect(url, place)
            except ValueError as error:
                raise UserError(f"{url}: redirected to a place that is not allowed: {error}") from None
        raise UserError(f"{url}: redirected more than {REDIRECTS} times")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
