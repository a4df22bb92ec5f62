"""What the documents tell a person to type is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def commands(program: str) -> list[str]:
    """The words that follow `program` at the start of a command in fenced `sh` blocks, each once."""
    found: set[str] = set()
    for document in DOCUMENTS:
        blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for block in blocks:
            found.update(re.findall(rf"(?:^|&& |; ){program} ([\w-]+)", block, re.MULTILINE))
    return sorted(found)


def test_the_makefile_has_the_targets_that_people_use():
    assert {"repro", "ui", "test", "check"} <= TARGETS
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony and set(phony[1].split()) == TARGETS


def test_the_documents_name_targets_that_are_there():
    named = commands("make")
    assert "repro" in named
    assert set(named) <= TARGETS


@pytest.mark.parametrize("command", commands("unroll"))
def test_a_command_that_the_documents_name_answers(command):
    code = "from unroll.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, command, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_files_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
