"""What evaluation finds out about a language model."""

from collections.abc import Sequence
from pathlib import Path

from unroll.evaluation.findings import Findings, as_csv
from unroll.evaluation.fluency import fluency, real_sample
from unroll.evaluation.generated import FILE, Generated, to_jsonl
from unroll.evaluation.inside.look import look_inside
from unroll.evaluation.language_model import TextMeasures, measure, text_intervals
from unroll.evaluation.predictors import LanguageModel, RecurrentLanguageModel
from unroll.evaluation.samples import language_model_page
from unroll.evaluation.settings import LanguageModelEvaluation
from unroll.evaluation.words import words
from unroll.files import read_json
from unroll.kinds.generation import Sampling
from unroll.text.encoded import EncodedDataset


def language_model_findings(
    predictor: LanguageModel, dataset: EncodedDataset, settings: LanguageModelEvaluation, model: Path
) -> Findings:
    """Measures over the test texts; generated texts and their fluency beside as much real text; what is seen inside.

    `model` is the bundle of `predictor`. Raises `UserError` if it gives a text no finite score.
    """
    texts = dataset.raw_texts("test", "text")
    measures, rows = measure(predictor, texts)
    samples = _samples(predictor, settings)
    written = [words(text.removeprefix(prompt)) for prompt, text in samples]
    real = real_sample(texts, sum(map(len, written)), settings.seed)
    groups = fluency({"generated": written, "real": real}, dataset.raw_texts("train", "text"))
    return Findings(
        metrics={
            "test": measures,
            "interval": text_intervals(rows),
            "fluency": {name: group.figures for name, group in groups.items()},
        },
        page=language_model_page(measures, settings, samples, groups),
        predictions={
            "scores.csv": as_csv(TextMeasures._fields, rows),
            FILE: to_jsonl(samples),
        },
        figures=_inside(predictor, dataset, texts, model) if isinstance(predictor, RecurrentLanguageModel) else {},
        unit=predictor.vocabulary.unit,
    )


def _samples(predictor: LanguageModel, settings: LanguageModelEvaluation) -> list[Generated]:
    prompts = [settings.prompts[n % len(settings.prompts)] for n in range(settings.samples)]
    texts = predictor.generate(
        prompts, max_tokens=settings.sample_tokens, sampling=Sampling(settings.temperature), seed=settings.seed
    )
    return list(map(Generated, prompts, texts))


def _inside(
    predictor: RecurrentLanguageModel, dataset: EncodedDataset, texts: Sequence[str], model: Path
) -> dict[str, bytes]:
    """What is seen inside; gradients are followed as far as training followed them."""
    bptt: int | None = read_json(model / "bundle.json")["settings"]["train"]["bptt"]
    lags = bptt or dataset.manifest["max_length"]
    return look_inside(predictor, texts, dataset.train.fields["text"].ids, lags)
