"""Evaluate one run on its test split and write what came out."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unroll.evaluation.baselines import baselines
from unroll.evaluation.figures import Scale, alignment, learning_curve, length_histogram, read_history
from unroll.evaluation.fluency import fluency, real_sample
from unroll.evaluation.inside.look import look_inside
from unroll.evaluation.language_model import TextMeasures, measure
from unroll.evaluation.pairs import SENTENCE_KEY, one_line, score_pairs
from unroll.evaluation.predictors import Hypothesis, LanguageModel, PairModel, RecurrentLanguageModel
from unroll.evaluation.samples import SHOWN, Pair, language_model_page, pair_page, random_rows
from unroll.evaluation.settings import LanguageModelEvaluation, PairEvaluation
from unroll.evaluation.words import words
from unroll.files import read_json, whole_file, whole_folder, write_json
from unroll.kinds.generation import Sampling
from unroll.text.encoded import EncodedDataset
from unroll.text.specials import EOS, SPECIALS

PAIR_SEED = 1  # draws the pairs that are shown
MAPS, MAP_TOKENS = 4, 30  # attention figures, and the tokens that one has room for


@dataclass(frozen=True)
class Findings:
    """All that evaluation found, before anything is written."""

    metrics: dict[str, Any]
    page: str
    predictions: dict[str, str]
    """Text of each file by name."""
    figures: dict[str, bytes]
    """Bytes of each file by name: PNG, HTML, and numbers as CSV."""
    unit: str
    """Of what the model predicts."""


def evaluate_run(
    predictor: Any,
    dataset: EncodedDataset,
    settings: LanguageModelEvaluation | PairEvaluation,
    model: Path,
    history: Path,
    results: Path,
    predictions: Path,
) -> None:
    """Evaluate `predictor` (a `LanguageModel` or a `PairModel`, as `settings` say) on the raw test split.

    `model` is the bundle it comes from. Writes `metrics.json`, `samples.md` and `figures/` below `results` and the
    folder `predictions`, once everything is known. Raises `UserError` if a language model has no finite score.
    """
    if isinstance(settings, LanguageModelEvaluation):
        findings = language_model_findings(predictor, dataset, settings)
        if isinstance(predictor, RecurrentLanguageModel):
            findings.figures.update(_inside(predictor, dataset, model))
    else:
        findings = pair_findings(predictor, dataset, settings)
    figures = {**findings.figures, "lengths.png": _lengths_figure(dataset)}
    curves = read_history(history)
    if any(curves.values()):
        scale: Scale = "bits" if findings.unit == "char" else "perplexity"
        figures["learning_curve.png"] = learning_curve(curves, scale)
    with whole_folder(predictions) as folder:
        for name, text in findings.predictions.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    with whole_folder(results / "figures") as folder:
        for name, image in figures.items():
            (folder / name).write_bytes(image)
    with whole_file(results / "samples.md") as file:
        file.write(findings.page)
    write_json(results / "metrics.json", {**findings.metrics, "cost": _cost(model)})


def _lengths_figure(dataset: EncodedDataset) -> bytes:
    lengths = {
        f"{name} ({dataset.manifest['fields'][name]['unit']})": np.diff(field.offsets)
        for name, field in dataset.train.fields.items()
    }
    return length_histogram(lengths, dataset.manifest["max_length"])


def _inside(predictor: RecurrentLanguageModel, dataset: EncodedDataset, model: Path) -> dict[str, bytes]:
    """What is seen inside; gradients are followed as far as training followed them."""
    bptt: int | None = read_json(model / "bundle.json")["settings"]["train"]["bptt"]
    lags = bptt or dataset.manifest["max_length"]
    return look_inside(predictor, dataset.raw_texts("test", "text"), dataset.train.fields["text"].ids, lags)


def _cost(model: Path) -> dict[str, int]:
    stated: dict[str, int] = read_json(model / "bundle.json")["cost"]
    return {**stated, "model_bytes": sum(path.stat().st_size for path in model.rglob("*") if path.is_file())}


def language_model_findings(
    predictor: LanguageModel, dataset: EncodedDataset, settings: LanguageModelEvaluation
) -> Findings:
    """Measures over the test texts; generated texts and their fluency beside as much real text."""
    texts = dataset.raw_texts("test", "text")
    measures, rows = measure(predictor, texts)
    prompts = [settings.prompts[n % len(settings.prompts)] for n in range(settings.samples)]
    generated = predictor.generate(
        prompts, max_tokens=settings.sample_tokens, sampling=Sampling(settings.temperature), seed=settings.seed
    )
    written = [words(text.removeprefix(prompt)) for prompt, text in zip(prompts, generated, strict=True)]
    real = real_sample(texts, sum(map(len, written)), settings.seed)
    groups = fluency({"generated": written, "real": real}, dataset.raw_texts("train", "text"))
    return Findings(
        metrics={"test": measures, "fluency": {name: group.figures for name, group in groups.items()}},
        page=language_model_page(measures, settings, list(zip(prompts, generated, strict=True)), groups),
        predictions={"scores.csv": _csv(TextMeasures._fields, rows)},
        figures={},
        unit=predictor.vocabulary.unit,
    )


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
            "sources.txt": _lines(source_lines),
            "references.txt": _lines(references),
            "hypotheses.txt": _lines(lines),
            "scores.csv": _csv(("model_score", *scores.sentences[0]), table),
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


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()
