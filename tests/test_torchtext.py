"""The bridge to torchtext: the same ids, rows and padding as what torchtext itself made of the same vocabularies."""

import json

import numpy as np
import pytest
import torch
from builders import text_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torchtext_values import FIELDS, FOLDER, MAX_LENGTH, TEXTS, UNSEEN, VALUES, write_vocabularies

from unroll.bridges.vocabulary_file import read_entries, read_splitter
from unroll.errors import UserError
from unroll.kinds.language_model.settings import LanguageModelBatches, LanguageModelSettings
from unroll.kinds.language_model.task import Task
from unroll.text.batches import make_batch
from unroll.text.specials import PAD, SPECIALS, UNK
from unroll.text.vocabulary import _load

TAKEN = json.loads(VALUES.read_text(encoding="utf-8"))
CUT = [name for name, field in FIELDS.items() if field["unit"] != "syllable"]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(" <>/spadunk\n￭￮Aa.", max_size=30)


def test_the_vocabularies_that_were_taken_are_those_of_today(tmp_path):
    write_vocabularies(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in FOLDER.iterdir() if path != VALUES
    }


@pytest.mark.parametrize("name", FIELDS)
def test_names_have_the_ids_that_torchtext_gives_them(name):
    taken = TAKEN[name]
    assert read_entries(FOLDER / f"{name}.json") == taken["names"]
    assert len(set(taken["names"])) == len(taken["names"]) == len(_load(FOLDER, name))
    assert taken["names"][: len(SPECIALS)] == list(SPECIALS)
    assert taken["default"] == UNK


@pytest.mark.parametrize("name", [name for name in CUT if name != "whitespace"])
def test_torchtext_ranks_tokens_the_same_way(name):
    assert TAKEN[name]["built"] == TAKEN[name]["names"]


@pytest.mark.parametrize("name", CUT)
def test_texts_have_the_ids_that_torchtext_gives_them(name):
    vocabulary = _load(FOLDER, name)
    assert [vocabulary.encode(text).tolist() for text in TEXTS + UNSEEN] == TAKEN[name]["ids"]


@pytest.mark.parametrize("name", CUT)
def test_batches_are_cut_and_padded_as_by_torchtext(name, tmp_path):
    data = text_dataset(tmp_path, TEXTS, FIELDS[name], MAX_LENGTH)
    rows = np.arange(len(TEXTS))
    assert make_batch(data.train, rows).ids["text"].tolist() == TAKEN[name]["rows"]
    assert make_batch(data.valid, rows).ids["text"].tolist() == TAKEN[name]["uncut"]
    assert any(row.count(PAD) for row in TAKEN[name]["rows"])
    assert len(TAKEN[name]["rows"][0]) == MAX_LENGTH + 1


@pytest.mark.parametrize("name", CUT)
def test_a_model_reads_what_torchtext_puts_before_each_token(name, tmp_path):
    data = text_dataset(tmp_path, TEXTS, FIELDS[name], MAX_LENGTH)
    batches = LanguageModelBatches(context="text", batch_size=len(TEXTS))
    model = LanguageModelSettings(kind="language_model", cell="gru", embedding=2, hidden=2)
    task = Task(model, batches, data, torch.device("cpu"))
    (piece,) = task.batches(np.random.default_rng(1))
    assert sorted(piece.segment.inputs.tolist()) == sorted(TAKEN[name]["inputs"])
    assert sorted(piece.segment.targets.tolist()) == sorted(TAKEN[name]["rows"])


@pytest.mark.parametrize("name", CUT)
@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT)
def test_names_looked_up_are_the_ids_of_any_text(name, text):
    path = FOLDER / f"{name}.json"
    ids = {entry: n for n, entry in enumerate(read_entries(path))}
    assert [ids.get(token, UNK) for token in read_splitter(path)(text)] == _load(FOLDER, name).encode(text).tolist()


def test_a_token_that_looks_special_is_none():
    assert "￮<unk>" in read_entries(FOLDER / "whitespace.json")
    assert read_splitter(FOLDER / "whitespace.json")("a <pad> <s>") == ["a", "￮<pad>", "￮<s>"]


def test_what_torchtext_cannot_have_is_refused(tmp_path):
    (tmp_path / "text.json").write_text('{"unit": "subword", "characters": []}')
    with pytest.raises(UserError, match=r"a subword vocabulary is a model .*text\.model"):
        read_entries(tmp_path / "text.json")
    with pytest.raises(UserError, match="the stage vocab writes"):
        read_entries(tmp_path / "nowhere.json")
    with pytest.raises(UserError, match="texts of unit syllable are cut by unroll alone"):
        read_splitter(FOLDER / "syllable.json")
