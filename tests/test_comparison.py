"""Which runs stand in one table, how they rank, and what a row says."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from unroll.evaluation.comparison import compare
from unroll.evaluation.inside import across_runs
from unroll.evaluation.tables import Comparison, Row, Table
from unroll.params import LanguageModelRun, Seq2SeqRun
from unroll.text.settings import DatasetSettings

DATASETS = {
    name: DatasetSettings.model_validate({"corpus": corpus, "fields": fields, "max_length": 50})
    for name, corpus, fields in (
        ("docs-char", "docs", {"text": {"unit": "char"}}),
        ("docs-word", "docs", {"text": {"unit": "word"}}),
        ("docs-title", "docs", {"text": {"unit": "char", "column": "title"}}),
        ("other-char", "other", {"text": {"unit": "char"}}),
        ("en-de", "phrases", {"source": {"unit": "word", "column": "en"}, "target": {"unit": "char", "column": "de"}}),
        (
            "de-en",
            "phrases",
            {"source": {"unit": "word", "column": "de"}, "target": {"share": "source", "column": "en"}},
        ),
    )
}
TIMING = """\
step,time,seconds,tokens_per_second,peak_ram_bytes
1,1700000001,1,10,500000
2,1700000002,2,20,2100000
3,1700000004.5,4.5,90,2100000
"""
BLEU = {"bleu": "nrefs:1|tok:13a", "chrf": "nrefs:1|nc:6"}


class Project:
    """Runs and their results, made by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: dict[str, LanguageModelRun | Seq2SeqRun] = {}

    def language_model(
        self, name: str, bits: float | None, dataset: str = "docs-char", cell: str = "lstm", seed: int = 1, **test: Any
    ) -> None:
        train = {"context": "stream", "bptt": 8, "batch_size": 4, "lr": 0.01, "steps": 20}
        model = {"kind": "language_model", "cell": cell, "embedding": 4, "hidden": 8}
        self.runs[name] = LanguageModelRun.model_validate(
            {"dataset": dataset, "init": "scratch", "model": model, "train": train, "evaluate": {}, "seed": seed}
        )
        measures = {"perplexity": 5.0, "oov_rate": 0.01, "unit": "char", "context": "stream", **test}
        if bits is not None:
            measures |= {"bits_per_char": bits, "word_perplexity": 2 ** (6 * bits)}
        self.results(name, {"test": measures})

    def pairs(
        self, name: str, figures: Mapping[str, float], baseline: Mapping[str, Any], dataset: str = "en-de", **more: Any
    ) -> None:
        model = {"kind": "seq2seq", "cell": "gru", "embedding": 4, "hidden": 8}
        train = {"batch_size": 4, "lr": 0.01, "epochs": 2}
        self.runs[name] = Seq2SeqRun.model_validate(
            {
                "dataset": dataset,
                "init": "scratch",
                "model": model,
                "train": train,
                "evaluate": {"metric": "bleu"},
                "seed": 1,
            }
        )
        self.results(name, {"test": figures, "baseline": baseline, "signature": BLEU, **more})

    def results(self, name: str, metrics: Mapping[str, Any]) -> None:
        (self.folder / name).mkdir()
        cost = {"parameters": 1_234_567, "steps": 20, "model_bytes": 5_040_000}
        (self.folder / name / "metrics.json").write_text(json.dumps({**metrics, "cost": cost}))
        (self.folder / name / "timing.csv").write_text(TIMING)

    def compare(self) -> Comparison:
        return compare(self.runs, DATASETS, self.folder, self.folder / "predictions")

    def names(self) -> dict[tuple[str, str], list[str]]:
        """The rows of each table by subject and condition, as they rank."""
        return {
            (table.subject, table.condition): [row.name for row in table.ranked()] for table in self.compare().tables
        }


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def test_runs_rank_best_first_whatever_their_unit(project):
    project.language_model("b", 2.5)
    project.language_model("c", 3.0, dataset="docs-word", unit="word")
    project.language_model("a", 2.0, cell="gru")
    assert project.names() == {("docs", "stream"): ["a", "b", "c"]}
    (table,) = project.compare().tables
    assert [(row.cell, row.unit) for row in table.ranked()] == [("gru", "char"), ("lstm", "char"), ("lstm", "word")]


def test_only_equal_contexts_and_equal_texts_share_a_table(project):
    project.language_model("a", 2.5)
    project.language_model("b", 2.0, context="text")
    project.language_model("c", 1.5, dataset="other-char")
    project.language_model("d", 1.0, dataset="docs-title")
    assert project.names() == {
        ("docs", "stream"): ["a"],
        ("docs", "text"): ["b"],
        ("docs: title", "stream"): ["d"],
        ("other", "stream"): ["c"],
    }


def test_runs_without_the_ranking_figure_come_last(project):
    """A unit that cannot be undone has no bits per character."""
    project.language_model("a", None, dataset="docs-word")
    project.language_model("b", 2.5)
    assert project.names() == {("docs", "stream"): ["b", "a"]}
    assert "| a | lstm | word | – | – | 5.00 |" in project.compare().to_markdown()


def test_runs_that_differ_in_nothing_but_seed_are_one_row(project):
    for seed, bits in enumerate([2.0, 2.1, 2.3], start=1):
        project.language_model(f"lstm-{seed}", bits, seed=seed)
    project.language_model("gru", 2.2, cell="gru")
    (table,) = project.compare().tables
    row, gru = table.ranked()
    assert row.runs == ("lstm-1", "lstm-2", "lstm-3")
    assert row.mean("bits_per_char") == pytest.approx(6.4 / 3)
    assert row.spread("bits_per_char") == pytest.approx(math.sqrt(0.14 / 6))
    assert gru.spread("bits_per_char") is None
    page = project.compare().to_markdown()
    assert "| lstm-1, lstm-2, lstm-3 | 3 | lstm | char | **2.133 ± 0.153** |" in page
    assert "| gru | 1 | gru | char | 2.200 |" in page
    assert "sample standard deviation" in page


def test_the_same_seed_twice_is_no_second_sample(project):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        project.language_model(name, 2.0, seed=seed)
    assert project.names() == {("docs", "stream"): ["a, c", "b"]}


def test_a_run_without_results_is_named(project):
    project.language_model("a", 2.0)
    project.language_model("b", 2.0, seed=2)
    (project.folder / "b" / "metrics.json").unlink()
    assert project.names() == {("docs", "stream"): ["a"]}
    assert project.compare().not_run == ("b",)
    assert project.compare().to_markdown().endswith("Without results so far: b\n")


def test_nothing_has_run(project):
    project.language_model("a", 2.0)
    (project.folder / "a" / "metrics.json").unlink()
    assert project.compare().to_markdown() == "# Comparison\n\nWithout results so far: a\n"


def test_results_of_a_run_that_params_do_not_name_are_not_read(project):
    project.language_model("a", 2.0)
    (project.folder / "old").mkdir()
    (project.folder / "old" / "metrics.json").write_text("from another time")
    assert project.names() == {("docs", "stream"): ["a"]}


def test_baselines_are_rows_once_and_never_the_best(project):
    copy, best = {"bleu": 3.0, "chrf": 20.0}, {"bleu": 60.0, "chrf": 50.0}
    project.pairs("a", {"bleu": 40.0, "chrf": 70.0}, {"copy": copy, "nearest": best})
    project.pairs("b", {"bleu": 45.0, "chrf": 65.0}, {"copy": copy, "nearest": best})
    condition = "bleu: nrefs:1|tok:13a; chrf: nrefs:1|nc:6"
    assert project.names() == {("phrases: en → de", condition): ["nearest", "b", "a", "copy"]}
    page = project.compare().to_markdown()
    assert "bleu: nrefs:1\\|tok:13a" in page
    assert [line for line in page.splitlines() if line.startswith("|")][2:] == [
        "| *nearest* |  |  | 60.0 | 50.0 | – | – | – | – | – |",
        "| b | gru | word → char | **45.0** | 65.0 | 1.23M | 5.0 | 2.1 | 4 | 20 |",
        "| a | gru | word → char | 40.0 | **70.0** | 1.23M | 5.0 | 2.1 | 4 | 20 |",
        "| *copy* |  |  | 3.0 | 20.0 | – | – | – | – | – |",
    ]


def test_pairs_of_other_directions_or_signatures_do_not_rank_together(project):
    project.pairs("a", {"bleu": 40.0}, {})
    project.pairs("b", {"bleu": 41.0}, {}, dataset="de-en")
    project.pairs("c", {"bleu": 42.0}, {}, signature={"bleu": "tok:char"})
    subjects = [subject for subject, _ in project.names()]
    assert subjects == ["phrases: de → en", "phrases: en → de", "phrases: en → de"]


def test_a_single_run_is_not_called_the_best(project):
    project.language_model("a", 2.0)
    assert "**" not in project.compare().to_markdown()


def test_equally_good_runs_are_both_the_best(project):
    project.language_model("a", 2.0)
    project.language_model("b", 2.0, cell="gru")
    assert project.compare().to_markdown().count("**2.000**") == 2


def test_costs_come_from_the_timings(project):
    """The whole time, and the speed of a typical stretch."""
    project.language_model("a", 2.0)
    (table,) = project.compare().tables
    (row,) = table.rows
    measured = {
        "parameters": 1_234_567,
        "model_bytes": 5_040_000,
        "peak_ram_bytes": 2_100_000,
        "seconds": 4.5,
        "tokens_per_second": 20,
    }
    assert [column.label for column in table.columns(wide=True) if column.measure.cost] == [
        "params",
        "disk MB",
        "peak RAM MB",
        "train s",
        "tokens/s",
    ]
    figures = {key: row.mean(key) for key in measured}
    assert figures == measured


def test_what_is_written(project, tmp_path):
    for seed, bits in ((1, 2.0), (2, 2.5)):
        project.language_model(f"lstm-{seed}", bits, seed=seed)
    gradients = {"docs": b"a picture", "docs: title": b"another"}
    project.compare().write(tmp_path / "report", gradients)
    found = json.loads((tmp_path / "report" / "comparison.json").read_text())
    row = found["tables"]["docs"]["stream"]["lstm-1, lstm-2"]
    assert row["runs"] == ["lstm-1", "lstm-2"]
    assert (row["bits_per_char"], row["bits_per_char_sd"]) == (2.25, math.sqrt(0.125))
    assert found["not_run"] == []
    page = (tmp_path / "report" / "comparison.md").read_text()
    for name, image in (("docs", b"a picture"), ("docs_title", b"another")):
        assert f"](figures/gradient_by_lag_{name}.png)" in page
        assert (tmp_path / "report" / "figures" / f"gradient_by_lag_{name}.png").read_bytes() == image
    first = written(tmp_path / "report")
    project.compare().write(tmp_path / "report", gradients)
    assert written(tmp_path / "report") == first
    project.compare().write(tmp_path / "report", {})
    assert sorted(written(tmp_path / "report")) == ["comparison.json", "comparison.md"]


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_gradients_are_drawn_for_each_text_from_the_runs_that_have_them(project, monkeypatch):
    monkeypatch.setattr(across_runs, "common_figure", lambda runs: repr({n: unit for n, (unit, _) in runs.items()}))
    project.language_model("a", 2.0)
    project.language_model("b", 2.0, dataset="docs-word", context="text")
    project.language_model("c", 2.0, dataset="other-char")
    project.language_model("without", 2.0)
    project.pairs("pairs", {"bleu": 1.0}, {})
    del project.runs["c"]  # not in params.yaml any more
    for name in ("a", "b", "c"):
        folder = project.folder / name / "figures"
        folder.mkdir()
        (folder / "gradients.csv").write_text("lag,low,high,mean\n0,1,1,1\n")
    drawn = across_runs.lag_figures(project.runs, DATASETS, project.folder)
    assert drawn == {"docs": repr({"a": "char", "b": "word"})}


@pytest.mark.parametrize("width", [80, 200])
def test_a_terminal_shows_every_figure(project, width):
    project.language_model("char-lstm", 2.25)
    project.language_model("subword-elman", 2.5, dataset="docs-word", cell="elman", unit="word", perplexity=1234.5)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(project.compare().to_terminal(wide=width > 80))
    shown = console.export_text()
    assert ("disk" in shown) == (width > 80)
    for word in ("char-lstm", "subword-elman", "2.250", "2.500", "11,585", "1,234", "1.00%", "1.23M", "20"):
        assert word in shown
    assert "…" not in shown


def test_the_best_of_a_table_by_hand():
    """`best` ignores baselines and measures that do not compare."""
    rows = (
        Row(("a",), ({"bleu": 1.0, "length_ratio": 0.9},)),
        Row(("b",), ({"bleu": 2.0, "length_ratio": 0.8},)),
        Row(("copy",), ({"bleu": 3.0, "length_ratio": 1.0},), baseline=True),
    )
    table = Table("pairs", "x", "", rows)
    bleu, ratio = table.measures()
    assert (table.best(bleu), table.best(ratio)) == (2.0, None)
