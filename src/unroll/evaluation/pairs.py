"""How good hypotheses are: BLEU, chrF and TER, or ROUGE, by their reference libraries.

A text is scored as one line, the very line that is written to disk: so sacrebleu's command line on the written files
gives the stored figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unroll.evaluation.scores import Numbers, figures

Metric = Literal["bleu", "rouge"]
KEYS: dict[Metric, tuple[str, ...]] = {
    "bleu": ("bleu", "bleu_lc", "chrf", "ter"),
    "rouge": ("rouge1", "rouge2", "rougeL"),
}
"""The figures of each metric, the one that ranks runs first; lower is better for `ter` alone."""
SENTENCE_KEYS: dict[Metric, tuple[str, ...]] = {"bleu": ("chrf", "ter"), "rouge": KEYS["rouge"]}
"""The figures that mean something for a single sentence."""
SENTENCE_KEY: dict[Metric, str] = {"bleu": "chrf", "rouge": "rougeL"}
"""The figure that ranks single sentences."""


@dataclass(frozen=True)
class PairScores:
    """How good hypotheses are: figures times 100, but `length_ratio` and the share `exact`."""

    corpus: dict[str, float]
    sentences: list[dict[str, float]]
    signatures: dict[str, str]
    """What was counted in which way, by the key of the figure; one for all of ROUGE."""
    statistics: dict[str, Numbers]
    """Counts of each pair, from which `scores.figures` has those of any part."""


def one_line(text: str) -> str:
    """`text` with every run of whitespace, line ends among it, as one space."""
    return " ".join(text.split())


def score_pairs(
    metric: Metric,
    hypotheses: Sequence[str],
    references: Sequence[str],
    language: str,
    *,
    stem: bool = False,
    tokenized: bool = False,
    keys: Sequence[str] | None = None,
) -> PairScores:
    """Score `hypotheses` against `references`, lines without line ends, one reference each.

    `stem` and `tokenized` are those of `PairEvaluation`. `keys` are the figures wanted among `KEYS[metric]`, by default
    all: TER takes ten times as long as the others together. `length_ratio`, the tokens of all hypotheses over those of
    all references, is missing if the latter have none, or BLEU is not wanted.
    """
    keys = KEYS[metric] if keys is None else keys
    # Each library takes a while to import.
    if metric == "bleu":
        from unroll.evaluation.translation import translation_statistics

        statistics, signatures = translation_statistics(hypotheses, references, keys, language, tokenized)
    else:
        from unroll.evaluation.rouge import rouge_statistics

        statistics, signatures = rouge_statistics(hypotheses, references, keys, stem)
    equal = [float(text == reference) for text, reference in zip(hypotheses, references, strict=True)]
    statistics["exact"] = np.array(equal)
    sentence_keys = [key for key in SENTENCE_KEYS[metric] if key in keys]
    return PairScores(
        corpus=figures([*keys, "length_ratio", "exact"], statistics),
        sentences=[figures(sentence_keys, statistics, np.array([row])) for row in range(len(equal))],
        signatures=signatures,
        statistics=statistics,
    )
