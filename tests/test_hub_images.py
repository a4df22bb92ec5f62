"""The `hub_images` source on data sets that lie in a local folder: what `datasets` does with them is the same."""

import io
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.images import read_image
from unroll.text.corpus import write_corpus
from unroll.text.sources.hub_images import CorpusSettings, read

COMMIT = "0123456789abcdef0123456789abcdef01234567"
COLOURS = {"train": ["red", "green", "blue"], "validation": ["black"], "test": ["white"]}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


def settings(folder: Path, **given: Any) -> CorpusSettings:
    return CorpusSettings(source="hub_images", path="params.yaml", dataset=str(folder), revision=COMMIT, **given)


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(file, format="PNG")
    return file.getvalue()


def put(folder: Path, broken: bool = False, **captions: Any) -> Path:
    """A data set as the hub has them: Parquet files with images inside."""
    folder.mkdir()
    for split, colours in COLOURS.items():
        records = [
            {"image": {"bytes": picture(colour)[: 30 if broken and colour == "green" else None], "path": None}}
            | {name: of(colour) for name, of in captions.items()}
            for colour in colours
        ]
        found = datasets.Dataset.from_list(records).cast_column("image", datasets.Image(decode=False))
        found.cast_column("image", datasets.Image()).to_parquet(folder / f"{split}.parquet")
    return folder


def several(colour: str) -> list[str]:
    return [f"all {colour}", f" nothing\nbut {colour}", "  "]


@pytest.mark.parametrize(
    ("columns", "stated", "said"),
    [
        ({"captions": several}, {}, ("all red", "nothing but red")),
        ({"text": lambda colour: f"a {colour} one"}, {"captions": "text"}, ("a red one",)),
        (
            {"caption_0": lambda colour: f"{colour} it is", "caption_1": lambda colour: f"{colour}, too"},
            {"captions": ["caption_0", "caption_1"]},
            ("red it is", "red, too"),
        ),
    ],
)
def test_images_stay_their_files_and_captions_become_lines(tmp_path, columns, stated, said):
    found = list(read(settings(put(tmp_path / "d", **columns), **stated)).rows)
    assert [split for split, _ in found] == ["train", "train", "train", "valid", "test"]
    assert found[0] == ("train", (picture("red"), said))


def test_parts_are_drawn_where_there_is_train_alone(tmp_path):
    chosen = settings(
        put(tmp_path / "d", captions=several), splits={"valid": None, "test": None}, split={"valid": 0.3, "test": 0.3}
    )
    found = list(read(chosen).rows)
    assert len(found) == 3
    assert [split for split, _ in found] == [chosen.split.of(str(n)) for n in range(3)]


def test_images_in_files_of_their_own(tmp_path):
    """As the loader `imagefolder` finds them: what a row has is a path."""
    for split, colours in COLOURS.items():
        (tmp_path / "d" / split).mkdir(parents=True)
        lines = [f'{{"file_name": "{n}.png", "captions": ["{colour}"]}}' for n, colour in enumerate(colours)]
        (tmp_path / "d" / split / "metadata.jsonl").write_text("\n".join(lines) + "\n")
        for n, colour in enumerate(colours):
            (tmp_path / "d" / split / f"{n}.png").write_bytes(picture(colour))
    found = list(read(settings(tmp_path / "d")).rows)
    assert [(split, said) for split, (_, said) in found][:2] == [("train", ("red",)), ("train", ("green",))]
    assert read_image(found[0][1][0], "red").getpixel((0, 0)) == (255, 0, 0)


def test_a_corpus_is_made_of_it(tmp_path):
    chosen = settings(put(tmp_path / "d", captions=several), licence="CC0")
    write_corpus(read(chosen), tmp_path / "raw", chosen)
    assert (tmp_path / "raw" / "train.parquet").is_file()


def test_what_cannot_be_read_is_refused_by_name_or_left_out_as_stated(tmp_path, capsys):
    folder = put(tmp_path / "d", broken=True, captions=lambda colour: several(colour) if colour != "blue" else [" "])
    with pytest.raises(UserError) as refused:
        list(read(settings(folder)).rows)
    first, second, hint = refused.value.problems
    assert "train row 2: no image of PNG" in first
    assert second.endswith("train row 3: has no caption")
    assert "skip: true" in hint
    found = list(read(settings(folder, skip=True)).rows)
    assert [split for split, _ in found] == ["train", "valid", "test"]
    assert "2 left out, first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"image": "imag"}, "row 1: no column 'imag'; did you mean 'image'"),
        ({"image": "captions", "captions": "image"}, "column 'captions' is list; should hold images"),
        ({"captions": "caption"}, "no column 'caption'; did you mean 'captions'"),
        ({"splits": {"train": "trian"}}, "no split 'trian'; did you mean 'train'"),
    ],
)
def test_bad_data_is_told(tmp_path, stated, told):
    with pytest.raises(UserError, match=told):
        list(read(settings(put(tmp_path / "d", captions=several), **stated)).rows)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"revision": "main"}, "revision"),
        ({"captions": []}, "captions"),
        ({"captions": ["image"]}, "name each column once"),
        ({"split": {"valid": 0.1, "test": 0.1}}, "valid has both"),
        ({"splits": {"valid": None}}, "valid has neither"),
        ({"split": {"valid": 0.5, "test": 0.5}, "splits": {"valid": None, "test": None}}, "less than 1"),
    ],
)
def test_bad_settings_are_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        CorpusSettings(**({"source": "hub_images", "path": "p", "dataset": "a/b", "revision": COMMIT} | given))
