"""A person's own files: text, JSON lines, CSV, TSV or Parquet, each also behind gzip."""

import glob
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator

from unroll.errors import UserError
from unroll.settings import PathName, rule
from unroll.text.corpus import SPLITS, Corpus, Row
from unroll.text.sources.files.place import failure_told, place
from unroll.text.sources.files.readers import Format, Unit, format_of, parallel, records, texts
from unroll.text.sources.files.rows import RowSettings, tidy
from unroll.text.sources.files.splitting import SplitSettings, carve
from unroll.text.sources.settings import SourceSettings


def _below(pattern: str) -> str:
    parts = PurePath(pattern).parts
    odd = ".." in parts or any("**" in part and part != "**" for part in parts)
    if not parts or odd or PurePath(pattern).is_absolute() or not pattern.isprintable():
        raise ValueError(f"{pattern!r} must be a path below `path`, in which ** stands alone between slashes")
    return pattern


Glob = Annotated[str, AfterValidator(_below)]
Globs = Glob | list[Glob]
LISTED = 12  # files named in a message


def first_of(problems: Sequence[str]) -> list[str]:
    """The first `LISTED` of them, and how many more there are."""
    more = len(problems) - LISTED
    return [*problems[:LISTED], *([f"and {more:,} more"] if more > 0 else [])]


Group = tuple[Path, ...]
"""One file, or the parallel files of the columns in their order."""


class FilesLayout(RowSettings):
    """Which files hold which split, and how they are read."""

    train: Globs | dict[str, Globs] | None = None
    """A glob, a list of globs, or column -> glob(s) for parallel text files. Left out where `path` is one file."""
    valid: Globs | dict[str, Globs] | None = None
    """The same for validation; left out where `split` takes it from train."""
    test: Globs | dict[str, Globs] | None = None
    """The same for the test."""
    split: SplitSettings | None = None
    """Takes valid and test from the rows of `train`, where they have no files of their own."""
    format: Literal["auto", "txt", "jsonl", "csv", "tsv", "parquet"] = "auto"
    """auto: by the ending; parallel files are text whatever they end in."""
    columns: list[str] | dict[str, str] | None = None
    """Of JSON lines, CSV, TSV and Parquet: the columns, or our name -> theirs (`a.b` looks inside `a`)."""
    rows: Unit = "line"
    """What one text is in a text file; paragraphs lie between blank lines."""
    licence: str = "unknown"
    """Under which the text may be used; the data set and every bundle made of it say so."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns of the corpus."""
        return tuple(self.train) if isinstance(self.train, dict) else tuple(self.columns or ["text"])

    @rule
    def _each_split_has_one_place(self) -> Iterator[str]:
        for name in ("valid", "test"):
            carved = self.split is not None and getattr(self.split, name) is not None
            if carved == (getattr(self, name) is not None):
                found = "both files and a part of `split`" if carved else "neither files nor a part of `split`"
                yield f"{name} has {found}; give it one of the two"

    @rule
    def _splits_have_the_same_columns(self) -> Iterator[str]:
        given = [patterns for patterns in (self.train, self.valid, self.test) if patterns is not None]
        if len({tuple(patterns) if isinstance(patterns, dict) else () for patterns in given}) > 1:
            yield "the splits must name the same columns in the same order"

    @rule
    def _parallel_files_are_text(self) -> Iterator[str]:
        if isinstance(self.train, dict) and (self.columns or self.format not in ("auto", "txt")):
            yield "column -> files is for parallel text files; leave `columns` and `format` out"

    @rule
    def _columns_differ(self) -> Iterator[str]:
        if self.columns is not None and (not self.columns or len(set(self.columns)) < len(self.columns)):
            yield "columns must be named, each once"

    @rule
    def _pairs_stay_whole(self) -> Iterator[str]:
        if self.split is not None:
            yield from self.split.against(self.column_names)


class CorpusSettings(FilesLayout, SourceSettings):
    """Files below a folder, or one file."""

    source: Literal["files"]
    path: PathName
    """The folder that the globs start from, or the one file; here, or in a store that fsspec and DVC know, as
    `s3://bucket/folder`. DVC watches it."""


def read(settings: CorpusSettings) -> Corpus:
    """The files' texts; `UserError` for what is missing, at once, and later for what is no text, with the place."""
    path = place(settings.path)
    with failure_told(path):
        there, single = path.exists(), path.is_file()
    if not there:
        given = [patterns for patterns in (settings.train, settings.valid, settings.test) if patterns is not None]
        named = ", ".join(dict.fromkeys(pattern for patterns in given for pattern in _patterns(patterns)))
        raise UserError(f"{path}: no such file or folder" + (f"; it should hold {named}" if named else ""))
    if single != (settings.train is None):
        raise UserError(
            f"{path} is one file: leave `train` out, and say `split`"
            if single
            else f"{path} is a folder: say in `train` which of its files to read"
        )
    layout: FilesLayout = settings
    if single:
        layout, path = settings.model_copy(update={"train": glob.escape(path.name)}), path.parent
    with failure_told(path):
        rows = read_layout(layout, path)
    return Corpus(
        columns=layout.column_names,
        licence=settings.licence,
        origin=f"files: {settings.path}",
        rows=_told(rows, path),
        keep_blank=layout.keep_blank,
    )


def _told(rows: Iterator[Row], root: Path) -> Iterator[Row]:
    with failure_told(root):
        yield from rows


def read_layout(layout: FilesLayout, root: Path) -> Iterator[Row]:
    """The rows of a layout below `root`; files are looked for at once, and read row by row later."""
    found = {
        split: _groups(split, patterns, root) for split in SPLITS if (patterns := getattr(layout, split)) is not None
    }
    owner: dict[Path, str] = {}
    for split, groups in found.items():
        for path in (path for group in groups for path in group):
            if owner.setdefault(path, split) != split:
                raise UserError(f"{path} is in both {owner[path]} and {split}; a file belongs to one split")
    for path in owner:
        kind = _kind(layout, path)
        if kind == "txt" and layout.columns:
            raise UserError(f"{path} is text, which has no columns; leave `columns` out or say `format`")
        if kind != "txt" and layout.rows != "line":
            raise UserError(f"{path}: `rows: {layout.rows}` is for text files, not {kind}")
    return _rows(layout, found)


def _rows(layout: FilesLayout, found: Mapping[str, list[Group]]) -> Iterator[Row]:
    for split, groups in found.items():
        if split == "train" and layout.split:
            yield from carve(partial(_tidy_texts, layout, groups), layout.split)
        else:
            yield from ((split, row) for row in _tidy_texts(layout, groups))


def _tidy_texts(layout: FilesLayout, groups: list[Group]) -> Iterator[tuple[str, ...]]:
    return tidy(_texts(layout, groups), layout)


def _texts(layout: FilesLayout, groups: list[Group]) -> Iterator[tuple[str, ...]]:
    named = layout.columns or ["text"]
    columns = named if isinstance(named, dict) else {name: name for name in named}
    for group in groups:
        kind = _kind(layout, group[0])
        if len(group) > 1:
            yield from parallel(group, layout.rows)
        elif kind == "txt":
            yield from ((text,) for text in texts(group[0], layout.rows))
        else:
            yield from records(group[0], kind, columns)


def _kind(layout: FilesLayout, path: Path) -> Format:
    if isinstance(layout.train, dict):
        return "txt"
    return format_of(path) if layout.format == "auto" else layout.format


def _groups(split: str, patterns: Globs | dict[str, Globs], root: Path) -> list[Group]:
    if not isinstance(patterns, dict):
        return [(path,) for path in _find(split, patterns, root)]
    files = {column: _find(f"{split}.{column}", globs, root) for column, globs in patterns.items()}
    counts = {column: len(paths) for column, paths in files.items()}
    if len(set(counts.values())) > 1:
        counted = ", ".join(f"{count} for {column}" for column, count in counts.items())
        raise UserError(f"{split}: parallel files come in equal numbers; found {counted}")
    return list(zip(*files.values(), strict=True))


def _patterns(patterns: Globs | dict[str, Globs]) -> list[str]:
    if isinstance(patterns, dict):
        return [pattern for globs in patterns.values() for pattern in _patterns(globs)]
    return [patterns] if isinstance(patterns, str) else patterns


def _find(where: str, globs: Globs, root: Path) -> list[Path]:
    found: dict[Path, None] = {}  # in the order of the globs, each file once
    for pattern in _patterns(globs):
        matches = sorted(path for path in root.glob(pattern) if path.is_file())
        if not matches:
            files = (str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file())
            there = ", ".join(islice(files, LISTED)) or "no file at all"
            raise UserError(f"{where}: nothing in {root} matches '{pattern}'; there is {there}")
        found.update(dict.fromkeys(matches))
    return list(found)
