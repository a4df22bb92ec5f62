"""Word vectors trained elsewhere, as text: a token and its numbers a line (word2vec, GloVe, fastText)."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from unroll.errors import UserError
from unroll.files import sha256
from unroll.settings import PathName, Settings, Sha256

if TYPE_CHECKING:
    from torch import Tensor


class VectorSettings(Settings):
    """A file of vectors, known by its hash: another content is another experiment."""

    path: PathName
    """Text or gz: a token and its numbers a line, parted by spaces; a first line with two numbers is skipped."""
    sha256: Sha256
    """Of the file, as `sha256sum` prints it."""


def put_vectors(weight_VE: "Tensor", ids: Mapping[str, Sequence[int]], settings: VectorSettings) -> int:
    """Set the rows of `weight_VE`, of the `ids` of each token, that the file has; return how many those are.

    Raises `UserError` if the file is not the one stated, has vectors of another size, or none for these tokens.
    """
    import torch

    path = Path(settings.path)
    found: dict[int, NDArray[np.float32]] = {}
    for token, vector in _read(path, settings.sha256, weight_VE.shape[1]):
        for n in ids.get(token, ()):
            found[n] = vector
    if not found:
        raise UserError(f"{path}: has a vector for none of the {len(ids):,} tokens of the vocabulary")
    ids_N = torch.tensor(sorted(found))
    with torch.no_grad():
        weight_VE[ids_N] = torch.from_numpy(np.stack([found[n] for n in sorted(found)])).to(weight_VE)
    return len(found)


def _read(path: Path, digest: str, width: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file of vectors")
    if (found := sha256(path)) != digest:
        raise UserError(f"{path}: its sha256 is {found}; params.yaml states {digest}")
    with ExitStack() as stack:
        if path.suffix == ".gz":
            lines = cast(IO[bytes], stack.enter_context(gzip.open(path)))
        else:
            lines = stack.enter_context(path.open("rb"))
        offset = 0
        for number, raw in enumerate(lines, start=1):
            try:
                token, *numbers = raw.decode("utf-8").rstrip("\n ").split(" ")
            except UnicodeDecodeError as error:
                raise UserError(f"{path}: byte {offset + error.start}, in line {number}, is not UTF-8") from None
            offset += len(raw)
            if number == 1 and len(numbers) == 1:
                continue
            if len(numbers) != width:
                raise UserError(f"{path}: line {number} has {len(numbers)} numbers; `embedding` is {width}")
            try:
                yield token, np.array(numbers, dtype=np.float32)
            except ValueError:
                raise UserError(f"{path}: line {number} has something that is not a number") from None
