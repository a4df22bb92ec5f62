"""Encoded datasets: flat ids with offsets in memory-mapped files, and the raw text beside them.

N rows, each its ids and EOS. I images, of which each row belongs to one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unroll.checksums import verify
from unroll.errors import UserError
from unroll.files import damaged, read_json
from unroll.text.corpus import parquet_damage_told

MANIFEST, RAW, SPELLED = "manifest.json", "raw.parquet", ".spelled"
IMAGES, IMAGE_OF, RAW_IMAGES = "image.npy", "target.image.npy", "images.parquet"


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

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, token: int) -> NDArray[np.int64]:
        """The characters (L,) of an open id."""
        start, end = self.offsets[token - self.first : token - self.first + 2]
        return self.characters[start:end].astype(np.int64)


@dataclass(frozen=True)
class EncodedImages:
    """Images (I, H, W, 3) as bytes, or features (I, P, D) in float32; and the image of each row (N,)."""

    arrays: NDArray[Any]
    of_row: NDArray[np.int64]


@dataclass(frozen=True)
class EncodedSplit:
    """The fields of a split by name, the file with its raw text, and its images if its rows are captions."""

    fields: dict[str, EncodedField]
    raw: Path
    images: EncodedImages | None = None

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())).lengths)


class EncodedDataset:
    """What `encode_dataset` wrote; ids stay on disk until they are read."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        hybrid = {field: stated["size"] for field, stated in manifest["fields"].items() if stated["unit"] == "hybrid"}
        self.spellings = {field: _open_spellings(folder, field, size) for field, size in hybrid.items()}
        """Of fields of unit hybrid: the tokens of the training and validation split that are spelled."""
        self.train, self.valid = (self._split(name) for name in ("train", "valid"))

    @classmethod
    def open(cls, folder: Path) -> "EncodedDataset":
        """Open a folder; raises `UserError` if no whole dataset lies there."""
        if not (folder / MANIFEST).is_file():
            raise UserError(f"{folder / MANIFEST}: no such file; encode the dataset first")
        verify(folder)
        return cls(folder, read_json(folder / MANIFEST))

    def raw_texts(self, split: str, field: str) -> list[str]:
        """The uncut texts of a field, in the order of the rows."""
        path = self.folder / split / RAW
        with parquet_damage_told(path):
            texts: list[str] = pq.read_table(path, columns=[field]).column(0).to_pylist()
        return texts

    def raw_images(self, split: str) -> list[tuple[bytes, list[str]]]:
        """The images of the test split as their files had them, each with its uncut captions."""
        path = self.folder / split / RAW_IMAGES
        with parquet_damage_told(path):
            table = pq.read_table(path, columns=["image", "target"])
        return list(zip(table.column("image").to_pylist(), table.column("target").to_pylist(), strict=True))

    def epoch(self, order: np.random.Generator) -> EncodedSplit:
        """The training split as one epoch reads it; `order` decides what is random about it: here, nothing."""
        return self.train

    def _split(self, name: str) -> EncodedSplit:
        folder = self.folder / name
        known = {field: stated["size"] for field, stated in self.manifest["fields"].items()}
        known |= {field: known[field] + len(spelled) for field, spelled in self.spellings.items()}
        fields = {field: _open_field(folder, field, ids) for field, ids in known.items()}
        rows = len(next(iter(fields.values())).lengths)
        images = _open_images(folder, self.manifest["images"]["shape"], rows) if "images" in self.manifest else None
        return EncodedSplit(fields, folder / RAW, images)


def _open_spellings(folder: Path, field: str, first: int) -> Spellings:
    characters, offsets = (_map(folder / f"{field}{SPELLED}{suffix}.npy") for suffix in ("", ".offsets"))
    return Spellings(first, characters, offsets)


def _open_field(folder: Path, field: str, known: int) -> EncodedField:
    """The files of a field in which `known` ids occur; `UserError` naming the one that is damaged."""
    ids_path, offsets_path, lengths_path = (folder / f"{field}{suffix}.npy" for suffix in ("", ".offsets", ".lengths"))
    found = EncodedField(_map(ids_path), _map(offsets_path), _map(lengths_path))
    if len(found.ids) and (largest := int(found.ids.max())) >= known:
        place = int(found.ids.argmax())
        raise damaged(ids_path, f"id {largest} at place {place}, where the vocabulary has {known} ids")
    sizes = np.diff(found.offsets)
    if found.offsets[:1].tolist() != [0] or found.offsets[-1] != len(found.ids) or (sizes < 1).any():
        raise damaged(offsets_path, f"its rows are not those of {len(found.ids)} ids")
    if found.lengths.shape != sizes.shape or (found.lengths < 1).any() or (found.lengths > sizes).any():
        raise damaged(lengths_path, f"its lengths are not those of {len(sizes)} rows")
    return found


def _open_images(folder: Path, shape: list[int], rows: int) -> EncodedImages:
    """The images of a split, each of one `shape`; `UserError` naming the file that is damaged."""
    found = EncodedImages(_map(folder / IMAGES), _map(folder / IMAGE_OF))
    if list(found.arrays.shape[1:]) != shape:
        raise damaged(folder / IMAGES, f"its images are {found.arrays.shape[1:]}, where the manifest says {shape}")
    if found.of_row.shape != (rows,) or found.of_row.min() < 0 or found.of_row.max() >= len(found.arrays):
        raise damaged(folder / IMAGE_OF, f"it does not name one of {len(found.arrays)} images for each of {rows} rows")
    return found


def _map(path: Path) -> NDArray[Any]:
    try:
        # A plain view of the mapped file: slices of numpy's memmap class cost several times as much.
        array: NDArray[Any] = np.load(path, mmap_mode="r").view(np.ndarray)
        return array
    except FileNotFoundError:
        raise damaged(path, "there is no such file") from None
    except (ValueError, EOFError) as error:
        raise damaged(path, str(error)) from None
