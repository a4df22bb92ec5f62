"""Evaluate one run on its test split and write what came out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unroll.engine import LOCAL, Engine
from unroll.evaluation.figures import Scale, learning_curve, length_histogram, read_history
from unroll.evaluation.settings import CaptionEvaluation, LanguageModelEvaluation, PairEvaluation
from unroll.files import read_json, whole_file, whole_folder, write_json
from unroll.text.encoded import EncodedDataset


def evaluate_run(
    predictor: Any,
    dataset: EncodedDataset,
    settings: LanguageModelEvaluation | PairEvaluation | CaptionEvaluation,
    models: Sequence[Path],
    history: Path | None,
    results: Path,
    predictions: Path,
    engine: Engine = LOCAL,
) -> None:
    """Evaluate `predictor` (a `LanguageModel`, `PairModel` or `CaptionModel`, as `settings` say) on the raw test split.

    `models` are the bundles it comes from, `history` its training if it had one; `engine` decodes. Writes
    `metrics.json`, `samples.md` and `figures/` below `results` and the folder `predictions`, once everything is known.
    Raises `UserError` if a language model has no finite score.
    """
    # What scores pairs takes seconds to import; a language model does without.
    if isinstance(settings, LanguageModelEvaluation):
        from unroll.evaluation.text_findings import language_model_findings

        findings = language_model_findings(predictor, dataset, settings, models[0])
    elif isinstance(settings, CaptionEvaluation):
        from unroll.evaluation.caption_findings import caption_findings

        findings = caption_findings(predictor, dataset, settings, engine)
    else:
        from unroll.evaluation.pair_findings import pair_findings

        findings = pair_findings(predictor, dataset, settings, engine)
    figures = {**findings.figures, "lengths.png": _lengths_figure(dataset)}
    curves = {} if history is None else read_history(history)
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
    write_json(results / "metrics.json", {**findings.metrics, "cost": _cost(models)})


def _lengths_figure(dataset: EncodedDataset) -> bytes:
    lengths = {
        f"{name} ({dataset.manifest['fields'][name]['unit']})": np.diff(field.offsets)
        for name, field in dataset.train.fields.items()
    }
    return length_histogram(lengths, dataset.manifest["max_length"])


def _cost(models: Sequence[Path]) -> dict[str, int]:
    """What all models together took and take."""
    costs: Counter[str] = Counter()
    for model in models:
        costs.update(read_json(model / "bundle.json")["cost"])
        costs["model_bytes"] += sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    return dict(costs)
