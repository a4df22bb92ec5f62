"""dvc.yaml names the code that its stages run, and imports flow one way."""

import ast
import json
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from unroll.code import dependencies, imported_files, stage_dependencies
from unroll.training.history import HISTORY

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "unroll"
STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
KINDS = sorted(path.parent.name for path in PACKAGE.glob("kinds/*/task.py"))
SOURCES = sorted(path.parent.name for path in PACKAGE.glob("text/sources/*/__init__.py"))


def code_listed(stage: str) -> set[str]:
    body = STAGES[stage].get("do", STAGES[stage])
    return {dep for dep in body.get("deps", []) if dep.endswith(".py")}


def relative(paths: set[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


def script(stage: str) -> Path:
    return ROOT / "pipeline" / f"{stage}.py"


@pytest.mark.parametrize("stage", ["vocab", "encode", "track", "track_combination", "compare"])
def test_a_stage_lists_the_code_it_imports(stage):
    assert code_listed(stage) == relative(dependencies(script(stage)))


PLUGINS = {
    "fetch": ("src/unroll/text/sources", "${item.source}", SOURCES),
    "train": ("src/unroll/kinds", "${item.model.kind}", KINDS),
    "evaluate": ("src/unroll/kinds", "${item.model.kind}", KINDS),
}


@pytest.mark.parametrize("stage", sorted(PLUGINS))
def test_a_stage_lists_the_code_of_its_plugin(stage):
    """Beside the folder of the source or kind: what any of them needs outside it, and nothing that none needs."""
    folder, item, names = PLUGINS[stage]
    assert f"{folder}/{item}" in STAGES[stage]["do"]["deps"]
    needed: set[str] = set()
    for name in names:
        paths = relative(stage_dependencies(script(stage), ROOT / folder, name))
        needed |= {path for path in paths if not path.startswith(f"{folder}/{name}/")}
    assert code_listed(stage) == needed


def test_combining_needs_the_code_of_all_kinds_that_go_into_it():
    needed: set[str] = set()
    for kind in ("seq2seq", "language_model", "ngram"):
        needed |= relative(stage_dependencies(script("combine"), PACKAGE / "kinds", kind))
    assert code_listed("combine") == needed
    assert "src/unroll/kinds/combination" in STAGES["combine"]["do"]["deps"]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_lists_the_files_that_its_code_reads(stage):
    """What lies beside a module and is no module: a page's template, its style, its script."""
    folders = {(ROOT / path).parent for path in code_listed(stage)} - {PACKAGE}
    beside = {path for folder in folders for path in folder.glob("*") if path.is_file() and path.suffix != ".py"}
    body = STAGES[stage].get("do", STAGES[stage])
    assert relative(beside) <= set(body.get("deps", []))


def test_the_files_that_code_reads_are_installed():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["unroll"]
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert files == {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.suffix != ".py"}


def test_the_curves_that_dvc_draws_are_columns_of_the_history():
    (curves,) = [plot for plot in STAGES["train"]["do"]["plots"] if "results/${key}/history.csv" in plot]
    drawn = curves["results/${key}/history.csv"]
    template = json.loads((ROOT / ".dvc" / "plots" / f"{drawn['template']}.json").read_text())
    assert {drawn["x"], drawn["y"], *template["transform"][0]["fold"]} <= set(HISTORY)


# Each layer may import itself and those before it.
LAYERS = [
    ["errors"],
    ["settings", "files", "code", "scheduling", "images", "progress", "cluster", "workers"],
    ["mistakes", "checksums", "engine"],
    ["stored", "parsing"],
    ["text"],
    ["nn"],
    ["kinds"],
    ["evaluation"],
    ["exported"],
    ["training"],
    ["references"],
    ["params"],
    ["tracking"],
    ["cli", "bridges", "__init__"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_flow_one_way(path):
    for imported in imported_files(path):
        target = room(imported)
        if target == "__init__" or target == room(path):
            continue
        assert RANK[target] < RANK[room(path)], f"{path} must not import {imported}"


def test_tracking_is_imported_by_its_stage_alone():
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in [*PACKAGE.rglob("*.py"), *(ROOT / "pipeline").glob("*.py")]
        if PACKAGE / "tracking" not in path.parents
        and any(PACKAGE / "tracking" in file.parents for file in imported_files(path))
    }
    assert importers <= {"pipeline/track.py", "pipeline/track_combination.py", "src/unroll/cli/ui.py"}


def imported_packages(path: Path) -> set[str]:
    """The first names of all modules that `path` imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("bridges/*.py")), ids=lambda path: path.name)
def test_a_bridge_needs_the_standard_library_and_what_it_leads_to(path):
    there = {"torch", "torchtext"} if path.name == "torchtext.py" else set()
    needed = set().union(*map(imported_packages, dependencies(path)))
    assert needed - there <= {*sys.stdlib_module_names, "unroll"}


def test_nothing_imports_a_bridge():
    importers = {
        path
        for path in [*PACKAGE.rglob("*.py"), *(ROOT / "pipeline").glob("*.py")]
        if any(PACKAGE / "bridges" in file.parents for file in imported_files(path))
    }
    assert {path.parent for path in importers} <= {PACKAGE / "bridges"}


@pytest.mark.parametrize(("package", "rooms"), [("mlflow", {"tracking"}), ("dvc", {"cli"})])
def test_the_library_does_not_need(package, rooms):
    needing = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if any(f"{word} {package}" in path.read_text() for word in ("import", "from"))
    }
    assert needing <= rooms
