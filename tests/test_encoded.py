"""Encoded data sets: nothing is lost, what is cut is counted, what is reported can be counted by hand."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from builders import dataset, pair_dataset, text_dataset
from pydantic import ValidationError

from unroll import workers
from unroll.errors import UserError
from unroll.kinds.seq2seq.predictor import PairPredictor
from unroll.text import encoding
from unroll.text.corpus import SPLITS
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.specials import EOS, UNK

TEXTS = ["abcde", "ab", "", "e\nd"]
TEXTS = [text for text in TEXTS if text]  # a corpus has no blank rows
CHAR = {"unit": "char"}


def test_ids_lie_flat_and_every_text_has_its_end(tmp_path):
    data = text_dataset(tmp_path, TEXTS, CHAR)
    field = data.train.fields["text"]
    vocabulary = data.vocabularies["text"]
    flat = [id_ for text in TEXTS for id_ in [*vocabulary.encode(text).tolist(), EOS]]
    assert field.ids.tolist() == flat
    assert field.offsets.tolist() == [0, *np.cumsum([len(text) + 1 for text in TEXTS]).tolist()]
    assert isinstance(field.ids.base, np.memmap)
    assert field.ids.dtype == np.uint16
    assert [vocabulary.decode(field.row(n)) for n in range(len(data.train))] == TEXTS
    assert data.raw_texts("test", "text") == TEXTS


@pytest.mark.parametrize(
    ("max_length", "kept"), [(1, [2, 2, 2]), (2, [3, 3, 3]), (3, [4, 3, 4]), (5, [6, 3, 4]), (99, [6, 3, 4])]
)
def test_training_rows_are_cut_and_the_stream_is_not(tmp_path, max_length, kept):
    data = text_dataset(tmp_path, TEXTS, CHAR, max_length)
    full = [len(text) + 1 for text in TEXTS]
    assert data.train.fields["text"].lengths.tolist() == kept
    assert data.valid.fields["text"].lengths.tolist() == full
    assert len(data.train.fields["text"].ids) == sum(full)
    counts = data.manifest["splits"]["train"]["text"]
    assert counts["cut_rows_with_context_text"] == sum(k < f for k, f in zip(kept, full, strict=True))
    assert counts["cut_tokens_with_context_text"] == sum(full) - sum(kept)
    ends = [data.train.fields["text"].row(n)[-1] == EOS for n in range(3)]
    assert ends == [k == f for k, f in zip(kept, full, strict=True)]


def test_of_pairs_sources_are_cut_and_references_never(tmp_path):
    """In the test as in validation: a model reads as much of a source as it has been trained on."""
    data = pair_dataset(tmp_path, [("a b c d", "x y z w"), ("a", "x")], max_length=2)
    lengths = {
        split: {name: field.lengths.tolist() for name, field in getattr(data, split).fields.items()}
        for split in ("train", "valid")
    }
    assert lengths["train"] == {"source": [3, 2], "target": [3, 2]}
    assert lengths["valid"] == {"source": [3, 2], "target": [5, 2]}
    source, target = (data.vocabularies[name] for name in ("source", "target"))
    predictor = PairPredictor(torch.nn.Identity(), source, target, 2, torch.device("cpu"))
    read = [len(predictor.source_ids(text)) for text in data.raw_texts("test", "source")]
    assert read == lengths["valid"]["source"]
    found = data.manifest["splits"]
    cuts = {"cut_rows": 1, "cut_tokens": 2}
    assert cuts.items() <= found["valid"]["source"].items() and cuts.items() <= found["test"]["source"].items()
    assert found["valid"]["target"]["cut_rows"] == found["test"]["target"]["cut_rows"] == 0


def test_a_shared_vocabulary_is_built_over_both_columns(tmp_path):
    rows = [("a b", "b c")]
    fields = {"source": {"column": "en", "unit": "word"}, "target": {"column": "de", "share": "source"}}
    data = dataset(tmp_path, ["en", "de"], dict.fromkeys(("train", "valid", "test"), rows), fields)
    assert data.vocabularies["source"] is data.vocabularies["target"]
    assert data.vocabularies["source"].tokens([4, 5, 6]) == ["b", "a", "c"]
    assert data.manifest["fields"]["target"]["vocabulary"] == "source"
    assert pq.read_table(data.train.raw).column_names == ["source", "target"]


def test_the_vocabulary_sees_the_training_split_alone(tmp_path):
    splits = {"train": [("aa",)], "valid": [("ab",)], "test": [("ac",)]}
    data = dataset(tmp_path, ["text"], splits, {"text": CHAR})
    assert data.vocabularies["text"].tokens([4]) == ["a"]
    assert data.valid.fields["text"].ids.tolist() == [4, UNK, EOS]
    report = json.loads((data.folder / "report.json").read_text())["fields"]["text"]
    assert report["splits"]["train"]["oov_rate"] == 0
    assert report["splits"]["valid"]["oov_rate"] == 0.5
    assert report["splits"]["test"]["coverage"] == 0.5
    assert report["splits"]["train"]["frequent_unknown"] == []
    assert report["splits"]["valid"]["frequent_unknown"] == [["b", 1]]
    assert report["splits"]["test"]["frequent_unknown"] == [["c", 1]]
    assert report["splits"]["test"]["characters_per_token"] == 1
    assert data.manifest["splits"]["test"]["text"]["unknown"] == 1


def test_the_length_histogram_counts_every_row(tmp_path):
    rows = [("x", "y" * n) for n in (0, 1, 1, 2, 3, 5, 40)]
    fields = {"source": CHAR, "target": CHAR}
    data = dataset(tmp_path, ["source", "target"], dict.fromkeys(SPLITS, rows), fields, max_length=5)
    report = json.loads((data.folder / "report.json").read_text())["fields"]
    assert report["target"]["train_lengths"] == {
        "edges": [0, 1, 2, 4, 8, 16, 32, 64],
        "counts": [1, 2, 2, 1, 0, 0, 1],
    }
    assert report["source"]["train_lengths"] == {"edges": [0, 1, 2], "counts": [0, 7]}


def test_the_report_by_hand(tmp_path):
    texts = ["the cat sat", "the the dog", "x"]
    data = text_dataset(tmp_path, texts, {"unit": "word", "min_count": 2}, max_length=2)
    report = json.loads((data.folder / "report.json").read_text())
    assert report["dataset"] == "tiny"
    field = report["fields"]["text"]
    assert (field["unit"], field["vocabulary"], field["size"]) == ("word", "text", 5)
    train = field["splits"]["train"]
    assert (train["rows"], train["tokens"], train["characters"]) == (3, 7, 23)
    assert train["oov_rate"] == 4 / 7
    assert train["coverage"] == 1 / 5  # of the, cat, sat, dog, x
    assert train["vocabulary_used"] == 1
    assert train["characters_per_token"] == 23 / 7
    assert (train["cut_rows_with_context_text"], train["cut_tokens_with_context_text"]) == (2, 2)
    assert train["cut_rows_share_with_context_text"] == 2 / 3
    assert train["cut_tokens_share_with_context_text"] == 2 / 10
    assert train["frequent_unknown"] == [["cat", 1], ["dog", 1], ["sat", 1], ["x", 1]]
    assert field["splits"]["test"]["cut_rows_with_context_text"] == 0
    assert data.manifest["splits"]["train"] == {
        "rows": 3,
        "text": {
            "tokens": 10,
            "unknown": 4,
            "cut_rows_with_context_text": 2,
            "cut_tokens_with_context_text": 2,
        },
    }


def test_blank_targets_are_kept(tmp_path):
    data = pair_dataset(tmp_path, [("a", ""), ("b", "c")])
    assert data.train.fields["target"].row(0).tolist() == [EOS]
    assert data.raw_texts("train", "target") == ["", "c"]


@pytest.mark.parametrize(("words", "kind"), [((1 << 16) - 4, np.uint16), ((1 << 16) - 3, np.uint32)])
def test_ids_take_two_bytes_as_long_as_all_fit(tmp_path, words, kind):
    text = " ".join(f"w{n}" for n in range(words))
    field = text_dataset(tmp_path, [text], {"unit": "word"}).train.fields["text"]
    assert field.ids.dtype == kind
    assert field.ids.max() == words + 3


def test_large_vocabularies_take_wider_ids(tmp_path):
    words = [" ".join(f"w{n}" for n in range(start, start + 10_000)) for start in range(0, 70_000, 10_000)]
    data = text_dataset(tmp_path, words, {"unit": "word"})
    field = data.train.fields["text"]
    assert field.ids.dtype == np.uint32
    assert field.ids.max() == 70_003
    assert data.vocabularies["text"].decode(field.ids[60_006 : 60_006 + 2]) == "w60000 w60001"


def test_small_chunks_give_the_same_files(tmp_path, monkeypatch):
    first = text_dataset(tmp_path / "a", TEXTS, CHAR)
    monkeypatch.setattr(workers, "BATCH_CHARACTERS", 1)
    second = text_dataset(tmp_path / "b", TEXTS, CHAR)
    assert first.manifest["sha256"] == second.manifest["sha256"]
    names = {path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file()}
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in names)


def test_another_length_is_another_data_set(tmp_path):
    assert (
        text_dataset(tmp_path / "a", TEXTS, CHAR, 3).manifest["sha256"]
        != text_dataset(tmp_path / "b", TEXTS, CHAR, 4).manifest["sha256"]
    )


def test_a_missing_column_is_named(tmp_path):
    splits = {split: [("a",)] for split in SPLITS}
    with pytest.raises(UserError, match="no column 'txt'"):
        dataset(tmp_path, ["text"], splits, {"text": {"column": "txt", "unit": "char"}})


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="encode the dataset first"):
        EncodedDataset.open(tmp_path)


def test_a_split_without_rows_is_refused_and_leaves_nothing(tmp_path):
    data = text_dataset(tmp_path, TEXTS, CHAR)
    assert data.manifest["dataset"] == "tiny"
    path = tmp_path / "raw" / "valid.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    (tmp_path / "raw" / "SHA256SUMS").unlink()
    settings = DatasetSettings(corpus="tiny", fields={"text": CHAR}, max_length=3)
    with pytest.raises(UserError, match="no rows"):
        encode_dataset("tiny", tmp_path / "raw", tmp_path / "vocab", settings, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_vocabularies_of_other_fields_are_refused(tmp_path):
    text_dataset(tmp_path, TEXTS, CHAR)
    settings = DatasetSettings(corpus="tiny", fields={"source": CHAR, "target": CHAR}, max_length=3)
    with pytest.raises(UserError, match="the dataset's fields need"):
        encode_dataset("tiny", tmp_path / "raw", tmp_path / "vocab", settings, tmp_path / "new")


@pytest.mark.parametrize("pieces", [[], [3], [0, 5, 100_000]])
def test_an_array_that_grows_is_the_array(tmp_path, pieces):
    arrays = [np.arange(n, dtype=np.int64) for n in pieces]
    with encoding.GrowingArray(tmp_path / "a.npy", np.uint32) as file:
        for array in arrays:
            file.append(array)
    expected = np.concatenate([np.zeros(0, dtype=np.int64), *arrays])
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.uint32
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "fields should be `text` alone, `source` and `target`, or `image` and `target`"),
        ({"source": CHAR}, "fields should be `text` alone, `source` and `target`, or `image` and `target`"),
        (
            {"text": CHAR, "source": CHAR},
            "fields should be `text` alone, `source` and `target`, or `image` and `target`",
        ),
        ({"source": {"share": "source"}, "target": CHAR}, "cannot share its own vocabulary"),
        ({"source": {"share": "text"}, "target": CHAR}, "there is no 'text'"),
        ({"source": {"share": "target"}, "target": {"share": "source"}}, "has none of its own"),
    ],
)
def test_fields_that_contradict_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        DatasetSettings(corpus="c", fields=fields, max_length=3)
