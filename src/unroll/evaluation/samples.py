"""`samples.md`: what a model writes, for a person to read."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unroll.evaluation.fluency import Fluency
from unroll.evaluation.settings import LanguageModelEvaluation

SHOWN = 20  # pairs of each sort
WIDTH, LONGEST = 100, 900  # of a line, and of a text of a pair, in characters

# What would disturb a terminal or a browser is shown as its picture, ␀ for NUL.
_CONTROLS = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}

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


def fenced(text: str) -> str:
    """`text` as a code block whose fence is longer than any run of back-ticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.translate(_CONTROLS)}\n{fence}"


def language_model_page(
    measures: Mapping[str, object],
    settings: LanguageModelEvaluation,
    texts: Sequence[tuple[str, str]],
    groups: Mapping[str, Fluency],
) -> str:
    """The page of a language model; `texts` are (prompt, text with its prompt), `groups` generated and real."""
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
    ranked_by: str,
    pairs: Sequence[Pair],
    seed: int,
    figures: Sequence[str],
) -> str:
    """The page of a model of pairs: its scores beside those of baselines, its worst rows, random rows, figures.

    `systems` are figures by the name of who made the hypotheses; `figures` are names of files in `figures/`.
    """
    worst = sorted(pairs, key=lambda pair: (pair.score, pair.row))[:SHOWN]
    chosen = random_rows(len(pairs), SHOWN, seed)
    parts = ["# Samples", _score_table(systems), "A row is the line of that number in the files of predictions."]
    parts += [f"## The {len(worst)} worst of {len(pairs)} by {ranked_by}"]
    parts += [_pair(pair, ranked_by) for pair in worst]
    parts += [f"## {len(chosen)} drawn at random"]
    parts += [_pair(pairs[place], ranked_by) for place in chosen]
    if figures:
        parts += ["## Where the model looked", *(f"![{name}](figures/{name})" for name in figures)]
    return "\n\n".join(parts) + "\n"


def _score_table(systems: Mapping[str, Mapping[str, float]]) -> str:
    keys = list(dict.fromkeys(key for figures in systems.values() for key in figures))
    lines = [f"| | {' | '.join(keys)} |", f"|---|{'---:|' * len(keys)}"]
    for name, figures in systems.items():
        cells = [f"{figures[key]:.2f}" if key in figures else "" for key in keys]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def random_rows(rows: int, count: int, seed: int) -> list[int]:
    """At most `count` of `rows` places, drawn by `seed`, in order."""
    return sorted(np.random.default_rng(seed).permutation(rows)[:count].tolist())


def _pair(pair: Pair, ranked_by: str) -> str:
    texts = {"source": pair.source, "reference": pair.reference, "hypothesis": pair.hypothesis}
    lines = [_wrap(text or "(nothing)", f"{name:<12}") for name, text in texts.items()]
    return f"Row {pair.row}, {ranked_by} {pair.score:.1f}\n\n" + fenced("\n".join(lines))


def _wrap(text: str, label: str = "") -> str:
    """`text` cut to what a person reads, in lines, under a hanging label."""
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return textwrap.fill(text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False)
