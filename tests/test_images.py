"""Images: what is read, what is refused by name, and the two sources of images with captions."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from builders import npy
from PIL import Image
from pydantic import ValidationError

from unroll import images as reading
from unroll.errors import UserError
from unroll.images import read_features, read_image, scaled
from unroll.text.corpus import read_cells, read_texts, write_corpus
from unroll.text.sources import images, read, scenes
from unroll.text.sources.scenes.captions import captions
from unroll.text.sources.scenes.drawing import SHADES
from unroll.text.sources.scenes.scene import COLOURS, SHAPES, Scene, Thing


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says to be so large, and has no picture."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + struct.pack(">I", 4) + b"IDAT" + bytes(8)


RED = Image.new("RGB", (6, 4), (200, 10, 10))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_eight_bits_becomes_rgb(mode):
    found = read_image(encoded(RED.convert(mode)), "x.png")
    assert found.mode == "RGB"
    assert scaled(found, 8).shape == (8, 8, 3)


def test_cmyk_too():
    assert read_image(encoded(RED.convert("CMYK"), "JPEG"), "x.jpg").mode == "RGB"


def test_what_is_transparent_lies_on_white():
    clear = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    assert read_image(encoded(clear), "x.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(encoded(RED, "JPEG", exif=exif), "x.jpg").size == (4, 6)


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no image of PNG"),
        (b"hello", "no image of PNG"),
        (encoded(NOISE)[:-1500], "broken or truncated"),
        (encoded(NOISE, "JPEG")[:400], "broken or truncated"),
        (encoded(NOISE).replace(b"IDAT", b"IDAX", 1), "no image of PNG"),
        (png_header(4, 4), "broken or truncated"),
        (encoded(Image.new("I;16", (4, 4))), "8 bits a channel"),
        (png_header(20_000, 20_000), "pixels"),
        (png_header(60_000, 60_000), "pixels"),
        (png_header(9_000, 9_000), "9,000 x 9,000"),
        (encoded(RED, "TIFF"), "no image of PNG"),
    ],
)
def test_what_is_no_whole_image_is_refused_by_name(data, said):
    with pytest.raises(UserError, match=said) as refused:
        read_image(data, "folder/x.png")
    assert str(refused.value).startswith("folder/x.png: ")


def test_a_file_too_large_for_an_image(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "FILE_BYTES", 10)
    (tmp_path / "x.png").write_bytes(bytes(11))
    with pytest.raises(UserError, match="11 bytes"):
        reading.read_file(tmp_path / "x.png")


def archived() -> bytes:
    """A .npz, in which numpy keeps several arrays."""
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize(("shape", "wanted"), [((5,), (1, 5)), ((3, 5), (3, 5)), ((2, 3, 5), (6, 5))])
def test_features_are_positions_by_features(shape, wanted):
    assert read_features(npy(np.ones(shape, dtype=np.float16)), "x.npy").shape == wanted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        npy(np.array(["a"])),
        npy(np.zeros((1, 1, 1, 1))),
        npy(np.array([np.nan])),
        npy(np.zeros(0)),
        npy(np.full(3, 1e300)),
        npy(np.ones(5))[:-1],
        npy(np.ones(5)).replace(b"(5,)", b"(99999999999,)"),  # 800 GB
        npy(np.ones(5)).replace(b"{'descr'", b"{{'descr"),
        npy(np.ones(5)).replace(b"(5,)", b"(5\0)"),
        archived(),
    ],
)
def test_what_is_no_features_is_refused_by_name(data):
    with pytest.raises(UserError, match=r"^x\.npy: "):
        read_features(data, "x.npy")


# --- files -----------------------------------------------------------------------------------------------------------


def lay_out(folder: Path, tarred: bool = False, **files: bytes) -> dict:
    """Three images of two captions each, as Flickr8k has them."""
    there = {name: encoded(RED) for name in ("a.png", "b.png", "c.png")} | files
    (folder / "pictures").mkdir(parents=True)
    for name, data in there.items():
        (folder / "pictures" / name).write_bytes(data)
    if tarred:
        import tarfile

        with tarfile.open(folder / "pictures.tar", "w") as tar:
            for name in there:
                tar.add(folder / "pictures" / name, name)
    rows = [f"{name}.png#{n}\t{name} says {n}\n" for name in "abc" for n in range(2)]
    (folder / "captions.txt").write_text("".join(rows))
    for split, name in (("train", "a"), ("valid", "b"), ("test", "c")):
        (folder / f"{split}.txt").write_text(f"{name}.png\n")
    lists = {split: f"{split}.txt" for split in ("train", "valid", "test")}
    where = "pictures.tar" if tarred else "pictures"
    return {"source": "images", "path": str(folder), "files": where, "captions": "captions.txt", **lists}


@pytest.mark.parametrize("tarred", [False, True])
def test_images_and_captions_from_files(tmp_path, tarred):
    settings = images.CorpusSettings(**lay_out(tmp_path / "in", tarred))
    write_corpus(read(settings), tmp_path / "raw", settings)
    assert list(read_texts(tmp_path / "raw", "test", "captions")) == ["c says 0", "c says 1"]
    assert list(read_cells(tmp_path / "raw", "train", "captions")) == [["a says 0", "a says 1"]]
    (data,) = read_cells(tmp_path / "raw", "train", "image")
    assert read_image(data, "").size == RED.size


def problems(settings: dict) -> list[str]:
    with pytest.raises(UserError) as refused:
        list(read(images.CorpusSettings(**settings)).rows)
    return refused.value.problems


def test_a_broken_image_is_refused_by_name_or_skipped_and_told(tmp_path, capsys):
    settings = lay_out(tmp_path, **{"a.png": encoded(NOISE)[:200]})
    assert problems(settings)[0].startswith(f"{tmp_path}/pictures: a.png: a broken or truncated image")
    splits = [split for split, _ in read(images.CorpusSettings(**settings, skip=True)).rows]
    assert splits == ["valid", "test"]
    assert "1 left out" in capsys.readouterr().err


def test_an_image_without_caption_and_a_caption_without_image(tmp_path, capsys):
    settings = lay_out(tmp_path)
    (tmp_path / "train.txt").write_text("a.png\nd.png\n")
    assert problems(settings)[0] == "captions.txt: d.png has no image"
    (tmp_path / "pictures" / "d.png").write_bytes(encoded(RED))
    assert problems(settings)[0] == "pictures: d.png has no caption"
    assert len(list(read(images.CorpusSettings(**settings, skip=True)).rows)) == 3
    assert "d.png: has no caption" in capsys.readouterr().err


def test_a_line_without_a_caption_is_told_by_its_place(tmp_path):
    settings = lay_out(tmp_path)
    (tmp_path / "captions.txt").write_text("a.png#0\tsays\na.png#1\n")
    assert problems(settings) == [f"{tmp_path}/captions.txt:2: should be a name, a tab and a caption, found 'a.png#1'"]


def test_an_image_in_two_splits(tmp_path):
    settings = lay_out(tmp_path)
    (tmp_path / "test.txt").write_text("a.png\n")
    assert "belongs to one split" in problems(settings)[0]


def test_files_that_are_not_there_are_told_at_once(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt: no such file"):
        read(images.CorpusSettings(**(lay_out(tmp_path) | {"captions": "none.txt"})))


def test_a_damaged_tar(tmp_path):
    settings = lay_out(tmp_path, tarred=True)
    (tmp_path / "pictures.tar").write_bytes(b"no tar")
    assert "neither a folder nor a whole tar" in problems(settings)[0]


def test_a_tar_that_was_damaged_in_the_middle_loses_no_image_in_silence(tmp_path):
    settings = lay_out(tmp_path, tarred=True) | {"skip": True}
    tar = bytearray((tmp_path / "pictures.tar").read_bytes())
    second = tar.index(b"b.png\0") - 1024  # before the header itself lies one with its times
    tar[second : second + 512] = b"\x01" * 512
    (tmp_path / "pictures.tar").write_bytes(tar)
    assert f"what lies at byte {second:,} is no header of a member" in problems(settings)[0]


def test_splits_are_drawn_where_there_are_no_lists(tmp_path):
    settings = lay_out(tmp_path)
    drawn = {key: value for key, value in settings.items() if key not in ("train", "valid", "test")}
    rows = list(read(images.CorpusSettings(**drawn, split={"valid": 0.3, "test": 0.3})).rows)
    assert len(rows) == 3
    with pytest.raises(ValidationError, match="lists of names"):
        images.CorpusSettings(**settings, split={"valid": 0.3, "test": 0.3})
    with pytest.raises(ValidationError, match="lists of names"):
        images.CorpusSettings(**drawn)


def test_features_in_the_place_of_images(tmp_path):
    settings = lay_out(tmp_path) | {"features": True}
    for name in "abc":
        (tmp_path / "pictures" / f"{name}.npy").write_bytes(npy(np.ones(4)))
    rows = dict(read(images.CorpusSettings(**settings)).rows)
    assert read_features(rows["train"][0], "").shape == (1, 4)
    (tmp_path / "pictures" / "b.npy").write_bytes(b"none")
    assert "pictures: b.npy: " in problems(settings)[0]


# --- scenes ----------------------------------------------------------------------------------------------------------


SHOWN = re.compile(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")


def drawn(count: int = 240, **more) -> list:
    settings = scenes.CorpusSettings(source="scenes", path="x", scenes=count, **more)
    return list(read(settings).rows)


def test_the_test_part_alone_shows_combinations_that_are_held_out():
    def shown(wanted: str) -> set[tuple[str, str]]:
        said = "; ".join(caption for split, (_, captions) in rows if split == wanted for caption in captions)
        return set(SHOWN.findall(said))

    rows = drawn(3000)
    every = {(colour, shape) for colour in COLOURS for shape in SHAPES}
    held = every - shown("train")
    assert len(held) == len({colour for colour, _ in held}) == len(SHAPES)
    assert {shape for _, shape in held} == set(SHAPES)
    assert not held & shown("valid")
    assert held <= shown("test")
    assert all(held & set(SHOWN.findall(captions[0])) for split, (_, captions) in rows if split == "test")


def test_scenes_are_the_same_for_the_same_seed():
    assert drawn(60) == drawn(60) != drawn(60, seed=2)


def test_all_captions_of_a_scene():
    red, blue = Thing("small", "red", "circle"), Thing("large", "blue", "cross")
    assert captions(Scene(red)) == (
        "a small red circle",
        "there is a small red circle",
        "the picture shows a small red circle",
    )
    assert captions(Scene(blue, count=3))[0] == "three large blue crosses"
    assert captions(Scene(red, relation="above", second=blue))[:2] == (
        "a small red circle above a large blue cross",
        "a large blue cross below a small red circle",
    )


def test_what_is_said_is_what_is_seen():
    """The first thing of a relation lies where the caption says; nothing is cut off by the edge."""
    for _, (data, said) in drawn(200, pixels=48):
        pixels = np.asarray(read_image(data, ""), dtype=int)
        inked = (pixels < 250).any(-1)
        assert inked.any() and not (inked[0].any() or inked[-1].any() or inked[:, 0].any() or inked[:, -1].any())
        words = said[0].split()
        if "left" in words:
            first, second = (np.array(COLOURS[c]) for c in words if c in COLOURS)
            if (first != second).any():
                middle = [np.nonzero(np.abs(pixels - c).max(-1) <= SHADES)[1].mean() for c in (first, second)]
                assert middle[0] < middle[1]
