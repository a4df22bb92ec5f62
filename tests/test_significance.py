"""Two runs, and rows of a table, on one test set."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import _bootstrap_resample
from typer.testing import CliRunner

from unroll.cli import app
from unroll.errors import UserError
from unroll.evaluation.bootstrap import interval, p_value
from unroll.evaluation.findings import as_csv, as_lines
from unroll.evaluation.language_model import TextMeasures, summarize
from unroll.evaluation.paired import Paired, compare_two
from unroll.evaluation.pairs import score_pairs
from unroll.evaluation.significance import with_significance
from unroll.evaluation.tables import Comparison, Row, Table

RANDOM = np.random.default_rng(1)
WORDS = np.array(["the", "a", "cat", "dog", "sat", "ran", "on", "mat", ".", "x"])
REFERENCES = [" ".join(RANDOM.choice(WORDS, size)) for size in RANDOM.integers(4, 12, 60)]


def noisy(texts: Sequence[str], share: float) -> list[str]:
    return [" ".join(RANDOM.choice(WORDS) if RANDOM.random() < share else w for w in text.split()) for text in texts]


GOOD, ALIKE, BAD = noisy(REFERENCES, 0.2), noisy(REFERENCES, 0.2), noisy(REFERENCES, 0.7)


class Project:
    """What the evaluations of some runs have left."""

    def __init__(self, folder: Path) -> None:
        self.results, self.predictions = folder / "results", folder / "predictions"

    def pairs(self, name: str, hypotheses: Sequence[str], references: Sequence[str] = REFERENCES, **how: Any) -> None:
        found = score_pairs(how.pop("metric", "bleu"), hypotheses, references, "en", **how)
        columns = [values.tolist() for values in found.statistics.values()]
        self._write(
            name, {"test": found.corpus, "signature": found.signatures}, found.statistics, zip(*columns, strict=True)
        )
        (self.predictions / name / "references.txt").write_text(as_lines(references))

    def language_model(
        self, name: str, nats: Sequence[float], chars: int = 10, context: str = "text", **row: Any
    ) -> None:
        given = {"unknown_nats": 0.0, "chars": chars, "words": 2, "tokens": 9, "unknown_tokens": 0, **row}
        rows = [TextMeasures(nats=value, **given) for value in nats]
        test = {key: value for key, value in summarize(rows).items() if key in ("bits_per_char", "word_perplexity")}
        self._write(name, {"test": {**test, "context": context}}, TextMeasures._fields, rows)

    def _write(self, name: str, metrics: Any, columns: Any, rows: Any) -> None:
        for folder in (self.results, self.predictions):
            (folder / name).mkdir(parents=True)
        (self.results / name / "metrics.json").write_text(json.dumps({**metrics, "cost": {}}))
        (self.predictions / name / "scores.csv").write_text(as_csv(tuple(columns), rows))

    def compare(self, first: str, second: str) -> Paired:
        return compare_two(first, second, self.results, self.predictions)

    def rows(self, *runs: tuple[str, ...]) -> tuple[Row, ...]:
        def figures(name: str) -> dict[str, float]:
            found: dict[str, float] = json.loads((self.results / name / "metrics.json").read_text())["test"]
            return {key: value for key, value in found.items() if key != "context"}

        rows = [Row(names, tuple(map(figures, names))) for names in runs]
        return with_significance(rows, self.predictions)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(2)


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def test_two_runs_are_resampled_in_pairs_as_sacrebleu_resamples_them(project):
    project.pairs("good", GOOD)
    project.pairs("bad", BAD)
    found = {difference.key: difference for difference in project.compare("good", "bad").differences}
    assert list(found) == ["bleu", "bleu_lc", "chrf", "ter", "exact"]
    values = []
    for lines in (GOOD, BAD):
        counts = BLEU()._extract_corpus_statistics(lines, [REFERENCES])
        values.append(np.array([score.score for score in _bootstrap_resample(counts, BLEU())[1]]))
    bleu = found["bleu"]
    assert bleu.first == pytest.approx(BLEU().corpus_score(GOOD, [REFERENCES]).score)
    assert bleu.second == pytest.approx(BLEU().corpus_score(BAD, [REFERENCES]).score)
    assert bleu.interval == pytest.approx(interval(values[1] - values[0]))
    assert bleu.p == p_value(values[1] - values[0]) < 0.05
    assert found["ter"].second > found["ter"].first


def test_the_order_of_two_runs_turns_the_signs(project):
    project.pairs("good", GOOD)
    project.pairs("alike", ALIKE)
    there, back = project.compare("good", "alike"), project.compare("alike", "good")
    for one, other in zip(there.differences, back.differences, strict=True):
        assert (one.first, one.second, one.p) == (other.second, other.first, other.p)
        assert one.interval == pytest.approx([-end for end in reversed(other.interval)])
    assert all(difference.p > 0.05 for difference in there.differences)


def test_a_run_does_not_differ_from_itself(project):
    project.pairs("good", GOOD, metric="rouge")
    found = project.compare("good", "good").differences
    assert [difference.key for difference in found] == ["rouge1", "rouge2", "rougeL", "exact"]
    assert {(difference.interval, difference.p) for difference in found} == {((0, 0), 1)}


def test_language_models_compare_by_the_nats_of_each_text(project, random):
    nats = random.normal(20, 5, 50)
    project.language_model("a", nats)
    project.language_model("b", nats + 1.0)
    project.language_model("c", nats + random.normal(0, 1, 50))
    bits = project.compare("a", "b").differences[0]
    assert bits.key == "bits_per_char"
    assert bits.first == pytest.approx(nats.mean() / math.log(2) / 10)
    assert (*bits.interval, bits.second - bits.first) == pytest.approx((1 / math.log(2) / 10,) * 3)
    assert bits.p == pytest.approx(2 / 1001)
    by_chance = project.compare("a", "c").differences
    assert [difference.key for difference in by_chance] == ["bits_per_char", "word_perplexity"]
    assert by_chance[0].p == by_chance[1].p > 0.05


NATS = np.full(30, 20.0)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (("pairs", "pair"), "pair: no evaluated run; did you mean 'pairs'? (there are: "),
        (("pairs", "lost"), "predictions/lost/scores.csv: no such file; dvc repro evaluate@lost writes it"),
        (("lm", "pairs"), "lm is a language model, pairs turns one text into another"),
        (("pairs", "lm"), "lm is a language model, pairs turns one text into another"),
        (("lm", "stream"), "context is text of lm, stream of stream"),
        (("lm", "longer"), "evaluated on other test texts: their texts have other lengths"),
        (("lm", "fewer"), "evaluated on other test texts: they have 30 and 29"),
        (("few", "few"), "few and few share a test set of 1 text; it takes 20 or more"),
        (("lm", "lower"), "lower: has no figure that compares"),
        (("pairs", "tokens"), "bleu is nrefs:1|case:mixed|eff:no|tok:13a|"),
        (
            ("pairs", "summaries"),
            "space:no|version:2.6.0 of pairs, not measured of summaries",
        ),
        (("pairs", "changed"), "their references first differ in line 3"),
    ],
)
def test_what_does_not_compare_is_refused(project, runs, message):
    project.pairs("pairs", GOOD)
    project.pairs("tokens", GOOD, tokenized=True)
    project.pairs("summaries", GOOD, metric="rouge")
    project.pairs("changed", GOOD, [*REFERENCES[:2], "other", *REFERENCES[3:]])
    project.pairs("lost", GOOD)
    (project.predictions / "lost" / "scores.csv").unlink()
    project.language_model("lm", NATS)
    project.language_model("stream", NATS, context="stream")
    project.language_model("longer", NATS, chars=11)
    project.language_model("fewer", NATS[1:])
    project.language_model("few", NATS[:1])
    project.language_model("lower", NATS, unknown_nats=None)
    with pytest.raises(UserError) as caught:
        project.compare(*runs)
    assert message in str(caught.value)


def test_the_command(project, monkeypatch):
    project.pairs("good", GOOD)
    project.pairs("bad", BAD)
    monkeypatch.chdir(project.results.parent)
    shown = CliRunner().invoke(app, ["compare", "good", "bad"])
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in ("good", "bad", "BLEU", "TER", "0.002", "60 test texts", "seed 12345"))
    found = json.loads(CliRunner().invoke(app, ["compare", "good", "bad", "--json"]).stdout)
    assert found == project.compare("good", "bad").to_json()
    assert found["figures"]["chrf"]["p"] == pytest.approx(2 / 1001)
    one = CliRunner().invoke(app, ["compare", "good"])
    assert "takes two runs" in str(one.exception)


def test_a_table_marks_what_does_not_differ_significantly_from_the_best(project, random):
    nats, noise = random.normal(20, 5, 50), random.normal(0, 1, 50)
    project.language_model("best", nats)
    project.language_model("alike", nats + noise - noise.mean() + 0.05)
    project.language_model("worse", nats + 2)
    project.language_model("elsewhere", nats, chars=9)
    rows = project.rows(("best",), ("alike",), ("worse",))
    assert [set(row.intervals) for row in rows] == [{"bits_per_char", "word_perplexity"}] * 3
    assert [set(row.p) for row in rows] == [set(), *[{"bits_per_char", "word_perplexity"}] * 2]
    assert rows[2].p["bits_per_char"] < 0.05 < rows[1].p["bits_per_char"]
    comparison = Comparison((Table("language_model", "docs", "text", rows),))
    lines = comparison.to_markdown().splitlines()
    assert "| run | cell | unit | bits/char | 95% interval | word perpl. |" in lines
    assert [line.count("≈") for line in lines if line.startswith("| ")] == [0, 0, 0, 2, 0]
    assert any(line.startswith("≈ does not differ significantly") for line in lines)
    found = comparison.to_json()["tables"]["docs"]["text"]
    low, high = found["alike"]["bits_per_char_interval"]
    assert low < found["alike"]["bits_per_char"] < high
    assert found["alike"]["bits_per_char_p"] == rows[1].p["bits_per_char"]
    assert "bits_per_char_p" not in found["best"]
    elsewhere = project.rows(("best",), ("elsewhere",))[1]
    assert (bool(elsewhere.intervals), elsewhere.p) == (True, {})


def test_runs_of_several_seeds_are_tested_by_their_mean(project, random):
    nats = random.normal(20, 5, 50)
    noise = random.normal(0, 3, 50)
    for name, values in (("a1", nats + noise), ("a2", nats - noise), ("b", nats + 0.1)):
        project.language_model(name, values)
    a, b = project.rows(("a1", "a2"), ("b",))
    assert b.p["bits_per_char"] == pytest.approx(2 / 1001)  # the noise of the seeds is not in their mean
    assert a.intervals["bits_per_char"][0] < a.mean("bits_per_char") < a.intervals["bits_per_char"][1]


def test_rows_without_predictions_have_neither_interval_nor_mark(project):
    project.pairs("good", GOOD)
    project.pairs("alike", ALIKE)
    (project.predictions / "alike" / "scores.csv").unlink()
    good, alike = project.rows(("good",), ("alike",))
    assert bool(good.intervals) and not good.p and not alike.intervals and not alike.p
    baseline = Row(("copy",), ({"bleu": 99.0},), baseline=True)
    assert with_significance([baseline], project.predictions) == (baseline,)
