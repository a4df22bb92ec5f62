"""The figures of runs: in which order they stand, what they are called, how they are shown, which way is better."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


def in_one_line(heading: str) -> str:
    return heading.replace("/\n", "/").replace("\n", " ")


def _plain(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{digits}f}"


def _perplexity(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def _count(value: float) -> str:
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.0f}k" if value >= 1e4 else f"{value:,.0f}"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:,.0f}" if value >= 1e8 else f"{value / 1e6:.1f}" if value >= 1e5 else f"{value / 1e6:.3f}"


@dataclass(frozen=True)
class Measure:
    """A column of figures."""

    key: str
    heading: str
    show: Callable[[float], str]
    better: Literal["lower", "higher"] | None = None
    """Which figures are better, where they compare within a table."""
    cost: bool = False
    """What the model or its training takes, not how good it is."""
    detail: bool = False
    """Left out where there is little room."""

    @property
    def label(self) -> str:
        return in_one_line(self.heading)


# In the order of the columns; the first one that a table has ranks its rows.
MEASURES = (
    Measure("bits_per_char", "bits/\nchar", _plain(3), "lower"),
    Measure("word_perplexity", "word\nperpl.", _perplexity, "lower"),
    Measure("perplexity", "unit\nperpl.", _perplexity),
    Measure("oov_rate", "OOV", lambda value: f"{100 * value:.2f}%"),
    Measure("cider", "CIDEr", _plain(1), "higher"),
    *(Measure(f"bleu{n}", f"BLEU-{n}", _plain(1), "higher") for n in range(1, 5)),
    Measure("bleu", "BLEU", _plain(1), "higher"),
    Measure("bleu_lc", "BLEU\nlc", _plain(1), "higher"),
    Measure("chrf", "chrF", _plain(1), "higher"),
    Measure("ter", "TER", _plain(1), "lower"),
    Measure("rouge1", "ROUGE-1", _plain(1), "higher"),
    Measure("rouge2", "ROUGE-2", _plain(1), "higher"),
    Measure("rougeL", "ROUGE-L", _plain(1), "higher"),
    Measure("exact", "exact", lambda value: f"{100 * value:.1f}%", "higher"),
    Measure("length_ratio", "length\nratio", _plain(2)),
    Measure("copy_rate", "copied", lambda value: f"{100 * value:.0f}%"),
    Measure("p_gen", "p_gen", _plain(2)),
    Measure("parameters", "params", _count, cost=True),
    Measure("model_bytes", "disk\nMB", _megabytes, cost=True, detail=True),
    Measure("memory_bytes", "weights\nMB", _megabytes, cost=True, detail=True),
    Measure("peak_ram_bytes", "peak\nRAM MB", _megabytes, cost=True, detail=True),
    Measure("seconds", "train\ns", _plain(0), cost=True),
    Measure("tokens_per_second", "tokens/\ns", _plain(0), cost=True),
)
BY_KEY = {measure.key: measure for measure in MEASURES}
COMPARED = tuple(measure.key for measure in MEASURES if measure.better)
"""The figures that compare within a table."""
