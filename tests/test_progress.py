"""How far long work is: seen on a terminal, a real one, and nowhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
PREPARE = """
from pathlib import Path
from unroll.text.corpus import Corpus, write_corpus
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.vocabulary import save_vocabularies

rows = (("test" if n % 9 == 0 else "valid" if n % 9 == 1 else "train", (f"text {n}",)) for n in range(90))
write_corpus(Corpus(columns=("text",), licence="none", origin="here", rows=rows), Path("letters"))
settings = DatasetSettings.model_validate(
    {"corpus": "letters", "fields": {"text": {"column": "text", "unit": "char"}}, "max_length": 20}
)
save_vocabularies(Path("letters"), settings, Path("vocab"))
encode_dataset("letters-char", Path("letters"), Path("vocab"), settings, Path("encoded"))
print("done")
"""
DECODE = """
from unroll.progress import parts_done

with parts_done("decoded", 3) as tell:
    tell(1)
    tell(2)
    print("done")  # output goes where it belongs, not to the terminal of the bar
"""
FETCH = """
from unroll.progress import parts_done

with parts_done("file.gz", 3_000_000, "bytes") as tell:
    tell(3_000_000)
print("done")
"""


def run(script: str, folder: Path, terminal: bool) -> tuple[str, str]:
    """Output and what is on stderr, which is a terminal or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                more = os.read(ours, 1 << 16)
            except OSError:  # a terminal whose other end is closed
                break
            if not more:
                break
            seen += more
        os.close(ours)
        said = process.stdout.read()
    assert process.returncode == 0, seen.decode()
    return said, seen.decode()


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        (PREPARE, ["letters: rows read", "90/?", "letters.text: texts counted", "70/?", "letters.train.text"]),
        (DECODE, ["decoded", "3/3"]),
        (FETCH, ["file.gz", "3.0/3.0 MB"]),
    ],
    ids=["fetch, vocab, encode", "decode", "download"],
)
def test_a_bar_is_on_a_terminal_alone_and_goes_with_the_work(tmp_path, script, shown):
    said, seen = run(script, tmp_path, terminal=True)
    assert said == "done\n"
    for text in shown:
        assert text in seen
    assert seen.rstrip("\r\n").endswith("\x1b[2K")  # its line is cleared
    (tmp_path / "piped").mkdir()
    assert run(script, tmp_path / "piped", terminal=False) == ("done\n", "")
