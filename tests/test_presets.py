"""presets/: each is a whole params file that says where its data is from, and what came of it elsewhere."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unroll.cli import app
from unroll.kinds.language_model.network import LanguageModel
from unroll.params import load

ROOT = Path(__file__).parent.parent
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
STATED = ("Source", "Licence", "Files", "Published (not measured by us)", "Time")
names = pytest.mark.parametrize("path", PRESETS, ids=[path.stem for path in PRESETS])


def heading(path: Path) -> str:
    """The comment that a preset begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))])


@names
def test_unroll_check_finds_it_well_once_its_files_are_there(path, tmp_path, monkeypatch):
    """Until then it says where they belong, as the comment does."""
    shutil.copy(path, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    for name, corpus in load().corpora.items():
        if corpus.source != "files":
            Path(corpus.path).mkdir(parents=True)
            continue
        found = CliRunner().invoke(app, ["check"])
        (line,) = found.exception.problems
        files = [corpus.path]
        if corpus.train is not None:
            files = [f"{corpus.path}/{file}" for file in (corpus.train, corpus.valid, corpus.test)]
            assert all(Path(file).name in line for file in files)
        assert line.startswith(f"params.yaml: corpora.{name}: {corpus.path}: no such file or folder")
        for file in files:
            assert file in heading(path)
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).touch()
    found = CliRunner().invoke(app, ["check"])
    assert found.exit_code == 0, found.output
    assert "all well" in found.output


@names
def test_its_comment_states_how_it_is_used_and_where_the_data_is_from(path):
    text = heading(path)
    assert f"#   cp presets/{path.name} params.yaml && dvc repro\n" in text
    for label in STATED:
        line = next((line for line in text.splitlines() if line.startswith(f"# {label}: ")), "")
        assert len(line) > len(label) + 10, f"{label} is not stated"
    corpora = load(path).corpora.values()
    assert all(corpus.licence != "unknown" for corpus in corpora)
    for corpus in corpora:
        if corpus.source == "files":
            assert corpus.path in text, "which file goes where is not stated"


@names
def test_networks_that_are_compared_by_cell_have_about_equal_sizes(path):
    """Of runs that differ in their cell alone."""
    sizes: dict[str, list[int]] = {}
    for name, run in load(path).runs.items():
        if run.model.kind == "language_model" and name.startswith("char-"):
            network = LanguageModel(run.model, 101)
            sizes.setdefault(run.dataset, []).append(sum(p.numel() for p in network.parameters()))
    assert all(max(found) < 1.02 * min(found) for found in sizes.values())


def test_its_stages_resolve(tmp_path, monkeypatch):
    from dvc.repo import Repo

    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    Repo.init(no_scm=True).close()
    assert PRESETS
    for path in PRESETS:
        shutil.copy(path, tmp_path / "params.yaml")
        with Repo() as repo:
            found = {stage.addressing for stage in repo.index.stages}
        params = load(path)
        wanted = {"scratch", "compare"} | {f"fetch@{name}" for name in params.corpora}
        wanted |= {f"{stage}@{name}" for stage in ("vocab", "encode") for name in params.datasets}
        wanted |= {f"{stage}@{name}" for stage in ("train", "evaluate", "track") for name in params.runs}
        assert found == wanted, path.stem


def test_the_readme_names_each():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.stem}`" in text for path in PRESETS)
