"""Images as they come, made into arrays of one size; and precomputed features in their place.

H height, W width, P positions, D features of a position.
"""

import io
import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from unroll.errors import UserError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
PIXELS = 50_000_000  # of an image at most: a small file may hold billions, which would fill the memory
FILE_BYTES = 100_000_000
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # modes that have a picture in RGB


def read_image(data: bytes, name: str) -> Image.Image:
    """The picture in a file's bytes, upright, in RGB; what is transparent lies on white.

    Raises `UserError` naming `name` for what is no image of `FORMATS`, is truncated or broken, has more than `PIXELS`
    pixels, or more than 8 bits a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which are measured below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > PIXELS:
            raise _refused(name, f"{image.width:,} x {image.height:,} pixels, where {PIXELS:,} are the most")
        if image.mode not in EIGHT_BITS:
            raise _refused(name, f"mode {image.mode}; should have 8 bits a channel, grey or in colour")
        image.load()
        return _on_white(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise _refused(name, f"no image of {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError:
        raise _refused(name, f"more pixels than {PIXELS:,}, which are the most") from None
    except UserError:
        raise
    except Exception as error:  # decoders raise what they come upon: OSError, SyntaxError, ValueError, struct.error
        raise _refused(name, f"a broken or truncated image: {error}") from None


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _refused(name: str, found: str) -> UserError:
    return UserError(f"{name}: {found}")


def scaled(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The whole picture (size, size, 3), whatever shape it has."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8)


def read_features(data: bytes, name: str) -> NDArray[np.float32]:
    """The features (P, D) in the bytes of a .npy file that holds (D,) or (P, D) or (H, W, D) finite numbers."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read_header(file)
    except Exception as error:  # the header is Python, of which anything may come
        raise _refused(name, f"no .npy file of numbers: {error}") from None
    # Compared before memory is taken: a small file may state a large array.
    size, stated = len(data) - file.tell(), math.prod(shape) * kind.itemsize
    if kind.kind not in "fiu" or not 1 <= len(shape) <= 3 or min(shape) < 1:
        raise _refused(name, "should hold features, (D,) or (P, D) or (H, W, D), as numbers")
    if size != stated:
        raise _refused(name, f"no .npy file of numbers: {size:,} bytes where the header states {stated:,}")
    found = np.load(io.BytesIO(data), allow_pickle=False)
    with np.errstate(over="ignore"):  # which the next line tells
        features: NDArray[np.float32] = found.reshape(-1, found.shape[-1]).astype(np.float32)
    if not np.isfinite(features).all():
        raise _refused(name, "has features that are no finite numbers")
    return features


def read_file(path: Path) -> bytes:
    """The bytes of a file that should hold an image; `UserError` if it cannot be one."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size > FILE_BYTES:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes, where {FILE_BYTES:,} are the most for an image")
    return path.read_bytes()
