"""Features of images by a network that was trained elsewhere, given as a graph of `torch.export`.

H height, W width of what the network reads, D features, h and w the height and width of its grid.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.errors import UserError
from unroll.images import read_file, read_image, scaled

# The means and spreads of ImageNet's channels, by which torchvision's networks have their images.
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pretrained:
    """A network from images (1, 3, H, W), channels less `MEAN` over `SPREAD`, to (1, D) or a grid (1, D, h, w)."""

    def __init__(self, path: Path) -> None:
        """Raises `UserError` if `path` is no graph of such a network."""
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        try:
            graph = torch.export.load(path)
        except Exception as error:  # zip, JSON, weights: whatever it stumbles over
            raise UserError(f"{path}: no graph that torch.export.save has written: {error}") from None
        names = graph.graph_signature.user_inputs
        inputs = [node.meta["val"].shape for node in graph.graph.nodes if node.name in names]
        if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][1] != 3 or inputs[0][2] != inputs[0][3]:
            shapes = ", ".join(str(tuple(shape)) for shape in inputs)
            raise UserError(f"{path}: reads {shapes or 'nothing'}; should read images as (1, 3, H, H)")
        self.edge = int(inputs[0][2])
        self.path, self.network = path, graph.module()

    @torch.inference_mode()
    def features(self, image: Path) -> NDArray[np.float32]:
        """What the network makes of an image that is scaled to its size: (D,) or (h, w, D).

        Raises `UserError` if that is something else, or `image` cannot be read.
        """
        pixels_HW3 = torch.from_numpy(scaled(read_image(read_file(image), str(image)), self.edge).copy()) / 255
        x_HW3 = (pixels_HW3 - torch.tensor(MEAN)) / torch.tensor(SPREAD)
        found: Any = self.network(x_HW3.permute(2, 0, 1).unsqueeze(0).contiguous())
        if not isinstance(found, Tensor) or found.dim() not in (2, 4) or len(found) != 1:
            raise UserError(f"{self.path}: should give one tensor, (1, D) or (1, D, h, w)")
        features = found[0] if found.dim() == 2 else found[0].permute(1, 2, 0)
        array: NDArray[np.float32] = features.float().contiguous().numpy()
        return array
