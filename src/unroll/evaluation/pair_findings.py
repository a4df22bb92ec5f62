"""What evaluation finds out about a model of pairs."""

from collections.abc import Sequence

from unroll.evaluation.baselines import baselines
from unroll.evaluation.figures import alignment
from unroll.evaluation.findings import Findings, as_csv, as_lines
from unroll.evaluation.pairs import SENTENCE_KEY, one_line, score_pairs
from unroll.evaluation.predictors import Hypothesis, PairModel
from unroll.evaluation.samples import SHOWN, Pair, pair_page, random_rows
from unroll.evaluation.settings import PairEvaluation
from unroll.text.encoded import EncodedDataset
from unroll.text.specials import EOS, SPECIALS

PAIR_SEED = 1  # draws the pairs that are shown
MAPS, MAP_TOKENS = 4, 30  # attention figures, and the tokens that one has room for


def pair_findings(predictor: PairModel, dataset: EncodedDataset, settings: PairEvaluation) -> Findings:
    """Scores of the best hypotheses and of the baselines, the worst pairs, and where the model looked."""
    sources = dataset.raw_texts("test", "source")
    references = [one_line(text) for text in dataset.raw_texts("test", "target")]
    found = predictor.decode(sources, settings)
    lines = [one_line(hypothesis.text) for hypothesis in found]
    scores = score_pairs(settings.metric, lines, references, settings.language)
    others = {
        name: score_pairs(settings.metric, texts, references, settings.language).corpus
        for name, texts in _baseline_lines(dataset, settings, sources).items()
    }
    key = SENTENCE_KEY[settings.metric]
    source_lines = [one_line(text) for text in sources]
    ranks = [sentence[key] for sentence in scores.sentences]
    pairs = list(map(Pair, range(1, len(lines) + 1), source_lines, references, lines, ranks))
    maps = _attention_maps(predictor, sources, found)
    table = [
        (hypothesis.score, *sentence.values()) for hypothesis, sentence in zip(found, scores.sentences, strict=True)
    ]
    return Findings(
        metrics={"test": scores.corpus, "baseline": others, "signature": scores.signatures},
        page=pair_page({"model": scores.corpus, **others}, key, pairs, PAIR_SEED, list(maps)),
        predictions={
            "sources.txt": as_lines(source_lines),
            "references.txt": as_lines(references),
            "hypotheses.txt": as_lines(lines),
            "scores.csv": as_csv(("model_score", *scores.sentences[0]), table),
        },
        figures=maps,
        unit=predictor.target.unit,
    )


def _baseline_lines(dataset: EncodedDataset, settings: PairEvaluation, sources: Sequence[str]) -> dict[str, list[str]]:
    train_sources, train_targets = dataset.raw_texts("train", "source"), dataset.raw_texts("train", "target")
    found = baselines(settings.metric, sources, train_sources, train_targets)
    return {name: [one_line(text) for text in texts] for name, texts in found.items()}


def _attention_maps(predictor: PairModel, sources: Sequence[str], found: Sequence[Hypothesis]) -> dict[str, bytes]:
    """Figures of a few of the pairs shown at random, whose tokens fit; none if the model does not attend."""
    maps: dict[str, bytes] = {}
    for place in random_rows(len(sources), SHOWN, PAIR_SEED):
        hypothesis = found[place]
        weights_TS = hypothesis.alignment
        if weights_TS is None or not len(weights_TS) or max(weights_TS.shape) > MAP_TOKENS:
            continue
        ids = predictor.source.encode(sources[place])
        tokens = [*predictor.source.tokens(ids), SPECIALS[EOS]][: weights_TS.shape[1]]
        maps[f"attention_row_{place + 1}.png"] = alignment(weights_TS, tokens, hypothesis.tokens)
        if len(maps) == MAPS:
            break
    return maps
