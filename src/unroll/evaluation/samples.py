"""`samples.md`: what a model writes, for a person to read."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unroll.evaluation.buckets import Bucket
from unroll.evaluation.excerpts import PAIR_SEED, SHOWN, random_rows, shortened, visible
from unroll.evaluation.fluency import Fluency
from unroll.evaluation.generated import Generated
from unroll.evaluation.settings import LanguageModelEvaluation

WIDTH = 100  # of a line, in characters

_FIGURES = {
    "words": ("words", "{:,}"),
    "new_words": ("words that the training text has nowhere", "{:.1%}"),
    "longest_copy": ("longest span copied from the training text, in words", "{}"),
    "distinct_1": ("distinct words", "{:.1%}"),
    "distinct_2": ("distinct pairs of words", "{:.1%}"),
    "distinct_3": ("distinct triples of words", "{:.1%}"),
    "repetition": ("runs of four words seen before in the same text", "{:.1%}"),
}


@dataclass(frozen=True)
class Pair:
    """A row of the test split (counted from 1), what the model made of it, and how good that is."""

    row: int
    source: str
    reference: str
    hypothesis: str
    score: float


@dataclass(frozen=True)
class Caption:
    """An image of the test split (counted from 1), what the model and what people say of it, and how good that is."""

    row: int
    text: str
    references: Sequence[str]
    score: float

    @property
    def exact(self) -> bool:
        return self.text in self.references


def fenced(text: str) -> str:
    """`text` as a code block whose fence is longer than any run of back-ticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{visible(text)}\n{fence}"


def language_model_page(
    measures: Mapping[str, object],
    settings: LanguageModelEvaluation,
    texts: Sequence[Generated],
    groups: Mapping[str, Fluency],
) -> str:
    """The page of a language model; `groups` are of generated and of real text."""
    parts = [
        "# Samples",
        " · ".join(_headline(measures)),
        f"{len(texts)} texts, sampled at temperature {settings.temperature:g} with seed {settings.seed}, "
        f"at most {settings.sample_tokens} tokens each.",
    ]
    for number, (prompt, text) in enumerate(texts, start=1):
        parts += [f"## {number}" + (", after a prompt of:" if prompt else "")]
        parts += [fenced(prompt), "the model wrote:"] if prompt else []
        parts += [fenced(text) if text.strip() else "*(nothing)*"]
    parts += ["## Beside real text", _fluency_table(groups)]
    parts += ["Words are compared in lower case and without punctuation."]
    for name, group in groups.items():
        if group.copied:
            parts += [f"Longest span that the {name} text shares with the training text:", fenced(_wrap(group.copied))]
    return "\n\n".join(parts) + "\n"


def _headline(measures: Mapping[str, object]) -> list[str]:
    shown = {"perplexity": "perplexity", "bits_per_char": "bits per character", "word_perplexity": "word perplexity"}
    lines = [f"{text} {measures[name]:.4g}" for name, text in shown.items() if name in measures]
    return [f"unit {measures['unit']}", f"context {measures['context']}", *lines]


def _fluency_table(groups: Mapping[str, Fluency]) -> str:
    lines = [f"| | {' | '.join(groups)} |", f"|---|{'---:|' * len(groups)}"]
    for name, (text, form) in _FIGURES.items():
        cells = [form.format(group.figures[name]) if name in group.figures else "" for group in groups.values()]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pair_page(
    systems: Mapping[str, Mapping[str, float]],
    interval: Mapping[str, Sequence[float]],
    groups: Mapping[str, Sequence[Bucket]],
    ranked_by: str,
    pairs: Sequence[Pair],
    figures: Sequence[str],
) -> str:
    """The page of a model of pairs: its scores beside those of baselines and of buckets, its worst rows, random rows.

    `systems` are figures by the name of who made the hypotheses; `interval` are 95% intervals of the model's; `groups`
    are buckets by what parts them; `figures` are names of files in `figures/`.
    """
    worst = sorted(pairs, key=lambda pair: (pair.score, pair.row))[:SHOWN]
    chosen = random_rows(len(pairs), SHOWN, PAIR_SEED)
    parts = ["# Samples", _grid("", systems)]
    parts += [f"95% interval of the model's {key}: {low:.2f} to {high:.2f}." for key, (low, high) in interval.items()]
    parts += ["A row is the line of that number in the files of predictions."]
    parts += ["## By the length of the source and by what is unknown in it"]
    parts += [_grid(what, {_name(b): {"sentences": b.sentences, **b.figures} for b in g}) for what, g in groups.items()]
    parts += ["![scores by length](figures/scores_by_length.png)"]
    parts += [f"## The {len(worst)} worst of {len(pairs)} by {ranked_by}"]
    parts += [_pair(pair, ranked_by) for pair in worst]
    parts += [f"## {len(chosen)} drawn at random"]
    parts += [_pair(pairs[place], ranked_by) for place in chosen]
    if figures:
        parts += ["## Where the model looked", *(f"![{name}](figures/{name})" for name in figures)]
    return "\n\n".join(parts) + "\n"


def caption_page(
    systems: Mapping[str, Mapping[str, float]],
    interval: Mapping[str, Sequence[float]],
    captions: Sequence[Caption],
    chosen: Sequence[int],
    figures: Sequence[str],
) -> str:
    """The page of a captioner: its scores beside a baseline's, its worst captions by CIDEr-D, and those `chosen`.

    `figures` are names of files in `figures/`.
    """
    worst = sorted(captions, key=lambda caption: (caption.score, caption.row))[:SHOWN]
    parts = ["# Samples", _grid("", systems)]
    parts += [f"95% interval of the model's {key}: {low:.2f} to {high:.2f}." for key, (low, high) in interval.items()]
    parts += ["A row is the line of that number in the files of predictions."]
    parts += [f"![{name}](figures/{name})" for name in figures]
    parts += [f"## The {len(worst)} worst of {len(captions)} by CIDEr-D", *map(_caption, worst)]
    parts += [f"## {len(chosen)} drawn at random", *(_caption(captions[place]) for place in chosen)]
    return "\n\n".join(parts) + "\n"


def _caption(caption: Caption) -> str:
    lines = [_wrap(caption.text or "(nothing)", f"{'caption':<12}")]
    lines += [_wrap(text, f"{'reference':<12}") for text in caption.references]
    return f"Row {caption.row}, CIDEr-D {caption.score:.1f}\n\n" + fenced("\n".join(lines))


def _name(bucket: Bucket) -> str:
    return bucket.name.replace("_", " ")


def _grid(heading: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A table: a row by its name, a column a figure."""
    keys = list(dict.fromkeys(key for figures in rows.values() for key in figures))
    lines = [f"| {heading} | {' | '.join(keys)} |", f"|---|{'---:|' * len(keys)}"]
    for name, figures in rows.items():
        lines.append(f"| {name} | {' | '.join(_shown(figures[key]) if key in figures else '' for key in keys)} |")
    return "\n".join(lines)


def _shown(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.2f}"


def _pair(pair: Pair, ranked_by: str) -> str:
    texts = {"source": pair.source, "reference": pair.reference, "hypothesis": pair.hypothesis}
    lines = [_wrap(text or "(nothing)", f"{name:<12}") for name, text in texts.items()]
    return f"Row {pair.row}, {ranked_by} {pair.score:.1f}\n\n" + fenced("\n".join(lines))


def _wrap(text: str, label: str = "") -> str:
    """`text` cut to what a person reads, in lines, under a hanging label."""
    indent = " " * len(label)
    return textwrap.fill(shortened(text), WIDTH, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False)
