"""ROUGE of hypotheses against references, by rouge-score with a tokenizer for all of Unicode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import porter

from unroll.evaluation.scores import LENGTHS, Numbers
from unroll.evaluation.words import TOKENIZER, words

LONGEST_UNSTEMMED = 3  # letters, as in rouge-score


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer that rouge-score is given."""

    stem: Callable[[str], str] | None

    def tokenize(self, text: str) -> list[str]:
        if self.stem is None:
            return words(text)
        return [self.stem(word) if len(word) > LONGEST_UNSTEMMED else word for word in words(text)]


def rouge_statistics(
    hypotheses: Sequence[str], references: Sequence[str], keys: Sequence[str], stem: bool
) -> tuple[dict[str, Numbers], dict[str, str]]:
    """ROUGE-1, -2, -L (Lin, 2004), as `keys` say, of each pair: F1 times 100; its words, and the signature.

    Any language is tokenized the same way; `stem` takes the stems of English words (Porter, 1980), as rouge-score does.
    """
    scorer = RougeScorer(list(keys), tokenizer=Tokenizer(porter.PorterStemmer().stem if stem else None))
    found = [scorer.score(reference, text) for text, reference in zip(hypotheses, references, strict=True)]
    statistics = {key: np.array([100 * float(scores[key].fmeasure) for scores in found]) for key in keys}
    for column, texts in zip(LENGTHS, (hypotheses, references), strict=True):
        statistics[column] = np.array([float(len(words(text))) for text in texts])
    stemmer = "porter" if stem else "no"
    signature = f"F1 mean|nrefs:1|stem:{stemmer}|tok:{TOKENIZER}|rouge-score:{version('rouge-score')}"
    return statistics, {"rouge": signature}
