"""Images, features and lists of captions: read, or refused by name, and every image is there or told."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders import npy
from harness import NASTY, changed, execute, fuzz
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unroll.images import FORMATS, read_features, read_image, scaled
from unroll.text.sources import images

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (24, 20, 3), dtype=np.uint8))


def encoded(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    NOISE.convert(mode).save(file, format=kind)
    return file.getvalue()


def animated(kind: str) -> bytes:
    file = io.BytesIO()
    NOISE.save(file, format=kind, save_all=True, append_images=[NOISE.rotate(90)])
    return file.getvalue()


SEEDS = {kind: [encoded(kind), encoded(kind, "L")] for kind in FORMATS}
SEEDS["PNG"] += [encoded("PNG", mode) for mode in ("1", "P", "RGBA", "LA", "I;16")]
SEEDS["JPEG"] += [encoded("JPEG", "CMYK")]
SEEDS["GIF"] += [animated("GIF")]
SEEDS["WEBP"] += [animated("WEBP")]
HEADS = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x01\x00\x00", b"IEND", b"acTL", b"\xff\xd8", b"tEXt" * 50]


@pytest.mark.parametrize("kind", FORMATS)
@fuzz
@given(st.data())
def test_any_image(kind: str, data: st.DataObject) -> None:
    content = data.draw(changed(SEEDS[kind], HEADS))
    found = execute(f"image: {kind}", lambda: scaled(read_image(content, "x.image"), 16), "x.image")
    assert found is None or found.shape == (16, 16, 3)


def archived() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", npy(np.ones(3)))
    return file.getvalue()


ARRAYS = [npy(np.ones(shape)) for shape in ((5,), (3, 5), (2, 3, 5), ())] + [npy(np.array(["a"])), archived()]
HEADER = [b"(99999999999999,)", b"(-1,)", b"'|O'", b"'<M8[s]'", b"True", b"{" * 50, b"PK\x03\x04", b"\x93NUMPY\x03\x00"]


@fuzz
@given(changed(ARRAYS, HEADER))
def test_any_features(content: bytes) -> None:
    found = execute("features: .npy", lambda: read_features(content, "x.npy"), "x.npy")
    assert found is None or (found.ndim == 2 and np.isfinite(found).all())


CAPTIONS = b"".join(b"%c.png#%d\t%c says %d\n" % (name, n, name, n) for name in b"abc" for n in range(2))
LISTS = {"train": b"a.png\n", "valid": b"b.png\n", "test": b"c.png\n"}


@fuzz
@given(
    changed([CAPTIONS], [*NASTY, b"a.png", b"#0", b"\t\t"], most=3) | st.just(CAPTIONS),
    changed([LISTS["train"]], [*NASTY, b"b.png\n"], most=2) | st.just(LISTS["train"]),
    changed([SEEDS["PNG"][0]], most=2) | st.just(SEEDS["PNG"][0]),
    st.booleans(),
)
def test_any_captions(
    tmp_path_factory: pytest.TempPathFactory, captions: bytes, train: bytes, image: bytes, skip: bool
) -> None:
    folder = tmp_path_factory.getbasetemp() / "captions"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    for name in "abc":
        (folder / "pictures" / f"{name}.png").write_bytes(image if name == "a" else SEEDS["PNG"][0])
    (folder / "captions.txt").write_bytes(captions)
    for split, content in LISTS.items():
        (folder / f"{split}.txt").write_bytes(train if split == "train" else content)
    lists = {split: f"{split}.txt" for split in LISTS}
    stated = images.CorpusSettings(
        source="images", path=str(folder), files="pictures", captions="captions.txt", skip=skip, **lists
    )
    named = ["captions.txt", "pictures", *(f"{split}.txt" for split in lists), "mend them", "more"]
    rows = execute("images and captions", lambda: list(images.read(stated).rows), *named)
    if rows is not None and not skip:
        listed = [line for path in lists.values() for line in Path(folder, path).read_text().split("\n")]
        assert len(rows) == len({line.strip() for line in listed} - {""})
