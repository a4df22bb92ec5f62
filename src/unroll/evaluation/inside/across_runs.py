"""What runs left of themselves, drawn into one figure for each test text."""

from collections.abc import Mapping
from pathlib import Path

from unroll.evaluation.comparison import Entry, subject_of
from unroll.evaluation.inside.lags import FILE, Lags, common_figure, read_lags
from unroll.text.settings import DatasetSettings


def lag_figures(runs: Mapping[str, Entry], datasets: Mapping[str, DatasetSettings], results: Path) -> dict[str, bytes]:
    """The gradient by time lag of all runs on a test text, by that text; runs without such numbers are left out."""
    found: dict[str, dict[str, tuple[str, Lags]]] = {}
    for name, run in runs.items():
        path = results / name / "figures" / FILE
        if path.exists():
            dataset = datasets[run.dataset]
            found.setdefault(subject_of(dataset), {})[name] = dataset.unit("text").unit, read_lags(path)
    return {subject: common_figure(found[subject]) for subject in sorted(found)}
