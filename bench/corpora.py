"""Datasets of real text for the benchmarks that train, through the stages of the pipeline."""

from pathlib import Path

from unroll.text.corpus import write_corpus
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.sources import AnyCorpus, read
from unroll.text.vocabulary import save_vocabularies


def encode(corpus: AnyCorpus, dataset: DatasetSettings, folder: Path) -> EncodedDataset:
    """What fetch, vocab and encode make of a corpus, below `folder`."""
    raw, vocabularies, encoded = (folder / name for name in ("raw", "vocab", "encoded"))
    write_corpus(read(corpus), raw, corpus)
    save_vocabularies(raw, dataset, vocabularies)
    encode_dataset("bench", raw, vocabularies, dataset, encoded)
    return EncodedDataset.open(encoded)
