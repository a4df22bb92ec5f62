"""The `url` source against a server of our own: resumed, verified, and unpacked without leaving its folder."""

import gzip
import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.text.corpus import Row
from unroll.text.sources.url import CorpusSettings, read
from unroll.text.sources.url import fetching as module
from unroll.text.sources.url.fetching import download
from unroll.text.sources.url.unpacking import unpack

LIMIT = 10_000_000


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks a connection after `cut` bytes of body as often as `cuts` says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.cut, self.cuts, self.ranges, self.busy = 0, 0, True, 0
        self.requests: list[tuple[str, str | None]] = []
        self.announced: str | None = None
        self.endless = False

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, name, wanted = self.server, self.path[1:], self.headers.get("Range")
        server.requests.append((name, wanted))
        if name in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[name])
            self.end_headers()
        elif name not in server.files:
            self.send_error(404)
        elif server.busy:
            server.busy -= 1
            self.send_error(503)
        else:
            self.answer(server.files[name], wanted if server.ranges else None)

    def answer(self, body: bytes, wanted: str | None) -> None:
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if not self.server.endless:
            self.send_header("Content-Length", self.server.announced or str(len(body) - start))
        self.end_headers()
        while self.server.endless:
            try:
                self.wfile.write(body)
            except OSError:  # nobody listens any more
                return
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(body[start : start + self.server.cut])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(body[start:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def checksum(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def rows(server: Server, names: list[str], **given: Any) -> list[Row]:
    urls = {name: {"url": server.url(name), "sha256": checksum(server.files[name])} for name in names}
    return list(read(CorpusSettings(source="url", path="params.yaml", urls=urls, **given)).rows)


# Fetching

BODY = bytes(range(256)) * 40


def test_fetched_once(server: Server) -> None:
    server.files["x"] = BODY
    for _ in range(2):
        assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY
    assert server.requests == [("x", None)]


def test_goes_on_after_lost_connections(server: Server) -> None:
    server.files["x"], server.cut, server.cuts = BODY, 1000, 8  # more often than TRIES, but bytes keep coming
    assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY
    assert server.requests == [("x", None)] + [("x", f"bytes={1000 * n}-") for n in range(1, 9)]


def test_goes_on_in_another_process(server: Server) -> None:
    server.files["x"] = BODY
    part = module.downloads_folder() / f"{checksum(BODY)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:5000])
    assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY
    assert server.requests == [("x", "bytes=5000-")]
    assert not part.exists()


@pytest.mark.parametrize("have", [BODY, BODY[:100]], ids=["whole", "part"])
def test_a_server_without_ranges_and_a_part_that_is_whole(server: Server, have: bytes) -> None:
    server.files["x"], server.ranges = BODY, have is BODY
    part = module.downloads_folder() / f"{checksum(BODY)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(have)
    assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.files["x"], server.busy = BODY, module.TRIES - 1
    assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY


def test_gives_up(server: Server) -> None:
    server.files["x"], server.cut, server.cuts = BODY, 0, 99
    with pytest.raises(UserError, match=f"failed {module.TRIES} times"):
        download(server.url("x"), checksum(BODY), LIMIT)
    assert len(server.requests) == module.TRIES


def test_a_file_of_another_checksum_is_never_used(server: Server) -> None:
    server.files["x"] = BODY + b"!"
    with pytest.raises(UserError, match=f"SHA-256 is {checksum(BODY + b'!')}, not {checksum(BODY)}"):
        download(server.url("x"), checksum(BODY), LIMIT)
    assert [path.suffix for path in module.downloads_folder().iterdir()] == [".lock"]


def test_a_damaged_copy_is_fetched_anew(server: Server) -> None:
    server.files["x"] = BODY
    download(server.url("x"), checksum(BODY), LIMIT).write_bytes(b"damaged")
    assert download(server.url("x"), checksum(BODY), LIMIT).read_bytes() == BODY


def test_missing_and_too_large(server: Server) -> None:
    server.files["x"] = BODY
    with pytest.raises(UserError, match="404 Not Found"):
        download(server.url("y"), checksum(BODY), LIMIT)
    with pytest.raises(UserError, match="larger than 100 bytes; raise `max_bytes`"):
        download(server.url("x"), checksum(BODY), 100)


def test_a_server_that_sends_without_end(server: Server) -> None:
    server.files["x"], server.endless = BODY, True
    with pytest.raises(UserError, match="larger than 5000000 bytes; raise `max_bytes`"):
        download(server.url("x"), checksum(BODY), 5_000_000)
    assert sum(path.stat().st_size for path in module.downloads_folder().iterdir()) <= 5_000_000


@pytest.mark.parametrize(
    ("announced", "message"),
    [
        ("10", "SHA-256 is .*, not"),
        ("99999999", "larger than 10000000 bytes"),
        ("9" * 5_000, "larger than 10000000 bytes"),
        ("-5", None),
        ("many", None),
    ],
)
def test_a_server_that_announces_another_size(server: Server, announced: str, message: str | None) -> None:
    """Less than it sends, more than may be, nothing that is a number: the checksum has the last word."""
    server.files["x"], server.announced = BODY, announced
    try:
        found = download(server.url("x"), checksum(BODY), LIMIT).read_bytes()
    except UserError as error:
        assert message is not None and re.search(message, str(error))
    else:
        assert message is None and found == BODY


@pytest.mark.parametrize(
    "place",
    [
        "http://example.org/x",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "https://",
        "http://[",
        "//example.org/x",
    ],
)
def test_a_redirection_to_another_kind_of_place(server: Server, place: str) -> None:
    server.redirects = {"a": place}
    with pytest.raises(UserError, match=r"redirected to a place that is not allowed|cannot be fetched"):
        download(server.url("a"), checksum(b"a"), LIMIT)
    assert [path.suffix for path in module.downloads_folder().iterdir()] == [".lock"]


@pytest.mark.parametrize("place", ["http://127.0.0.1:80/x", "http://localhost/x", "http://example.org/x", "file:///x"])
def test_https_leads_to_https_alone(place: str) -> None:
    """Not to this machine either, where an address of somebody else could make requests in our name."""
    module.check_redirect("https://example.org/x", "https://example.com/x")
    with pytest.raises(ValueError, match="must begin with https://"):
        module.check_redirect("https://example.org/x", place)


def test_redirections(server: Server) -> None:
    server.files["x"] = BODY
    server.redirects = {"a": "/x", "b": "http://example.org/x", "c": "/c"}
    assert download(server.url("a"), checksum(BODY), LIMIT).read_bytes() == BODY
    with pytest.raises(UserError, match="redirected to a place that is not allowed"):
        download(server.url("b"), checksum(b"b"), LIMIT)
    with pytest.raises(UserError, match="redirected more than"):
        download(server.url("c"), checksum(b"c"), LIMIT)


# Whole corpora


def test_files_by_their_names(server: Server) -> None:
    server.files = {"t.en": b"a\nb\n", "t.de.gz": gzip.compress(b"A\nB\n"), "v.en": b"c", "v.de": b"C"}
    found = rows(
        server,
        list(server.files),
        train={"en": "t.en", "de": "t.de"},
        valid={"en": "v.en", "de": "v.de"},
        split={"test": 0.5},
    )
    assert found == [("train", ("a", "A")), ("test", ("b", "B")), ("valid", ("c", "C"))]


def zipped(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return sink.getvalue()


def tarred(members: list[tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return sink.getvalue()


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = (size if kind == tarfile.REGTYPE else 0), kind, link
    return info


def folder_member(name: str) -> tarfile.TarInfo:
    return member(name, kind=tarfile.DIRTYPE)


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tar.gz", "d.tgz", "d.tar.bz2", "d.tar.xz"])
def test_archives(server: Server, name: str) -> None:
    files = [f"d/{split}.txt" for split in ("train", "valid", "test")]
    mode = {"d.tar": "w", "d.tar.bz2": "w:bz2", "d.tar.xz": "w:xz"}.get(name, "w:gz")
    folder = member("d", kind=tarfile.DIRTYPE)
    folder.mode = 0o755
    tar = tarred([folder, *map(member, files)], mode)
    server.files[name] = zipped({"d/": b"", **dict.fromkeys(files, b"x")}) if name.endswith("zip") else tar
    found = rows(server, [name], train="d/train.txt", valid="d/valid.txt", test="d/test.txt")
    assert found == [("train", ("x",)), ("valid", ("x",)), ("test", ("x",))]
    assert not [path for path in module.downloads_folder().iterdir() if path.is_dir()]


# Archives that mean harm, or are broken


def linked_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return sink.getvalue()


def encrypted_zip() -> bytes:
    """The flag that says so is set, where the member begins and in the list of members."""
    body = bytearray(zipped({"x.txt": b"secret"}))
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(head) + flags] |= 1
    return bytes(body)


def named(name: str) -> tarfile.TarInfo:
    """A member whose name stands in a header of its own."""
    info = member("x")
    info.pax_headers = {"path": name}
    return info


def long_header(size: int, kind: bytes) -> bytes:
    """A header that says to have so many bytes, a thousandth of that once it is packed."""
    info = tarfile.TarInfo("x")
    info.size, info.type = size, kind
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(size))


def backwards() -> bytes:
    """A member after which the next one is that before it."""
    info = member("y")
    info.pax_headers = {"size": "-2048"}
    return tarred([member("x"), info], "w")


def overwritten_header() -> bytes:
    """The second of three members has a header that is none, where tarfile would see the end."""
    body = bytearray(tarred([member("x"), member("y"), member("z")], "w"))
    body[1024:1100] = b"damaged" * 10 + bytes(6)
    return bytes(body)


def str_or_nothing(value: object) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("a.zip", zipped({"../evil": b"x"}), "'../evil' lies outside"),
        ("a.zip", zipped({"/evil": b"x"}), "'/evil' lies outside"),
        ("a.zip", zipped({"a/../../evil": b"x"}), "lies outside"),
        ("a.zip", zipped({"..\\evil": b"x"}), "lies outside"),
        ("a.zip", linked_zip(), "'link' is a link or device"),
        ("a.tar.gz", tarred([member("../evil")]), "'../evil' lies outside"),
        ("a.tar.gz", tarred([member("/evil")]), "'/evil' lies outside"),
        ("a.tar", tarred([member("link", kind=tarfile.SYMTYPE, link="/etc")], "w"), "'link' is a link or device"),
        ("a.tar", tarred([member("x"), member("y", kind=tarfile.LNKTYPE, link="x")], "w"), "'y' is a link or device"),
        ("a.tar", tarred([member("null", kind=tarfile.CHRTYPE)], "w"), "'null' is a link or device"),
        ("a.tar", tarred([member("pipe", kind=tarfile.FIFOTYPE)], "w"), "'pipe' is a link or device"),
        ("a.tar.gz", tarred([member("big", 200_000)]), "unpacks to more than 100000 bytes"),
        ("a.zip", zipped({"big": b"x" * 200_000}), "unpacks to more than 100000 bytes"),
        ("a.gz", gzip.compress(b"x" * 200_000), "unpacks to more than 100000 bytes"),
        ("a.tar.gz", tarred([member(f"{n}", 0) for n in range(200)]), "unpacks to more than 100000 bytes"),
        ("a.tar.gz", tarred([folder_member(f"{n}") for n in range(200)]), "unpacks to more than 100000 bytes"),
        ("a.tar.gz", long_header(2_000_000, tarfile.XHDTYPE), "a header of 2,000,000 bytes"),
        ("a.tar.gz", long_header(2_000_000, tarfile.GNUTYPE_LONGNAME), "a header of 2,000,000 bytes"),
        ("a.tar", backwards(), "damaged or of another kind"),
        ("a.tar", overwritten_header(), "what lies at byte 1,024 is no header of a member"),
        ("a.tar", tarred([named("x" * 300)], "w"), "the name of a member is too long"),
        ("a.tar", tarred([named("x\0y")], "w"), "damaged or of another kind"),
        ("a.zip", encrypted_zip(), "'x.txt' is encrypted"),
        ("a.tar", tarred([member("x"), member("x")], "w"), "two members would be the same file: x"),
        ("a.tar", tarred([member("x"), member("x/y")], "w"), "two members would be the same file: x"),
        ("a.zip", b"no", "damaged or of another kind"),
        ("a.tar.gz", tarred([member("x", 9000)])[:60], "damaged or of another kind"),
        ("a.gz", b"no", "damaged or of another kind"),
    ],
    # Archives hold the time they were made at; names made of their bytes would differ between processes.
    ids=str_or_nothing,
)
def test_bad_archives(tmp_path: Path, name: str, body: bytes, message: str) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive.write_bytes(body)
    with pytest.raises(UserError, match=message):
        unpack(archive, name, folder, 100_000)
    assert {path.name for path in tmp_path.rglob("*")} - {"x", "big"} - set(map(str, range(200))) == {
        "archive",
        "a",
        "b",
    }
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 100_000


SUM = "0" * 64


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ({"x": {"url": "http://example.org/x", "sha256": SUM}}, "must begin with https://"),
        ({"x": {"url": "ftp://example.org/x", "sha256": SUM}}, "must begin with https://"),
        ({"x": {"url": "file:///etc/passwd", "sha256": SUM}}, "must begin with https://"),
        ({"x": {"url": "https://example.org/x"}}, "sha256"),
        ({"x": {"url": "https://example.org/x", "sha256": "abc"}}, "sha256"),
        ({"../x": {"url": "https://example.org/x", "sha256": SUM}}, "a file name here has letters"),
        ({}, "urls"),
    ],
)
def test_bad_settings_are_refused(urls: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CorpusSettings(source="url", path="p", urls=urls, train="x", split={"valid": 0.1, "test": 0.1})
