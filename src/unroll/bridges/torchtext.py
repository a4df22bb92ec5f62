"""A dataset's vocabulary, truncation and padding as torchtext's own objects.

torchtext ended at 0.18, which loads with torch 2.3 alone: `requirements/torchtext.txt` is the environment for this
module, which needs nothing else. B texts, T time.
"""

from collections import OrderedDict
from pathlib import Path
from typing import overload

from torch import nn
from torchtext.transforms import AddToken, Sequential, ToTensor, Truncate, VocabTransform
from torchtext.vocab import Vocab
from torchtext.vocab import vocab as ordered_vocab

from unroll.bridges.vocabulary_file import read_entries, read_splitter
from unroll.text.specials import BOS, EOS, PAD, UNK


def read_vocab(path: Path) -> Vocab:
    """The vocabulary in `path` (data/vocab/DATASET/FIELD.json) with the same ids; what it lacks is UNK.

    Raises `UserError` where there is none, for a subword one, which is a model and no list, and for a hybrid one.
    """
    vocab = ordered_vocab(OrderedDict.fromkeys(read_entries(path), 1))
    vocab.set_default_index(UNK)
    return vocab


class Tokens(nn.Module):
    """From a text, or a list of them, to names of tokens as the vocabulary in `path` cuts it (units char and word)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.split = read_splitter(path)

    @overload
    def forward(self, texts: str) -> list[str]: ...
    @overload
    def forward(self, texts: list[str]) -> list[list[str]]: ...
    def forward(self, texts: str | list[str]) -> list[str] | list[list[str]]:
        return self.split(texts) if isinstance(texts, str) else [self.split(text) for text in texts]


def row_transform(path: Path, max_length: int | None) -> Sequential:
    """From texts to the rows (B, T) that a batch of the dataset has: their ids and EOS, cut, padded with PAD.

    A row of more than `max_length` ids keeps one more than that many and no EOS, as in training; None never cuts.
    """
    return _sequential(path, AddToken(EOS, begin=False), max_length)


def input_transform(path: Path, max_length: int | None, first: int = BOS) -> Sequential:
    """From texts to what a model reads before each token of `row_transform` (B, T): `first`, then the tokens before.

    A decoder begins with BOS, a language model with EOS: a text begins where another has ended.
    """
    return _sequential(path, AddToken(first, begin=True), max_length)


def _sequential(path: Path, mark: AddToken, max_length: int | None) -> Sequential:
    cut = [] if max_length is None else [Truncate(max_length + 1)]
    return Sequential(Tokens(path), VocabTransform(read_vocab(path)), mark, *cut, ToTensor(PAD))
