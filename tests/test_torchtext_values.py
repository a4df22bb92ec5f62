"""torchtext makes of small texts what it made of them when its values were taken.

Only the environment of requirements/torchtext.txt, with pytest added, can tell:
PYTHONPATH=src python -m pytest tests/test_torchtext_values.py
"""

import json

import pytest

pytest.importorskip("torchtext", reason="requirements/torchtext.txt is an environment of its own")

from torchtext_values import FIELDS, FOLDER, VALUES, values

from unroll.bridges.torchtext import Tokens, read_vocab, row_transform
from unroll.errors import UserError


@pytest.mark.parametrize("name", FIELDS)
def test_the_values_are_what_torchtext_says(name):
    assert values(name) == json.loads(VALUES.read_text(encoding="utf-8"))[name]


def test_one_text_is_a_row_and_many_are_a_batch():
    path = FOLDER / "word.json"
    assert Tokens(path)("the cat") == ["the", "cat"]
    assert row_transform(path, None)("the cat").tolist() == row_transform(path, None)(["the cat"]).tolist()[0]
    assert row_transform(path, 1)("the cat").tolist() == row_transform(path, None)("the cat").tolist()[:2]


def test_a_vocabulary_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no such file"):
        read_vocab(FOLDER / "nowhere.json")
