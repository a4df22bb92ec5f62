"""From an image to a grid of vectors.

B batch, H height, W width, P positions of the grid, C channels.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class ImageEncoder(nn.Module):
    """Blocks of two convolutions (3 x 3), each rectified; the first halves the image.

    Nothing is normalised: over a batch it would make images matter to each other, and over an image how much it shows
    would change what its colours look like.
    """

    def __init__(self, channels: Sequence[int], size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([3, *channels]):
            layers += [_convolution(inputs, outputs, 2), nn.ReLU(), _convolution(outputs, outputs, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.positions = (size >> len(channels)) ** 2
        self.width = channels[-1]

    def forward(self, images_BHW3: Tensor) -> Tensor:
        """The grid (B, P, C), line by line, of images as bytes."""
        x_B3HW = images_BHW3.permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 127.5 - 1
        grid_BCHW: Tensor = self.layers(x_B3HW)
        return grid_BCHW.flatten(2).transpose(1, 2)


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    """As He et al. (2015) begin what is rectified: the variance of an image stays as it is from block to block."""
    layer = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class FeatureEncoder(nn.Module):
    """Features of images computed elsewhere, each normalised to mean 0 and variance 1."""

    def __init__(self, positions: int, width: int) -> None:
        super().__init__()
        self.positions, self.width = positions, width
        self.norm = nn.LayerNorm(width)

    def forward(self, features_BPC: Tensor) -> Tensor:
        """The grid (B, P, C)."""
        grid_BPC: Tensor = self.norm(features_BPC.to(torch.get_default_dtype()))
        return grid_BPC
