"""Encoded datasets: flat ids with offsets in memory-mapped files, and the raw text beside them.

N rows, each its ids and EOS.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unroll.errors import UserError
from unroll.files import read_json

MANIFEST, RAW, SPELLED = "manifest.json", "raw.parquet", ".spelled"


@dataclass(frozen=True)
class EncodedField:
    """One field of a split: all ids in a row, where each row starts (N + 1,), how many of it are kept (N,)."""

    ids: NDArray[np.integer[Any]]
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int32]

    def row(self, number: int) -> NDArray[np.int64]:
        """The kept ids of a row; EOS is the last unless the row was cut."""
        start = self.offsets[number]
        return self.ids[start : start + self.lengths[number]].astype(np.int64)


@dataclass(frozen=True)
class Spellings:
    """How the tokens with the open ids `first`, `first + 1`, ... are spelled: all characters, where each begins."""

    first: int
    characters: NDArray[np.integer[Any]]
    offsets: NDArray[np.int64]

    def of(self, token: int) -> NDArray[np.int64]:
        """The characters (L,) of an open id."""
        start, end = self.offsets[token - self.first : token - self.first + 2]
        return self.characters[start:end].astype(np.int64)


@dataclass(frozen=True)
class EncodedSplit:
    """The fields of a split by name, and the file with its raw text."""

    fields: dict[str, EncodedField]
    raw: Path

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())).lengths)


class EncodedDataset:
    """What `encode_dataset` wrote; ids stay on disk until they are read."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.train, self.valid = (self._split(name) for name in ("train", "valid"))
        hybrid = {field: stated["size"] for field, stated in manifest["fields"].items() if stated["unit"] == "hybrid"}
        self.spellings = {field: _open_spellings(folder, field, size) for field, size in hybrid.items()}
        """Of fields of unit hybrid: the tokens of the training and validation split that are spelled."""

    @classmethod
    def open(cls, folder: Path) -> "EncodedDataset":
        """Open a folder; raises `UserError` if no whole dataset lies there."""
        if not (folder / MANIFEST).is_file():
            raise UserError(f"{folder / MANIFEST}: no such file; encode the dataset first")
        return cls(folder, read_json(folder / MANIFEST))

    def raw_texts(self, split: str, field: str) -> list[str]:
        """The uncut texts of a field, in the order of the rows."""
        texts: list[str] = pq.read_table(self.folder / split / RAW, columns=[field]).column(0).to_pylist()
        return texts

    def _split(self, name: str) -> EncodedSplit:
        folder = self.folder / name
        fields = {field: _open_field(folder, field) for field in self.manifest["fields"]}
        return EncodedSplit(fields, folder / RAW)


def _open_field(folder: Path, field: str) -> EncodedField:
    # A plain view of the mapped file: slices of numpy's memmap class cost several times as much.
    ids, offsets, lengths = (
        np.load(folder / f"{field}{suffix}.npy", mmap_mode="r").view(np.ndarray)
        for suffix in ("", ".offsets", ".lengths")
    )
    return EncodedField(ids, offsets, lengths)


def _open_spellings(folder: Path, field: str, first: int) -> Spellings:
    characters, offsets = (
        np.load(folder / f"{field}{SPELLED}{suffix}.npy", mmap_mode="r").view(np.ndarray) for suffix in ("", ".offsets")
    )
    return Spellings(first, characters, offsets)
