"""How good captions are, each against all that people said of its image.

BLEU-1 to -4 by sacrebleu, ROUGE-L by rouge-score, CIDEr-D by `cider`. Words are compared as ROUGE's are: in lower case,
without punctuation. sacrebleu's command line on the written files gives the stored BLEU-4.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from unroll.evaluation.cider import SIGNATURE, cider
from unroll.evaluation.pairs import PairScores
from unroll.evaluation.rouge import Tokenizer
from unroll.evaluation.scores import SCORES, Numbers, figures
from unroll.evaluation.words import TOKENIZER, words

KEYS = ("cider", "bleu1", "bleu2", "bleu3", "bleu4", "rougeL", "exact", "length_ratio")
SENTENCE_KEYS = ("cider", "rougeL")


def as_words(text: str) -> str:
    """A caption as it is compared."""
    return " ".join(words(text))


def score_captions(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> PairScores:
    """Score captions, each against one or more references; all as `as_words` has them.

    `exact` is the share of captions that are one of their references, `length_ratio` that of their words to the words
    of the references nearest in length.
    """
    most = max(map(len, references))
    streams: Any = [[said[n] if n < len(said) else None for said in references] for n in range(most)]
    metric = BLEU(tokenize="none", force=True)
    counts = np.array(metric._extract_corpus_statistics(hypotheses, streams), dtype=np.float64)
    statistics: dict[str, Numbers] = dict(zip(SCORES["bleu4"].columns, counts.T, strict=True))
    scorer = RougeScorer(["rougeL"], tokenizer=Tokenizer(None))
    rouge = [scorer.score_multi(said, text)["rougeL"] for text, said in zip(hypotheses, references, strict=True)]
    statistics["rougeL"] = np.array([100 * float(score.fmeasure) for score in rouge])
    statistics["cider"] = 100 * cider(
        [text.split() for text in hypotheses], [[r.split() for r in s] for s in references]
    )
    equal = [float(text in said) for text, said in zip(hypotheses, references, strict=True)]
    statistics["exact"] = np.array(equal)
    return PairScores(
        corpus=figures(KEYS, statistics),
        sentences=[figures(SENTENCE_KEYS, statistics, np.array([row])) for row in range(len(equal))],
        signatures={
            "bleu": f"{metric.get_signature()}|words:{TOKENIZER}",
            "rouge": f"F1, the best of all references|{TOKENIZER}",
            "cider": SIGNATURE,
        },
        statistics=statistics,
    )
