"""What runs wrote, side by side: texts after the same prompt, hypotheses for the same row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unroll.evaluation.excerpts import LONGEST, PAIR_SEED, SHOWN, random_rows, shortened, visible
from unroll.evaluation.generated import read_generated
from unroll.evaluation.measures import BY_KEY
from unroll.evaluation.scores import Numbers
from unroll.evaluation.significance import REFERENCES_FILE, read_scored

TEXTS, TEXT_LENGTH = 3, 1_500  # shown after each prompt, and characters of one
APART = 8  # rows on which runs differ most
RANKS = ("cider", "chrf", "rougeL")
"""Figures that say how good a single hypothesis is, the one that counts first."""


@dataclass(frozen=True)
class Written:
    """What one run wrote."""

    run: str
    text: str
    score: float | None = None
    exact: bool = False
    """The same as a reference."""


@dataclass(frozen=True)
class Prompted:
    """What runs wrote after one prompt: their first texts, their second ones, ..."""

    prompt: str
    rounds: list[list[Written]]


@dataclass(frozen=True)
class AnsweredRow:
    """A row of the test split (counted from 1), and what runs made of it."""

    row: int
    source: str | None
    """None where it is no text."""
    references: list[str]
    written: list[Written]


@dataclass(frozen=True)
class AnsweredRows:
    """Rows of one test split: those on which runs differ most, and some drawn at random."""

    rank: str
    """The name of the figure by which single hypotheses are good; nothing without."""
    apart: list[AnsweredRow]
    drawn: list[AnsweredRow]


def prompted(runs: Iterable[str], predictions: Path) -> list[Prompted]:
    """The texts of language models by their prompts, in the order in which these come; without the prompt itself."""
    texts: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        for prompt, text in read_generated(predictions / run):
            texts.setdefault(prompt, {}).setdefault(run, []).append(text.removeprefix(prompt))
    found = []
    for prompt, by_run in texts.items():
        rounds = [
            [Written(run, _readable(those[n], TEXT_LENGTH)) for run, those in by_run.items() if n < len(those)]
            for n in range(min(TEXTS, max(map(len, by_run.values()))))
        ]
        found.append(Prompted(visible(prompt), rounds))
    return found


@dataclass(frozen=True)
class _Answers:
    """The hypotheses of a run and their figures by key."""

    run: str
    hypotheses: list[str]
    statistics: dict[str, Numbers]


def answered_rows(runs: Iterable[str], predictions: Path) -> list[AnsweredRows]:
    """Rows of the test split with the hypotheses of all runs; those with other test texts are a group of their own."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Answers]] = {}
    for run in runs:
        folder = predictions / run
        hypotheses, scored = _lines(folder / "hypotheses.txt"), read_scored(folder)
        if hypotheses and scored is not None:
            texts = tuple(_lines(folder / "sources.txt")), tuple(_lines(folder / REFERENCES_FILE))
            groups.setdefault(texts, []).append(_Answers(run, hypotheses, scored.statistics))
    return [_chosen(*texts, answers) for texts, answers in groups.items()]


def _chosen(sources: Sequence[str], references: Sequence[str], answers: Sequence[_Answers]) -> AnsweredRows:
    rank = next((key for key in RANKS if all(key in one.statistics for one in answers)), None)

    def row(place: int) -> AnsweredRow:
        known = references[place].split("\t")  # of an image there are several
        source = _readable(sources[place]) if sources else None
        return AnsweredRow(place + 1, source, list(map(_readable, known)), [written(one, place) for one in answers])

    def written(one: _Answers, place: int) -> Written:
        text = one.hypotheses[place]
        score = None if rank is None else float(one.statistics[rank][place])
        return Written(one.run, _readable(text), score, text in references[place].split("\t"))

    apart = [] if rank is None else _furthest_apart([one.statistics[rank] for one in answers])
    drawn = random_rows(len(references), SHOWN, PAIR_SEED)
    return AnsweredRows("" if rank is None else BY_KEY[rank].label, list(map(row, apart)), list(map(row, drawn)))


def _furthest_apart(scores_RN: Sequence[Numbers]) -> list[int]:
    """The rows N on which the scores of runs R lie furthest apart; of equal ones the first."""
    apart_N = np.ptp(np.stack(scores_RN), axis=0)
    order = np.argsort(-apart_N, kind="stable")[:APART]
    return [int(row) for row in order if apart_N[row] > 0]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []


def _readable(text: str, longest: int = LONGEST) -> str:
    return visible(shortened(text, longest))
