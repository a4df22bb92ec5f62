"""presets/: each is a whole params file that says where its data is from, and what came of it elsewhere."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stand_ins
import torch
from ruamel.yaml import YAML
from typer.testing import CliRunner

from unroll.cli import app
from unroll.kinds import load_model
from unroll.kinds.language_model.network import LanguageModel
from unroll.params import CaptionerRun, Params, Seq2SeqRun, load
from unroll.text.corpus import SPLITS, read_texts, write_corpus
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.sources import read
from unroll.text.vocabulary import save_vocabularies
from unroll.training.run import train_run

ROOT = Path(__file__).parent.parent
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
STATED = ("Source", "Licence", "Files", "Split", "Published (not measured by us)", "Time")
OF_IMAGES = [path for path in PRESETS if "kind: captioner" in path.read_text(encoding="utf-8")]
names = pytest.mark.parametrize("path", PRESETS, ids=[path.stem for path in PRESETS])


def heading(path: Path) -> str:
    """The comment that a preset begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))])


def stated(path: Path) -> dict[str, Any]:
    """A preset as it is written."""
    found: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return found


# Words of a comment may have an end of line and # between them.
REPLACED = re.compile(
    r"say instead of\s+`source: \w+`\s+to\s+(?:the end of\s+)?`(\w+)`:\n((?:#     .*\n)+)".replace(r"\s", r"[\s#]")
)


def without_network(path: Path) -> dict[str, Any] | None:
    """A preset with what its comment has in place of the first lines of its corpus; None if there is no such thing."""
    found = REPLACED.search(heading(path) + "\n")
    if found is None:
        return None
    params = stated(path)
    (corpus,) = params["corpora"].values()
    for key in list(corpus)[: list(corpus).index(found[1]) + 1]:
        del corpus[key]
    corpus.update(YAML(typ="safe").load(found[2].replace("#     ", "")))
    return params


def prepare(params: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Run the stages fetch, vocab and encode in `folder`, on texts of our own in the places of the published ones."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("UNROLL_CACHE", str(folder / "cache"))
    monkeypatch.setenv("HF_HOME", str(folder / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stand_ins.put(params, folder)
    with Path("params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)
    settings = load()
    for name, corpus in settings.corpora.items():
        write_corpus(read(corpus), Path("data/raw") / name, corpus)
    for name, dataset in settings.datasets.items():
        raw, vocab = Path("data/raw") / dataset.corpus, Path("data/vocab") / name
        save_vocabularies(raw, dataset, vocab)
        encode_dataset(name, raw, vocab, dataset, Path("data/encoded") / name)
    return settings


def columns(settings: Params) -> Iterator[tuple[str, str, list[str]]]:
    """The texts of each column of each split that was fetched."""
    for name, corpus in settings.corpora.items():
        for column in getattr(corpus, "column_names", None) or corpus.columns:
            for split in SPLITS:
                yield split, column, list(read_texts(Path("data/raw") / name, split, column))


@pytest.mark.parametrize("path", [path for path in PRESETS if path not in OF_IMAGES], ids=lambda path: path.stem)
def test_texts_of_its_format_become_data_that_its_runs_learn_from(path, tmp_path, monkeypatch):
    settings = prepare(stated(path), tmp_path, monkeypatch)
    for split, column, found in columns(settings):
        # Where a split is a part of the training text, it may begin or end within one of our texts.
        texts = "\n".join(text for written in SPLITS for text in stand_ins.texts(written, column))
        assert found and all(text in texts for text in found), (split, column)
    for name, dataset in settings.datasets.items():
        data = EncodedDataset.open(Path("data/encoded") / name)
        for field in dataset.fields:
            assert all(data.raw_texts(split, field) for split in SPLITS)
            assert data.raw_texts("train", field)[0].startswith(f"{dataset.column(field)} train")
    for name, run in settings.runs.items():
        if isinstance(run, Seq2SeqRun):
            learn(name, run)


@pytest.mark.parametrize("path", OF_IMAGES, ids=lambda path: path.stem)
def test_images_of_its_format_become_data_that_its_runs_learn_from(path, tmp_path, monkeypatch):
    settings = prepare(stated(path), tmp_path, monkeypatch)
    for name, run in settings.runs.items():
        learn(name, run)


def learn(name: str, run: Seq2SeqRun | CaptionerRun) -> None:
    """Two steps of a run that is small but in all else as it is stated, and two sources decoded."""
    small: dict[str, Any] = {"embedding": 8, "hidden": 8}
    if isinstance(run, CaptionerRun):
        small["channels"] = [8] * len(run.model.channels)
    short = {"epochs": None, "steps": 2, "validate_every": None}
    run = run.model_copy(
        update={"model": run.model.model_copy(update=small), "train": run.train.model_copy(update=short)}
    )
    data, cpu = EncodedDataset.open(Path("data/encoded") / run.dataset), torch.device("cpu")
    vocab, models = Path("data/vocab") / run.dataset, Path("models")
    train_run(name, run, data, vocab, models / run.init, [], cpu, models / name, Path("results") / name, Path("checks"))
    model = load_model(models / name, cpu)
    if isinstance(run, CaptionerRun):
        sources = [model.read(image, "an image") for image, _ in data.raw_images("test")[:2]]
    else:
        sources = data.raw_texts("test", "source")[:2]
    assert len(model.decode(sources, run.evaluate)) == 2


@pytest.mark.parametrize("path", [path for path in PRESETS if without_network(path)], ids=lambda path: path.stem)
def test_without_a_network_the_same_is_read(path, tmp_path, monkeypatch):
    found = []
    for n, params in enumerate((stated(path), without_network(path))):
        folder = tmp_path / str(n)
        folder.mkdir()
        found.append(list(columns(prepare(params, folder, monkeypatch))))
    assert found[0] == found[1]


@names
def test_unroll_check_finds_it_well_once_its_files_are_there(path, tmp_path, monkeypatch):
    """Until then it says where they belong, as the comment does."""
    shutil.copy(path, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    for name, corpus in load().corpora.items():
        if corpus.source == "images":
            for file in (corpus.files, corpus.captions, corpus.train, corpus.valid, corpus.test):
                assert f"{corpus.path}/{file}" in heading(path)
                Path(corpus.path, file).parent.mkdir(parents=True, exist_ok=True)
                Path(corpus.path, file).touch()
            continue
        if corpus.source != "files":
            Path(corpus.path).mkdir(parents=True)
            continue
        found = CliRunner().invoke(app, ["check"])
        (line,) = found.exception.problems
        files = [corpus.path]
        if corpus.train is not None:
            splits = (corpus.train, corpus.valid, corpus.test)
            names = [name for split in splits for name in (split.values() if isinstance(split, dict) else [split])]
            files = [f"{corpus.path}/{name}" for name in names]
            assert all(name in line for name in names)
        assert line.startswith(f"params.yaml: corpora.{name}: {corpus.path}: no such file or folder")
        for file in files:
            assert corpus.path in heading(path) and Path(file).name in heading(path)
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).touch()
    found = CliRunner().invoke(app, ["check"])
    assert found.exit_code == 0, found.output
    assert "all well" in found.output


@names
def test_its_comment_states_how_it_is_used_and_where_the_data_is_from(path):
    text = heading(path)
    assert f"#   cp presets/{path.name} params.yaml && dvc repro\n" in text
    pairs = any(isinstance(run, Seq2SeqRun | CaptionerRun) for run in load(path).runs.values())
    for label in (*STATED, "Memory") if pairs else STATED:
        line = next((line for line in text.splitlines() if line.startswith(f"# {label}: ")), "")
        assert len(line) > len(label) + 10, f"{label} is not stated"
    corpora = load(path).corpora.values()
    assert all(getattr(corpus, "licence", "ours") != "unknown" for corpus in corpora)
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
        wanted |= {f"{stage}@{name}" for stage in ("combine", "track_combination") for name in params.combinations}
        assert found == wanted, path.stem


def test_the_readme_names_each():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.stem}`" in text for path in PRESETS)


@names
def test_the_table_of_presets_has_the_figures_that_its_comment_has(path):
    lines = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in lines if line.startswith(f"| [`{path.stem}`](../presets/{path.name}) |"))
    _, _, source, published, _ = row.strip("| ").split(" | ")
    text = heading(path)
    addresses = re.findall(r"\]\((.*?)\)", source)
    assert addresses and all(address in text for address in addresses)
    assert all(re.search(rf"\b{re.escape(figure)}\b", text) for figure in re.findall(r"\d+\.\d+", published))
