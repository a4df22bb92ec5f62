"""BLEU, chrF and ROUGE of hypotheses against references, by their reference libraries.

A text is scored as one line, the very line that is written to disk: so sacrebleu's command line on the written files
gives the stored figure.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from unroll.evaluation.words import TOKENIZER, words

Metric = Literal["bleu", "rouge"]
KEYS: dict[Metric, tuple[str, ...]] = {"bleu": ("bleu", "chrf"), "rouge": ("rouge1", "rouge2", "rougeL")}
"""The figures of each metric, the one that ranks runs first."""
SENTENCE_KEY: dict[Metric, str] = {"bleu": "chrf", "rouge": "rougeL"}
"""The figure that ranks single sentences."""

# Where words are not set apart by spaces, BLEU counts characters; the segmenters for them are no part of sacrebleu.
_BLEU_TOKENIZERS = {"zh": "zh", **dict.fromkeys(("ja", "th", "lo", "km", "my", "bo"), "char")}


@dataclass(frozen=True)
class PairScores:
    """How good hypotheses are: figures times 100, but `length_ratio` and the share `exact`."""

    corpus: dict[str, float]
    sentences: list[dict[str, float]]
    signatures: dict[str, str]


def one_line(text: str) -> str:
    """`text` with every run of whitespace, line ends among it, as one space."""
    return " ".join(text.split())


def score_pairs(metric: Metric, hypotheses: Sequence[str], references: Sequence[str], language: str) -> PairScores:
    """Score `hypotheses` against `references`, lines without line ends, one reference each.

    `length_ratio`, the tokens of all hypotheses over those of all references, is missing if the latter have none.
    """
    score = _bleu if metric == "bleu" else _rouge
    scores = score(hypotheses, references, language)
    equal = sum(hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True))
    scores.corpus["exact"] = equal / len(references)
    return scores


def _bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> PairScores:
    """BLEU (Papineni et al., 2002) and chrF (Popović, 2015); single sentences by chrF."""
    code = language.lower().replace("_", "-").split("-")[0]
    bleu, chrf = BLEU(tokenize=_BLEU_TOKENIZERS.get(code, "13a")), CHRF()
    found = bleu.corpus_score(hypotheses, [references])
    corpus = {"bleu": found.score, "chrf": chrf.corpus_score(hypotheses, [references]).score}
    if found.ref_len:
        corpus["length_ratio"] = found.sys_len / found.ref_len
    sentences = [
        {"chrf": chrf.sentence_score(hypothesis, [reference]).score}
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    signatures = {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    return PairScores(corpus, sentences, signatures)


class _Words:
    """The tokenizer that rouge-score is given."""

    tokenize: Callable[[str], list[str]] = staticmethod(words)


def _rouge(hypotheses: Sequence[str], references: Sequence[str], language: str) -> PairScores:
    """ROUGE-1, -2 and -L (Lin, 2004): the mean F1 of the sentences. Any `language` is tokenized the same way."""
    keys = KEYS["rouge"]
    scorer = RougeScorer(list(keys), tokenizer=_Words())
    sentences = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        found = scorer.score(reference, hypothesis)
        sentences.append({key: 100 * float(found[key].fmeasure) for key in keys})
    corpus = {key: math.fsum(sentence[key] for sentence in sentences) / len(sentences) for key in keys}
    length = sum(len(words(reference)) for reference in references)
    if length:
        corpus["length_ratio"] = sum(len(words(hypothesis)) for hypothesis in hypotheses) / length
    signature = f"F1 mean|nrefs:1|stem:no|tok:{TOKENIZER}|rouge-score:{version('rouge-score')}"
    return PairScores(corpus, sentences, {"rouge": signature})
