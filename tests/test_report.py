"""The page of the comparison: that it stands alone, says what the tables say, and takes all text as text."""

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from html_pages import Element, parse
from test_comparison import DATASETS, Project

from unroll.evaluation.excerpts import LONGEST, PAIR_SEED, SHOWN, random_rows
from unroll.evaluation.findings import as_csv, as_lines
from unroll.evaluation.generated import FILE, Generated, to_jsonl
from unroll.evaluation.report.curves import POINTS, choices, curves_of
from unroll.evaluation.report.differences import differences
from unroll.evaluation.report.images import images
from unroll.evaluation.report.page import write_page
from unroll.evaluation.report.side_by_side import APART, TEXTS, answered_rows, prompted
from unroll.evaluation.results import Results
from unroll.evaluation.significance import read_scored
from unroll.params import CombinedTexts

EVIL = """</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>{{ 7 * 7 }}&amp;"""
NAME = EVIL.replace("/", "-")  # as a folder
PNG, SVG = b"\x89PNG a picture", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"


class Pages(Project):
    """A project with what its runs left of single texts, and its page."""

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    def wrote(self, run: str, *texts: Generated) -> None:
        (self.predictions / run).mkdir(parents=True)
        (self.predictions / run / FILE).write_text(to_jsonl(texts), encoding="utf-8")

    def answered(
        self, run: str, rows: list[tuple[str, str, str, float]], key: str = "chrf", sources: bool = True
    ) -> None:
        """`rows` are source, reference, hypothesis and score."""
        folder = self.predictions / run
        folder.mkdir(parents=True)
        names = ("sources.txt", "references.txt", "hypotheses.txt")
        for name, lines in zip(names, list(zip(*rows, strict=True))[:3], strict=True):
            if sources or name != "sources.txt":
                (folder / name).write_text(as_lines(lines), encoding="utf-8")
        (folder / "scores.csv").write_text(as_csv([key], [[row[3]] for row in rows]))

    def history(self, run: str, *rows: str) -> None:
        text = "\n".join(["step,epoch,lr,train_loss,valid_loss,valid_bleu", *rows])
        (self.folder / run / "history.csv").write_text(text + "\n")

    def figure(self, run: str, name: str, image: bytes = PNG) -> None:
        (self.folder / run / "figures").mkdir(exist_ok=True)
        (self.folder / run / "figures" / name).write_bytes(image)

    def combination(self, name: str, bits: float) -> None:
        settings = {"dataset": "docs-char", "runs": list(self.runs)[:2], "evaluate": {}}
        self.runs[name] = CombinedTexts.model_validate(settings)  # type: ignore[assignment]
        self.results(name, {"test": {"bits_per_char": bits, "unit": "char", "context": "stream"}})
        (self.folder / name / "timing.csv").unlink()

    def written(self, gradients: dict[str, bytes] | None = None) -> str:
        path = self.folder / "report" / "comparison.html"
        write_page(path, self.compare(), self.runs, gradients or {}, self.folder, self.predictions)
        return path.read_text(encoding="utf-8")

    def page(self, gradients: dict[str, bytes] | None = None) -> Element:
        return parse(self.written(gradients))


@pytest.fixture
def project(tmp_path: Path) -> Pages:
    return Pages(tmp_path)


@pytest.fixture
def full(project: Pages) -> Pages:
    """Something of everything, with text that is not meant well wherever text can be."""
    for seed, bits in ((1, 2.0), (2, 2.5)):
        project.language_model(f"lstm-{seed}", bits, seed=seed)
        project.history(f"lstm-{seed}", "10,1,0.1,3.5,,", "20,1,0.1,2.5,2.25,")
    project.language_model(NAME, 2.375, cell="gru")
    project.history(NAME, "10,1,0.1,3.0,,")
    project.language_model("gram", 3.0, dataset="docs-word", unit="word")
    project.history("gram", "1,1,,4.0,4.5,", "2,1,,3.0,3.5,")
    project.combination("both", 1.75)
    project.wrote("lstm-1", Generated("", EVIL), Generated(EVIL, EVIL + EVIL))
    project.wrote("gram", Generated("", "\n\x1b[31m\u202e a text"))
    project.pairs("a", {"bleu": 40.0}, {EVIL: {"bleu": 3.0}}, signature={"bleu": EVIL})
    project.pairs("b", {"bleu": 30.0}, {}, signature={"bleu": EVIL})
    for run, text in (("a", EVIL), ("b", "other")):
        project.answered(run, [(EVIL, EVIL, text, 100.0 if run == "a" else 20.0), ("s", "r", "", 0.0)])
    project.figure("a", "attention_row_2.png")
    project.figure("a", f"{NAME}.svg", SVG)
    return project


def test_the_page_stands_alone(full):
    page = full.page({"docs": PNG})
    addresses = [
        value or ""
        for element in page.all()
        for name, value in element.attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert {address.partition(",")[0].partition("-")[0] for address in addresses} == {
        "#table",
        "data:",
        "data:image/png;base64",
        "data:image/svg+xml;base64",
    }
    assert {element.attributes["href"] for element in page.all("link")} == {"data:,"}
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]


def test_the_browser_is_told_to_run_and_load_nothing_else(full):
    page = full.page()
    (policy,) = [
        m.attributes["content"] for m in page.all("meta") if "Content-Security-Policy" in m.attributes.values()
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = [element.text for element in page.all(tag) if element.attributes.get("type") is None]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules.pop(name) == f"'sha256-{digest}'"
    assert rules == {}


def test_text_of_runs_is_text(full):
    page = full.page()
    types = [element.attributes.get("type") for element in page.all("script")]
    assert types == ["application/json", None]  # the pairs have no history
    assert all((image.attributes["src"] or "").startswith("data:") for image in page.all("img"))
    assert [cell.text for cell in page.all("th", scope="row")].count(NAME) == 2
    samples = [pre.text for pre in page.all("pre")]
    assert f"\n{EVIL}" in samples
    assert f"\n{EVIL}{EVIL}" in samples
    assert "\n\n␛[31m\u202e a text" in samples
    answers = [row for table in page.all("table", class_="answers") for row in table.rows()]
    assert answers[:3] == [["source", EVIL, ""], ["reference", EVIL, ""], ["a", EVIL, "= reference"]]
    assert ["b", "other", "chrF 20.0"] in answers
    assert ["a", "(nothing)", "chrF 0.0"] in answers
    assert any(EVIL in paragraph.text for paragraph in page.all("p"))  # the signature
    assert any(EVIL in row[0] for table in page.all("table", class_="sortable") for row in table.rows())


def test_the_tables_are_those_of_the_comparison(full):
    comparison, page = full.compare(), full.page()
    grids = list(page.all("table", class_="sortable"))
    assert [next(grid.all("caption")).text for grid in grids] == ["Figures", "Costs"] * 2
    for table, figures, costs in zip(comparison.tables, grids[::2], grids[1::2], strict=True):
        columns = table.columns(wide=True)
        for grid, is_cost in ((figures, False), (costs, True)):
            shown = [column for column in columns if column.measure.cost == is_cost]
            head, *body = grid.rows()
            assert head[-len(shown) :] == [column.label for column in shown]
            expected = [row for row in table.ranked() if not (is_cost and row.baseline)]
            assert len(body) == len(expected)
            for row, cells in zip(expected, body, strict=True):
                assert cells[0] == " ".join(row.name.split()) + (" baseline" if row.baseline else "")
                found = [table.cell(row, column) for column in shown]
                assert cells[-len(shown) :] == [cell.text + (" best" if cell.best else "") for cell in found]


def test_a_column_sorts_by_exact_figures_and_says_how(full):
    (grid, *_) = full.page().all("table", class_="sortable")
    heads = {th.text: th.attributes for th in grid.all("th", scope="col")}
    assert heads["bits/char"] == {
        "scope": "col",
        "class": "figure",
        "data-sort": "number",
        "data-first": "ascending",
        "aria-sort": "ascending",
    }
    assert [name for name, attributes in heads.items() if "aria-sort" in attributes] == ["bits/char"]
    place = list(heads).index("bits/char")
    cells = [[c for c in row.all() if c.tag in ("th", "td")][place] for row in list(grid.all("tr"))[1:]]
    assert [float(cell.attributes["data-value"] or "") for cell in cells] == [1.75, 2.25, 2.375, 3.0]
    assert [cell.text for cell in cells] == ["1.750 best", "2.250 ± 0.354", "2.375", "3.000"]


def test_higher_is_better_where_it_is(full):
    grids = list(full.page().all("table", class_="sortable"))
    (bleu,) = [th for th in grids[2].all("th", scope="col") if th.text == "BLEU"]
    assert (bleu.attributes["data-first"], bleu.attributes["aria-sort"]) == ("descending", "descending")


def test_the_signs_are_explained(full):
    told = [" ".join(item.text.split()) for item in full.page().all("li")]
    for remark in full.compare().remarks():
        assert remark.replace("`", "") in told
    assert any("differ in nothing but seed, " in text for text in told)


def test_the_same_results_give_the_same_bytes(full):
    assert full.written({"docs": PNG}) == full.written({"docs": PNG})


def test_the_page_itself_is_small(full):
    assert len(full.written()) < 60_000


def test_nothing_has_run(project):
    project.language_model("a", 2.0)
    (project.folder / "a" / "metrics.json").unlink()
    page = project.page()
    assert [item.text for item in page.all("li")] == ["Without results so far: a"]
    assert list(page.all("table")) == []


def test_a_figure_of_gradients_stands_once_below_its_text(project):
    project.language_model("a", 2.0)
    project.language_model("b", 2.0, context="text")
    shown = [image.attributes["alt"] for image in project.page({"docs": PNG, "else": PNG}).all("img")]
    assert shown == ["Gradient by time lag, docs"]


def test_curves_as_the_script_gets_them(full):
    (script,) = full.page().all("script", type="application/json")
    found = json.loads(script.text)
    assert found["labels"] == {"valid": "validation loss", "train": "training loss", "valid train": "both losses"}
    curves = {one["run"]: one for one in found["curves"]}
    assert list(curves) == ["lstm-1", "lstm-2", NAME, "gram"]
    assert curves["lstm-1"]["points"] == {"train": [[10, None, 3.5], [20, None, 2.5]], "valid": [[20, None, 2.25]]}
    assert (curves["lstm-1"]["level"], curves["gram"]["level"]) == (False, True)
    assert curves["gram"]["points"] == {"train": [[2, 0.033333, 3.0]], "valid": [[2, 0.033333, 3.5]]}
    assert curves["lstm-1"]["look"] == curves["lstm-2"]["look"] != curves["gram"]["look"]
    assert any(paragraph.text.strip() == "Without a training of their own: both." for paragraph in full.page().all("p"))


def results(history: list[dict[str, float]], timing: list[dict[str, float]]) -> Results:
    return Results({}, history, timing)


def test_time_is_minutes_by_step():
    history = [{"step": n, "lr": 0.1, "train_loss": 3 - n / 10, "valid_bleu": 10.0 * n} for n in (1, 2)]
    found = curves_of("a", "char", 9, results(history, [{"step": 1, "seconds": 30}, {"step": 2, "seconds": 100}]))
    assert found is not None
    assert found.points == {
        "train": [(1, 0.5, 2.9), (2, 1.6667, 2.8)],
        "valid_bleu": [(1, 0.5, 10), (2, 1.6667, 20)],
    }
    assert found.look == "colour-1 line-1"
    assert found.best is None
    assert choices([found]) == {"train": "training loss", "valid_bleu": "BLEU of validation"}


def test_a_long_curve_keeps_its_ends_and_its_lowest_point():
    history = [{"step": n, "lr": 0.1, "valid_loss": 5.0 if n != 777 else 1.0} for n in range(5000)]
    found = curves_of("a", "char", 0, results(history, []))
    assert found is not None
    steps = [step for step, _, _ in found.points["valid"]]
    assert len(steps) <= POINTS + 1
    assert {0, 777, 4999} <= set(steps)
    assert max(np.diff(steps)) <= 17
    assert found.best == (777, None, 1.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_not_drawn(loss):
    history = [{"step": 1, "lr": 0.1, "train_loss": loss}, {"step": 2, "lr": 0.1, "train_loss": 1.0}]
    found = curves_of("a", "char", 0, results(history, []))
    assert found is not None
    assert found.points == {"train": [(2, None, 1.0)]}
    assert curves_of("a", "char", 0, results(history[:1], [])) is None
    assert curves_of("a", "char", 0, results([], [])) is None


def test_texts_stand_by_their_prompts(project):
    many = [Generated(("", "Return ")[n % 2], ("", "Return ")[n % 2] + f"{n}") for n in range(20)]
    project.wrote("a", *many)
    project.wrote("b", Generated("Return ", "Returnless"), Generated("x", "x" * 5000))
    found = prompted(["a", "none", "b"], project.predictions)
    assert [one.prompt for one in found] == ["", "Return ", "x"]
    assert [len(one.rounds) for one in found] == [TEXTS, TEXTS, 1]
    assert [[(w.run, w.text) for w in written] for written in found[1].rounds] == [
        [("a", "1"), ("b", "Returnless")],
        [("a", "3")],
        [("a", "5")],
    ]
    assert len(found[2].rounds[0][0].text) == 1500


def test_rows_on_which_runs_differ_most_come_first(project):
    rows = [(f"s{n}", f"r{n}", "h", 50.0) for n in range(40)]
    project.answered("a", rows)
    project.answered("b", [(*row[:3], 50.0 + (n % 13 == 5) * n) for n, row in enumerate(rows)])
    (found,) = answered_rows(["a", "b"], project.predictions)
    assert found.rank == "chrF"
    assert [row.row for row in found.apart] == [32, 19, 6]  # by 31, 18 and 5; others do not differ
    assert [(one.run, one.score) for one in found.apart[0].written] == [("a", 50), ("b", 81)]
    assert [row.row for row in found.drawn] == [n + 1 for n in random_rows(40, SHOWN, PAIR_SEED)]
    project.answered("c", [(*row[:3], float(n)) for n, row in enumerate(rows)])
    (found,) = answered_rows(["a", "c"], project.predictions)
    assert len(found.apart) == APART


def test_a_single_run_differs_from_none(project):
    project.answered("a", [("s", "r", "r", 100.0)], key="unheard-of")
    (found,) = answered_rows(["a", "without"], project.predictions)
    assert (found.apart, found.rank, found.drawn[0].written[0].score) == ([], "", None)
    assert found.drawn[0].written[0].exact


def test_runs_with_other_test_texts_are_shown_apart(project):
    for run, reference in (("a", "r"), ("b", "r"), ("c", "other")):
        project.answered(run, [("s" * 2000, reference, "h", 1.0)])
    first, second = answered_rows(["a", "b", "c"], project.predictions)
    assert [one.run for one in first.drawn[0].written] == ["a", "b"]
    assert [one.run for one in second.drawn[0].written] == ["c"]
    assert len(first.drawn[0].source or "") == LONGEST


def test_captions_have_several_references_and_no_source(project):
    project.answered("a", [("", "a cat\tone cat", "one cat", 90.0)], key="cider", sources=False)
    ((row,),) = [group.drawn for group in answered_rows(["a"], project.predictions)]
    assert (row.source, row.references, row.written[0].exact) == (None, ["a cat", "one cat"], True)
    assert read_scored(project.predictions / "a") is not None


def test_figures_of_runs_by_their_sort(project):
    for run in ("a", "b"):
        project.language_model(run, 2.0)
    for number in (10, 9, 111):
        project.figure("a", f"attention_row_{number}.png")
    for name in ("gates.png", "learning_curve.png", "lengths.png", "units.html", "gradients.csv"):
        project.figure("a", name)
    project.figure("b", "gates.png", b"another")
    project.figure("b", "my_own.svg", SVG)
    found = images(["a", "b", "without"], project.folder)
    assert {title: [one.caption for one in those] for title, those in found.items()} == {
        "Gates": ["a", "b"],
        "Where models looked, by row of the test split": ["a, 9", "a, 10"],
        "my own": ["b"],
    }
    kind, _, data = found["Gates"][1].uri.partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/png;base64", b"another")


NGRAM: dict[str, Any] = {"model": {"kind": "ngram", "order": 3}, "seed": 1}
SMALL: dict[str, Any] = {"model": {"kind": "lstm", "dropout": 0, "spelling": None}, "train": {"lr": 0.1}, "seed": 1}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[SMALL]], {}),
        ([[SMALL], [SMALL]], {}),
        ([[SMALL, {**SMALL, "seed": 2}]], {"seed": ["1, 2"]}),
        ([[SMALL], [{**SMALL, "train": {"lr": 0.2}}]], {"train.lr": ["0.1", "0.2"]}),
        # What a kind does not have is no difference of its own.
        ([[SMALL], [NGRAM]], {"model.kind": ["lstm", "ngram"]}),
        (
            [[NGRAM], [{**NGRAM, "model": {"kind": "ngram", "order": 5}}], [SMALL]],
            {"model.kind": ["ngram", "ngram", "lstm"], "model.order": ["3", "5", ""]},
        ),
        # One value stands for all below it.
        (
            [[SMALL], [{**SMALL, "model": {**SMALL["model"], "dropout": {"input": 0, "output": 0.5}}}]],
            {"model.dropout.output": ["0", "0.5"]},
        ),
        (
            [[SMALL], [{**SMALL, "model": {**SMALL["model"], "spelling": {"hidden": 8}}}]],
            {"model.spelling.hidden": ["null", "8"]},
        ),
    ],
)
def test_the_settings_that_differ(rows, expected):
    assert differences(rows) == expected


def test_settings_stand_in_the_order_of_the_entry():
    one = {"dataset": "a", "model": {"kind": "x"}, "train": {"lr": 1}}
    other = {"dataset": "b", "model": {"kind": "y", "cell": "gru"}, "train": {"lr": 2}}
    third = {**other, "model": {"kind": "y", "cell": "lstm"}}
    assert list(differences([[one], [other], [third]])) == ["dataset", "model.kind", "model.cell", "train.lr"]


def test_settings_of_the_page(full):
    (grid, *_) = full.page().all("table", class_="settings")
    rows = {row[0]: row[1:] for row in grid.rows()}
    assert rows["dataset"] == ["docs-char", "docs-char", "docs-char", "docs-word"]
    assert rows["seed"] == ["", "1, 2", "1", "1"]
    assert rows["model.cell"] == ["", "lstm", "gru", "lstm"]
    assert set(DATASETS) > set(rows["dataset"])
