"""Encoding images: from the files in a corpus to arrays of one size, which `EncodedDataset` maps into memory.

I images, N rows: the captions of all images, one after the other.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unroll.errors import UserError
from unroll.images import read_features, read_image, scaled
from unroll.text.corpus import read_cells
from unroll.text.encoded import IMAGE_OF, IMAGES, RAW_IMAGES
from unroll.text.settings import FeatureField, PixelField


def encode_images(
    raw: Path, split: str, image: str, captions: str, settings: PixelField | FeatureField, folder: Path
) -> tuple[int, ...]:
    """Write the images of a split and the image of each row to `folder`; return the shape of one image.

    `image` and `captions` are columns of the corpus in `raw`. Raises `UserError` for features that differ in shape.
    """
    counts = np.array([len(said) for said in read_cells(raw, split, captions)], dtype=np.int64)
    np.save(folder / IMAGE_OF, np.repeat(np.arange(len(counts)), counts).astype("<i8"))
    shape: tuple[int, ...] = ()
    for number, data in enumerate(read_cells(raw, split, image)):
        where = f"{raw / split}.parquet: row {number + 1}"
        array = read_array(data, settings, where)
        if number == 0:
            shape = array.shape
            kind = array.dtype.newbyteorder("<")
            arrays = _room_for(folder / IMAGES, kind, (len(counts), *shape))
        if array.shape != shape:
            raise UserError(f"{where}: features {array.shape}, where those before are {shape}; all should be alike")
        arrays[number] = array
    arrays.flush()  # type: ignore[attr-defined]
    return shape


def _room_for(path: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A new mapped file for an array, with all its bytes on the disk: a full disk tells now, as an `OSError`, and does
    not kill us at some later write."""
    arrays: NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return arrays


def read_array(data: bytes, settings: PixelField | FeatureField, where: str) -> NDArray[Any]:
    """an image as a network reads it: (edge, edge, 3) bytes, or features (P, D) in float32."""
    if isinstance(settings, FeatureField):
        return read_features(data, where)
    return scaled(read_image(data, where), settings.edge)


def copy_images(source: Path, image: str, captions: str, folder: Path) -> None:
    """Copy the images of a Parquet file with their captions, as `EncodedDataset.raw_images` reads them."""
    schema = pa.schema([("image", pa.binary()), ("target", pa.list_(pa.string()))])
    with pq.ParquetFile(source) as file, pq.ParquetWriter(folder / RAW_IMAGES, schema, compression="zstd") as writer:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=[image, captions])
            writer.write_table(pa.table([table.column(image), table.column(captions)], schema=schema))
