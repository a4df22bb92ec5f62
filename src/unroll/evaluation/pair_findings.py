"""What evaluation finds out about a model of pairs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unroll.engine import LOCAL, Engine
from unroll.evaluation.baselines import baselines
from unroll.evaluation.bucket_figure import scores_by_bucket
from unroll.evaluation.excerpts import PAIR_SEED, SHOWN, random_rows
from unroll.evaluation.figures import alignment
from unroll.evaluation.findings import Findings, as_csv, as_lines
from unroll.evaluation.pair_measures import PairMeasures, copy_rate, measure_pairs, score_lines
from unroll.evaluation.pairs import SENTENCE_KEY, Metric, one_line
from unroll.evaluation.predictors import Hypothesis, PairModel
from unroll.evaluation.samples import Pair, pair_page
from unroll.evaluation.settings import PairEvaluation
from unroll.text.encoded import EncodedDataset
from unroll.text.specials import EOS, SPECIALS

MAPS, MAP_TOKENS = 4, 30  # attention figures, and the tokens that one has room for
DRAWN: dict[Metric, dict[str, str]] = {
    "bleu": {"bleu": "BLEU", "chrf": "chrF"},
    "rouge": {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"},
}


def pair_findings(
    predictor: PairModel, dataset: EncodedDataset, settings: PairEvaluation, engine: Engine = LOCAL
) -> Findings:
    """Scores of the best hypotheses and of the baselines, where they are how good, and where the model looked."""
    sources = dataset.raw_texts("test", "source")
    measured = measure_pairs(predictor, sources, dataset.raw_texts("test", "target"), settings, engine)
    metrics, scores = measured.metrics(), measured.scores
    others = {
        name: {**score_lines(lines, measured.references, settings).corpus, **copy_rate(sources, lines)}
        for name, lines in _baseline_lines(dataset, settings, sources).items()
    }
    key = SENTENCE_KEY[settings.metric]
    ranks = [sentence[key] for sentence in scores.sentences]
    places = range(1, len(sources) + 1)
    pairs = list(map(Pair, places, measured.sources, measured.references, measured.hypotheses, ranks))
    maps = _attention_maps(predictor, sources, measured.found)
    groups = {"words in the source": measured.by_source_words, "unknown source tokens": measured.by_unknown_tokens}
    return Findings(
        metrics={**metrics, "baseline": others},
        page=pair_page({"model": scores.corpus, **others}, metrics["interval"], groups, key, pairs, list(maps)),
        predictions={
            "sources.txt": as_lines(measured.sources),
            "references.txt": as_lines(measured.references),
            "hypotheses.txt": as_lines(measured.hypotheses),
            "scores.csv": _scores_csv(measured),
        },
        figures={**maps, "scores_by_length.png": scores_by_bucket(groups, DRAWN[settings.metric])},
        unit=predictor.target.unit,
    )


def _scores_csv(measured: PairMeasures) -> str:
    """A row a pair: the model's score, those that mean something for a single pair, and what the others are made of."""
    sentences, statistics = measured.scores.sentences, measured.scores.statistics
    shown = list(sentences[0])
    counts = [name for name in statistics if name not in shown]
    rows = zip(measured.found, sentences, *(statistics[name].tolist() for name in counts), strict=True)
    table = [(hypothesis.score, *sentence.values(), *map(_plain, rest)) for hypothesis, sentence, *rest in rows]
    return as_csv(("model_score", *shown, *counts), table)


def _plain(number: float) -> float | int:
    """A count without its decimal point."""
    return int(number) if number.is_integer() else number


def _baseline_lines(dataset: EncodedDataset, settings: PairEvaluation, sources: Sequence[str]) -> dict[str, list[str]]:
    train_sources, train_targets = dataset.raw_texts("train", "source"), dataset.raw_texts("train", "target")
    found = baselines(settings.metric, sources, train_sources, train_targets)
    return {name: [one_line(text) for text in texts] for name, texts in found.items()}


def _attention_maps(predictor: PairModel, sources: Sequence[str], found: Sequence[Hypothesis]) -> dict[str, bytes]:
    """Figures of a few of the pairs shown at random, first of those whose tokens fit; none of what does not attend."""
    shown = {
        place: weights_TS
        for place in random_rows(len(sources), SHOWN, PAIR_SEED)
        if (weights_TS := found[place].alignment) is not None and len(weights_TS)
    }
    chosen = sorted(shown, key=lambda place: max(shown[place].shape) > MAP_TOKENS)[:MAPS]
    return {
        f"attention_row_{place + 1}.png": _attention_map(
            shown[place],
            [*predictor.source.tokens(predictor.source.encode(sources[place])), SPECIALS[EOS]],
            found[place].tokens,
        )
        for place in sorted(chosen)
    }


def _attention_map(weights_TS: NDArray[np.float64], source: Sequence[str], target: Sequence[str]) -> bytes:
    """The figure of a pair: its first target tokens, and the source tokens that these look at most, in their order."""
    targets, sources = weights_TS.shape
    weights_TS = weights_TS[:MAP_TOKENS]
    most = np.sort(np.argsort(-weights_TS.sum(axis=0), kind="stable")[:MAP_TOKENS])
    cuts = [f"the first {MAP_TOKENS} of {targets} target tokens"] if targets > MAP_TOKENS else []
    cuts += [f"the {MAP_TOKENS} of {sources} source tokens looked at most"] if sources > MAP_TOKENS else []
    return alignment(weights_TS[:, most], [source[n] for n in most], target[:MAP_TOKENS], ", ".join(cuts))
