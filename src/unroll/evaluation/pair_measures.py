"""The measures of a model of pairs: how good its best hypotheses are, and where they are how good."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unroll.engine import LOCAL, Engine
from unroll.evaluation.buckets import UNKNOWN, WORDS, Bucket, as_metrics, buckets
from unroll.evaluation.pairs import KEYS, PairScores, one_line, score_pairs
from unroll.evaluation.predictors import Hypothesis, PairModel
from unroll.evaluation.scores import intervals
from unroll.evaluation.settings import PairEvaluation
from unroll.evaluation.words import words
from unroll.progress import parts_done


@dataclass(frozen=True)
class PairMeasures:
    """What a model made of some sources, each a line with its reference, and how good it is."""

    sources: list[str]
    references: list[str]
    hypotheses: list[str]
    found: Sequence[Hypothesis]
    """The hypotheses as the model gave them."""
    scores: PairScores
    by_source_words: list[Bucket]
    by_unknown_tokens: list[Bucket]
    """By the tokens of the source that its vocabulary does not have."""

    def metrics(self) -> dict[str, Any]:
        """All of it that is numbers, and the signatures: what a run's `metrics.json` has of its model."""
        key = next(iter(self.scores.corpus))
        return {
            "test": self.scores.corpus,
            "interval": {name: list(ends) for name, ends in intervals([key], self.scores.statistics).items()},
            "by_source_words": as_metrics(self.by_source_words),
            "by_unknown_tokens": as_metrics(self.by_unknown_tokens),
            "signature": self.scores.signatures,
        }


def measure_pairs(
    predictor: PairModel,
    sources: Sequence[str],
    references: Sequence[str],
    settings: PairEvaluation,
    engine: Engine = LOCAL,
) -> PairMeasures:
    """Decode `sources`, which `engine` does, and score the best hypothesis of each against its reference.

    Says so on stderr if the references look tokenized and the settings do not.
    """
    with parts_done("decoded", len(sources)) as tell:
        found = predictor.decode(sources, settings, tell, engine)
    lines = [one_line(hypothesis.text) for hypothesis in found]
    reference_lines = [one_line(text) for text in references]
    tokenized = sum(line.endswith(" .") for line in reference_lines)
    if settings.metric == "bleu" and not settings.tokenized and tokenized > len(references) / 2:
        print(
            f"{tokenized:,} of {len(references):,} references end in ' .' and look tokenized; "
            "`evaluate: {tokenized: true}` scores their tokens as they are",
            file=sys.stderr,
        )
    scores = score_lines(lines, reference_lines, settings)
    scores.corpus.update(copy_rate(sources, lines))
    p_gen = predictor.p_gen(sources, found)
    scores.corpus.update({} if p_gen is None else {"p_gen": p_gen})
    keys = [*KEYS[settings.metric], "length_ratio"]
    lengths = [len(words(source)) for source in sources]
    unknown = [len(predictor.source.unknown_tokens(source)) for source in sources]
    return PairMeasures(
        sources=[one_line(text) for text in sources],
        references=reference_lines,
        hypotheses=lines,
        found=found,
        scores=scores,
        by_source_words=buckets(lengths, WORDS, keys, scores.statistics),
        by_unknown_tokens=buckets(unknown, UNKNOWN, keys, scores.statistics),
    )


def copy_rate(sources: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """The share of the hypotheses' words that stand in their source; nothing if they have none."""
    written, read = ([words(text) for text in texts] for texts in (hypotheses, sources))
    copied = [word in set(there) for said, there in zip(written, read, strict=True) for word in said]
    return {"copy_rate": sum(copied) / len(copied)} if copied else {}


def score_lines(hypotheses: Sequence[str], references: Sequence[str], settings: PairEvaluation) -> PairScores:
    """`score_pairs` as a run is told to."""
    return score_pairs(
        settings.metric,
        hypotheses,
        references,
        settings.language,
        stem=settings.stem,
        tokenized=settings.tokenized,
    )
