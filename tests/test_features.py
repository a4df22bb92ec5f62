"""The command features: what a network that was trained elsewhere makes of images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unroll.errors import UserError
from unroll.images import read_features
from unroll.kinds.captioner.pretrained import MEAN, SPREAD


class Channels(nn.Module):
    """Four features of each quarter of an image: the means of its channels, and that of all."""

    def __init__(self, grid: bool) -> None:
        super().__init__()
        self.grid = grid
        self.mix = nn.Conv2d(3, 4, 1, bias=False)
        self.mix.weight.data.copy_(torch.cat([torch.eye(3), torch.full((1, 3), 1 / 3)]).view(4, 3, 1, 1))

    def forward(self, x):
        y = self.mix(nn.functional.adaptive_avg_pool2d(x, 2))
        return y if self.grid else y.mean((2, 3))


def write_graph(path, network, shape=(1, 3, 8, 8)):
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(shape),)), path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    write_graph(folder / "grid.pt2", Channels(True))
    write_graph(folder / "whole.pt2", Channels(False))
    write_graph(folder / "text.pt2", nn.Linear(5, 2), (1, 5))
    write_graph(folder / "odd.pt2", nn.Flatten(0), (1, 3, 8, 8))
    (folder / "none.pt2").write_bytes(b"PK no graph")
    (folder / "images" / "more").mkdir(parents=True)
    halves = np.zeros((8, 8, 3), dtype=np.uint8)
    halves[:, 4:] = 255, 51, 0
    Image.fromarray(halves).save(folder / "images" / "halves.png")
    Image.new("RGB", (30, 10), (0, 102, 255)).save(folder / "images" / "more" / "blue.png")
    return folder


def expected(red, green, blue):
    channels = (np.array([red, green, blue]) / 255 - MEAN) / SPREAD
    return [*channels, channels.mean()]


def test_a_grid_of_each_image_line_by_line(project, unroll):
    unroll("features", "grid.pt2", "images", "out")
    halves = np.load(project / "out" / "halves.npy")
    assert halves.shape == (2, 2, 4)
    black, red = expected(0, 0, 0), expected(255, 51, 0)
    np.testing.assert_allclose(halves, [[black, red], [black, red]], atol=1e-5)
    blue = read_features((project / "out" / "more" / "blue.npy").read_bytes(), "blue")
    np.testing.assert_allclose(blue, [expected(0, 102, 255)] * 4, atol=1e-5)


def test_one_vector_of_one_image_and_what_is_there_stays(project, unroll):
    unroll("features", "whole.pt2", "images/more/blue.png", "one")
    np.testing.assert_allclose(np.load(project / "one" / "blue.npy"), expected(0, 102, 255), atol=1e-5)
    (project / "one" / "blue.npy").write_bytes(b"as it was")
    unroll("features", "whole.pt2", "images/more/blue.png", "one")
    assert (project / "one" / "blue.npy").read_bytes() == b"as it was"


def test_broken_images_are_named_and_the_others_written(project, unroll):
    folder = project / "some broken"
    folder.mkdir()
    for name, size in (("cut.png", 40), ("empty.jpg", 0), ("good.png", None)):
        (folder / name).write_bytes((project / "images" / "halves.png").read_bytes()[:size])
    with pytest.raises(UserError) as refused:
        unroll("features", "whole.pt2", str(folder), "good")
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        str(folder / "cut.png"),
        str(folder / "empty.jpg"),
    ]
    assert [path.name for path in (project / "good").iterdir()] == ["good.npy"]


@pytest.mark.parametrize(
    ("network", "images", "told"),
    [
        ("missing.pt2", "images", r"missing\.pt2: no such file"),
        ("none.pt2", "images", r"none\.pt2: no graph that torch\.export\.save has written"),
        ("text.pt2", "images", r"text\.pt2: reads \(1, 5\); should read images as \(1, 3, H, H\)"),
        ("odd.pt2", "images/halves.png", r"odd\.pt2: should give one tensor"),
        ("grid.pt2", "nowhere", r"nowhere: no such file or folder"),
        ("grid.pt2", "empty", r"empty: no images in it"),
        ("grid.pt2", "twice", r"twice: several images would be a\.npy"),
    ],
)
def test_what_is_no_network_or_no_images(project, unroll, network, images, told):
    (project / "empty").mkdir(exist_ok=True)
    (project / "twice").mkdir(exist_ok=True)
    for ending in ("png", "jpg"):
        Image.new("RGB", (4, 4)).save(project / "twice" / f"a.{ending}")
    with pytest.raises(UserError, match=told):
        unroll("features", network, images, "never")
    assert not (project / "never").exists()
