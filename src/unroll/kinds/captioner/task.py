"""What the training loop needs of a captioner: batches, loss, validation."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from unroll.kinds.captioner.network import Captioner
from unroll.kinds.captioner.settings import CaptionerBatches, CaptionerSettings
from unroll.nn.losses import Loss
from unroll.text.batches import Batch, make_batch
from unroll.text.encoded import EncodedDataset, EncodedSplit

VALID_IMAGES = 64


class CaptionBatch(NamedTuple):
    """Images, each once, the captions of all of them, and the image (B,) that each caption is of."""

    images: Tensor
    captions: Batch
    of_row_B: Tensor


class Task:
    """A captioner on a dataset with the fields `image` and `target`."""

    def __init__(
        self, model: CaptionerSettings, batches: CaptionerBatches, data: EncodedDataset, device: torch.device
    ) -> None:
        self.settings = batches
        self.data = data
        self.device = device
        self.progress = 0.0
        size = data.manifest["fields"]["target"]["size"]
        self.network = Captioner(model, data.manifest["images"], size).to(device)

    def epoch_steps(self) -> int:
        """Batches of an epoch."""
        assert self.data.train.images is not None
        return math.ceil(len(self.data.train.images.arrays) / self.settings.batch_size)

    def batches(self, order: np.random.Generator) -> Iterator[CaptionBatch]:
        """One epoch: every image once, with all its captions, in a new order."""
        yield from self._batches(self.data.epoch(order), self.settings.batch_size, order)

    def valid_batches(self) -> Iterator[CaptionBatch]:
        """The validation split in a fixed order."""
        yield from self._batches(self.data.valid, VALID_IMAGES, None)

    def _batches(self, split: EncodedSplit, size: int, order: np.random.Generator | None) -> Iterator[CaptionBatch]:
        assert split.images is not None
        count = len(split.images.arrays)
        images = np.arange(count) if order is None else order.permutation(count)
        starts = np.searchsorted(split.images.of_row, np.arange(count + 1))
        for first in range(0, count, size):
            yield self._batch(split, images[first : first + size], starts)

    def _batch(self, split: EncodedSplit, images: NDArray[np.int64], starts: NDArray[np.int64]) -> CaptionBatch:
        assert split.images is not None
        rows = np.concatenate([np.arange(starts[image], starts[image + 1]) for image in images])
        of_row_B = np.repeat(np.arange(len(images)), starts[images + 1] - starts[images])
        arrays = (torch.from_numpy(array) for array in (split.images.arrays[images], of_row_B))
        images_B, of_row = (array.to(self.device, non_blocking=True) for array in arrays)
        return CaptionBatch(images_B, make_batch(split, rows).to(self.device), of_row)

    def loss(self, batch: CaptionBatch, carry: None) -> tuple[Loss, None]:
        """-log p(caption | image) with the right tokens before each position (teacher forcing)."""
        once = self.network.encode(batch.images)
        memory, state = tree_map(lambda x: x if x is None else x.index_select(0, batch.of_row_B), once)
        targets, real_N = batch.captions.ids["target"], batch.captions.places("target")
        read_BTD, _, weights_BTS = self.network.force(targets, memory, state)
        smoothing = self.settings.label_smoothing if self.network.training else 0.0
        return self.network.output.loss(read_BTD, weights_BTS, memory.source, targets, real_N, smoothing), carry
