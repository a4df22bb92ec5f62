"""What becomes of texts between a file and the corpus: ends taken away, blank lines kept, cuts inside of a text."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unroll.text.corpus import read_texts, write_corpus
from unroll.text.sources import files, hub
from unroll.text.sources.files.splitting import SplitSettings, carve


def fetched(folder: Path, content: str, **given: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The texts of each split of one file, and what corpus.json says."""
    (folder / "x.txt").write_bytes(content.encode())
    stated = files.CorpusSettings(source="files", path=str(folder / "x.txt"), **given)
    write_corpus(files.read(stated), folder / "raw", stated)
    found = {split: list(read_texts(folder / "raw", split, "text")) for split in ("train", "valid", "test")}
    return found, json.loads((folder / "raw" / "corpus.json").read_text())["splits"]


BY_CHARACTER = {"by": "character", "valid": 0.25, "test": 0.25}


@pytest.mark.parametrize(
    ("content", "given", "train", "valid", "test"),
    [
        # 16 characters with their newlines: cuts behind 8 and 12.
        ("abc\ndef\nghi\njkl\n", {}, ["abc", "def"], ["ghi"], ["jkl"]),
        # The cuts fall inside of texts, whose first piece becomes a text.
        ("abcdefghijklmno\n", {}, ["abcdefgh"], ["ijkl"], ["mno"]),
        # 16 again, and 15: a newline on the other side of a cut is a blank text there.
        ("abcdefgh\nij\nlmn\n", {"keep_blank": True}, ["abcdefgh"], ["", "ij"], ["lmn"]),
        ("abcdefgh\nij\nlmn\n", {}, ["abcdefgh"], ["ij"], ["lmn"]),
        ("a\n\n\nb\n\nc\nd\n\ne\n\n", {"keep_blank": True}, ["a", "", "", "b", ""], ["c", "d"], ["", "e", ""]),
        (" ab\n cd \nef\n\t gh \n", {"strip": True}, ["ab", "cd"], ["ef"], ["gh"]),
    ],
)
def test_cuts_are_where_they_are_said_to_be(tmp_path, content, given, train, valid, test):
    found, counts = fetched(tmp_path, content, split=BY_CHARACTER, **given)
    assert found == {"train": train, "valid": valid, "test": test}
    for split, texts in found.items():
        assert counts[split]["characters"] == sum(len(text) + 1 for text in texts)


line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=9)
parts = st.sampled_from([0.05, 0.1, 0.3])


@given(st.lists(line, min_size=1, max_size=12), parts, parts)
@settings(deadline=None)
def test_cut_by_character_nothing_is_lost_and_each_part_has_its_size(texts, valid, test):
    """Each part is the stretch of the stream that it should be, with an end more where a text is parted."""
    stream = "".join(f"{text}\n" for text in texts)
    found = dict.fromkeys(("train", "valid", "test"), "")
    for split, (text,) in carve(
        lambda: iter([(t,) for t in texts]), SplitSettings(valid=valid, test=test, by="character")
    ):
        found[split] += f"{text}\n"
    # Percents, as integers: no rounding.
    percent = {"valid": round(100 * valid), "test": round(100 * test)}
    ends = [
        len(stream) * (100 - percent["valid"] - percent["test"]) // 100,
        len(stream) * (100 - percent["test"]) // 100,
    ]
    expected = [stream[: ends[0]], stream[ends[0] : ends[1]], stream[ends[1] :]]
    for piece, part in zip(expected, found.values(), strict=True):
        assert part == piece or part == f"{piece}\n"


def test_the_validation_part_may_stand_in_for_a_test_part(tmp_path):
    split = {"by": "character", "valid": 0.1, "test": "valid"}
    found, counts = fetched(tmp_path, "".join(f"line {n}\n" for n in range(10)), split=split, keep_blank=True)
    assert found["test"] == found["valid"] == ["line 9"]
    assert counts["test"] == counts["valid"]
    assert len(found["train"]) == 9


def test_pairs_are_not_cut():
    split = {"valid": 0.1, "test": 0.1, "by": "character"}
    message = r"split\.by: character cuts inside of texts; pairs can be split by"
    with pytest.raises(ValidationError, match=message):
        files.CorpusSettings(source="files", path="x", train={"en": "a", "de": "b"}, split=split)
    with pytest.raises(ValidationError, match=message):
        hub.CorpusSettings(
            source="hub",
            path="x",
            dataset="a/b",
            revision="0" * 40,
            columns=["en", "de"],
            splits={"valid": None, "test": None},
            split=split,
        )


def test_a_test_part_that_is_the_validation_part_needs_one():
    with pytest.raises(ValidationError, match="`test: valid` repeats the part `valid`, and there is none"):
        SplitSettings(test="valid")


def test_blank_texts_are_left_out_and_counted_unless_they_are_kept(tmp_path):
    content, split = "a\n\n \nb\nc\nd\n", {"valid": 0.25, "test": 0.25}
    found, counts = fetched(tmp_path, content, split=split)
    assert [text for texts in found.values() for text in texts] == ["a", "b", "c", "d"]
    assert counts["train"]["blank_rows"] == 2
    found, counts = fetched(tmp_path, content, split=split, keep_blank=True)
    assert [text for texts in found.values() for text in texts] == ["a", "", " ", "b", "c", "d"]
    assert counts["train"]["blank_rows"] == 0


def test_texts_of_the_hub_are_stripped_and_blank_ones_kept_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "d"
    folder.mkdir()
    for split in ("train", "validation", "test"):
        rows = [{"text": ""}, {"text": f" {split} \n"}]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stated = hub.CorpusSettings(
        source="hub", path="x", dataset=str(folder), revision="0" * 40, strip=True, keep_blank=True
    )
    write_corpus(hub.read(stated), tmp_path / "raw")
    assert list(read_texts(tmp_path / "raw", "train", "text")) == ["", "train"]
    assert list(read_texts(tmp_path / "raw", "test", "text")) == ["", "test"]
