"""What the documents tell a person to type is there."""

import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML
from test_params import all_settings

from unroll.cli import app
from unroll.params import Params, load

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
SPANNING = re.MULTILINE | re.DOTALL
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(program: str) -> list[list[str]]:
    """The words behind `program` in every command that the documents give, in `sh` blocks or between backticks."""
    found: set[tuple[str, ...]] = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = [line for block in re.findall(r"^```sh\n(.*?)^```", text, SPANNING) for line in block.splitlines()]
        for line in lines + re.findall(rf"`({program} [^`]+)`", text):
            for part in re.split(r" && | \| |; | [<>] ", line):
                if part.split()[:1] == [program]:
                    found.add(tuple(shlex.split(part, comments=True)[1:]))
    return sorted(map(list, found))


def test_the_makefile_has_the_targets_that_people_use():
    assert {"repro", "ui", "test", "check"} <= TARGETS
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony and set(phony[1].split()) == TARGETS


def test_the_documents_name_targets_that_are_there():
    named = {target for target, *_ in commands("make")}
    assert "repro" in named
    assert named <= TARGETS


@pytest.mark.parametrize("words", commands("unroll"), ids=" ".join)
def test_a_command_that_the_documents_give_is_one_with_its_options(words):
    name, *arguments = words
    command = typer.main.get_command(app).commands[name]
    assert command.make_context(name, arguments)


@pytest.mark.parametrize("words", commands("dvc"), ids=" ".join)
def test_a_command_of_dvc_is_one(words):
    assert get_main_parser().parse_args(words)


@pytest.mark.parametrize("program", ["cp", "python"])
def test_files_that_the_documents_name_in_commands_are_there(program):
    found = [words[0] for words in commands(program)]
    assert found
    assert [name for name in found if not name.startswith("-") and not (ROOT / name).exists()] == []


EXAMPLES = {
    f"{document.relative_to(ROOT)}-{n}": YAML(typ="safe").load(block)
    for document in DOCUMENTS
    for n, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", document.read_text(encoding="utf-8"), SPANNING))
}


def completed(example: dict[str, Any]) -> dict[str, Any]:
    """params.yaml with an example put in: sections, or settings of the translator."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    translator = params["runs"]["translator"]
    for key, value in example.items():
        if key in params:
            params[key] = {**params[key], **value}
        elif key in translator:
            translator[key] = value
        else:
            translator["train"][key] = value
    for combination in params["combinations"].values():
        for run in combination["runs"]:
            params["runs"].setdefault(run, translator)
        for part in ("fusion", "rescoring"):
            params["runs"].setdefault(combination.get(part, {}).get("run", "char-lstm"), params["runs"]["char-lstm"])
    return params


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_right(tmp_path, name):
    example = EXAMPLES[name]
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(example if "corpora" in example and "runs" in example else completed(example)))
    assert load(path)


def test_the_page_of_all_keys_is_up_to_date():
    page = runpy.run_path(str(ROOT / "docs" / "write_params.py"))["page"]()
    assert (ROOT / "docs" / "params.md").read_text(encoding="utf-8") == page, "python docs/write_params.py"


def test_the_page_of_all_keys_has_them_all_with_their_meaning():
    page = (ROOT / "docs" / "params.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    told = {"corpora", "datasets", "runs", "combinations", "compute", "model", "train", "evaluate"}
    assert {key for settings in all_settings(Params) for key in settings.model_fields} <= rows | told
    assert [line for line in page.splitlines() if line.endswith("|  |") and not line.startswith("| key")] == []


def test_each_page_is_on_the_list_of_all_pages():
    page = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#:]+)", page)}
    assert [path for path in DOCUMENTS if path not in listed and path != ROOT / "docs" / "README.md"] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
