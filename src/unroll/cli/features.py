"""The command `features`: what a pretrained network makes of images, for a captioner to start from."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from unroll.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")


def features(
    network: Annotated[Path, typer.Argument(help="the network, as torch.export.save has written it (.pt2)")],
    images: Annotated[Path, typer.Argument(help="folder of images (PNG, JPEG, GIF, BMP, WEBP), or one image")],
    out: Annotated[Path, typer.Argument(help="folder to write: for NAME.jpg a NAME.npy")],
) -> None:
    """Write what a pretrained network makes of images, for a corpus with `features: true`.

    Images are scaled to what the network reads, their channels normalised as torchvision's networks have them. What is
    there already is left as it is, so that one may stop and go on. If images cannot be read, all of them are named, and
    the others are written. How to get such a file: docs/captioning.md. Examples:

        unroll features resnet50.pt2 data/flickr8k/Flicker8k_Dataset data/flickr8k/features

        unroll features resnet50.pt2 photo.jpg .
    """
    import numpy as np

    from unroll.files import whole_file
    from unroll.kinds.captioner.pretrained import Pretrained
    from unroll.progress import followed

    found = _images(images)
    made, problems = Pretrained(network), []
    for image, name in followed(found.items(), "images", len(found)):
        if (out / name).exists():
            continue
        try:
            array = made.features(image)
        except UserError as error:
            problems += error.problems
            continue
        with whole_file(out / name, "wb") as file:
            np.save(file, array)
    if problems:
        raise UserError(problems)


def _images(images: Path) -> dict[Path, Path]:
    """Each image, and where its features go below the folder to write."""
    if images.is_file():
        return {images: Path(images.name).with_suffix(".npy")}
    if not images.is_dir():
        raise UserError(f"{images}: no such file or folder")
    there = sorted(path for path in images.rglob("*") if path.suffix.lower() in ENDINGS)
    if not there:
        raise UserError(f"{images}: no images in it ({', '.join(ENDINGS)})")
    found = {path: path.relative_to(images).with_suffix(".npy") for path in there}
    twice = next((name for name, count in Counter(found.values()).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{images}: several images would be {twice}; their names should differ before the ending")
    return found
