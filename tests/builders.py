"""Small encoded data sets, made through the real stages."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unroll.text.corpus import Corpus, write_corpus
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.vocabulary import save_vocabularies
from unroll.training.run import train_run

Rows = Sequence[tuple[str, ...]]


def dataset(
    folder: Path, columns: Sequence[str], splits: Mapping[str, Rows], fields: dict[str, Any], max_length: int = 100
) -> EncodedDataset:
    """The encoded data set of `splits`, whose rows have `columns`; everything lies below `folder`."""
    rows = ((split, row) for split, texts in splits.items() for row in texts)
    write_corpus(Corpus(columns=tuple(columns), licence="CC0", origin="a test", rows=rows), folder / "raw")
    settings = DatasetSettings(corpus="tiny", fields=fields, max_length=max_length)
    vocabularies = save_vocabularies(folder / "raw", settings, folder / "vocab")
    encode_dataset("tiny", folder / "raw", folder / "vocab", settings, folder / "encoded")
    data = EncodedDataset.open(folder / "encoded")
    data.vocabularies = vocabularies
    return data


def text_dataset(folder: Path, texts: Sequence[str], unit: Mapping[str, Any], max_length: int = 100) -> EncodedDataset:
    """Texts for a language model, the same ones in every split."""
    rows = [(text,) for text in texts]
    splits = {"train": rows, "valid": rows, "test": rows}
    return dataset(folder, ["text"], splits, {"text": dict(unit)}, max_length)


def pair_dataset(
    folder: Path, pairs: Sequence[tuple[str, str]], max_length: int = 100, shared: bool = False
) -> EncodedDataset:
    """Pairs of words, the same ones in every split."""
    splits = {"train": pairs, "valid": pairs, "test": pairs}
    fields = {"source": {"unit": "word"}, "target": {"share": "source"} if shared else {"unit": "word"}}
    return dataset(folder, ["source", "target"], splits, fields, max_length)


def image_dataset(
    folder: Path, scenes: int = 24, edge: int = 24, unit: Mapping[str, Any] | None = None
) -> EncodedDataset:
    """Small pictures of shapes with captions."""
    from unroll.text.sources import read
    from unroll.text.sources.scenes import CorpusSettings

    corpus = CorpusSettings(source="scenes", path="x", scenes=scenes, pixels=24)
    write_corpus(read(corpus), folder / "raw", corpus)
    fields = {"image": {"unit": "pixels", "edge": edge}, "target": {"column": "captions", **(unit or {"unit": "word"})}}
    return encoded(folder, fields)


def encoded(folder: Path, fields: dict[str, Any]) -> EncodedDataset:
    """The data set of the corpus in `folder`."""
    settings = DatasetSettings(corpus="tiny", fields=fields, max_length=100)
    vocabularies = save_vocabularies(folder / "raw", settings, folder / "vocab")
    encode_dataset("tiny", folder / "raw", folder / "vocab", settings, folder / "encoded")
    data = EncodedDataset.open(folder / "encoded")
    data.vocabularies = vocabularies
    return data


def trained(folder: Path, name: str, run: Any, data: EncodedDataset) -> None:
    """Train a run as the pipeline does: its bundle in `models`, its results in a folder of its name."""
    places = folder / "models" / name, folder / name, folder / "checkpoints"
    train_run(name, run, data, data.folder.parent / "vocab", folder / "models", [], torch.device("cpu"), *places)


def npy(array: np.ndarray) -> bytes:
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()
