"""Subword regularisation: the training split in other pieces each epoch.

Kudo (2018), "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword Candidates":
a segmentation is drawn with p(x)^α, over all of them, from a unigram model. Provilkov et al. (2020), "BPE-Dropout":
each merge of a BPE model is left out with probability α.
"""

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unroll.settings import Settings
from unroll.text.corpus import read_texts
from unroll.text.encoded import RAW, EncodedDataset, EncodedField, EncodedSplit
from unroll.text.specials import EOS
from unroll.text.units.subword import SubwordVocabulary
from unroll.text.vocabulary import load_vocabularies

BATCH_ROWS = 1_024  # drawn from one seed
SEEDS = 1 << 31


class SamplingSettings(Settings):
    """Part of `runs.RUN.train` of what reads subwords."""

    sampling: float | None = Field(default=None, gt=0, le=1)
    """α: each epoch has the training text in other pieces, drawn anew. `model: unigram`: with p(x)^α, so that a smaller
    α draws more freely; `model: bpe`: α is the share of merges left out, so that a larger one does. Null: the likeliest
    pieces. Validation and evaluation are never sampled. An epoch has as many updates as without sampling: of a stream,
    `bptt` is longer by as much as the sampled text is."""


class SampledDataset(EncodedDataset):
    """A dataset whose fields of subwords are encoded anew for each epoch."""

    def __init__(self, data: EncodedDataset, vocabularies: Path, alpha: float) -> None:
        """`vocabularies` is the folder of the dataset's; `alpha` as in `SamplingSettings`."""
        vars(self).update(vars(data))  # what is open already, and checked
        self._alpha = alpha
        self._vocabularies = load_vocabularies(vocabularies)

    def epoch(self, order: np.random.Generator) -> EncodedSplit:
        """The training split, its pieces drawn from `order`; memory holds the ids of all of it."""
        fields = dict(self.train.fields)
        for name in fields:
            vocabulary = self._vocabularies[name]
            if isinstance(vocabulary, SubwordVocabulary):
                fields[name] = self._draw(name, vocabulary, order)
        return EncodedSplit(fields, self.train.raw, self.train.images)

    def _draw(self, field: str, vocabulary: SubwordVocabulary, order: np.random.Generator) -> EncodedField:
        kind = self.train.fields[field].ids.dtype
        ids: list[NDArray[np.integer]] = []
        sizes: list[NDArray[np.int64]] = []
        texts = read_texts(self.train.raw.parent, Path(RAW).stem, field)
        while batch := list(islice(texts, BATCH_ROWS)):
            drawn, lengths = vocabulary.sample_many(batch, self._alpha, int(order.integers(SEEDS)))
            ids.append(np.insert(drawn, np.cumsum(lengths), EOS).astype(kind))
            sizes.append(lengths + 1)
        all_sizes = np.concatenate(sizes)
        kept = np.minimum(all_sizes, self.manifest["max_length"] + 1)
        offsets = np.concatenate([[0], np.cumsum(all_sizes)])
        return EncodedField(np.concatenate(ids), offsets, kept.astype(np.int32))
