"""A disk that is full, or a folder that may not be written to: told, and what was there before is whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from unroll.files import whole_file, whole_folder

PARAMS = {
    "corpora": {"mine": {"source": "files", "path": "x.txt", "split": {"valid": 0.1, "test": 0.1}}},
    "datasets": {
        "mine": {"corpus": "mine", "fields": {"text": {"unit": "subword", "max_size": 300}}, "max_length": 50}
    },
    "runs": {
        "mine": {
            "dataset": "mine",
            "init": "scratch",
            "model": {"kind": "language_model", "cell": "gru", "embedding": 4, "hidden": 8},
            "train": {"context": "text", "batch_size": 8, "lr": 0.01, "epochs": 1},
            "evaluate": {"samples": 1, "sample_tokens": 5},
            "seed": 1,
        }
    },
    "combinations": {},
    "compute": {"device": "cpu", "threads": 1},
}


def tried(folder: Path, *arguments: str) -> list[dict]:
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(PARAMS, file)
    texts = (f"text {n} of {n * n} words, none {n % 7} of them new" for n in range(400))
    (folder / "x.txt").write_text("".join(f"{text}\n" for text in texts))
    command = [sys.executable, str(Path(__file__).parent / "full_disk.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: list[dict] = json.loads(done.stdout)
    return found


def check(found: list[dict], told: str) -> None:
    for one in found:
        assert one["changed"] == [], one
        assert one["code"] in (0, 2), one["told"]
        if one["code"]:
            assert told in one["told"] and "error: " in one["told"] and "Traceback" not in one["told"], one
    failed = {one["stage"] for one in found if one["code"]}
    assert failed == {"fetch", "vocab", "encode", "train", "evaluate"}


def test_a_file_that_may_not_get_longer_leaves_the_output_before_it(tmp_path):
    check(tried(tmp_path, "limit", "0", "700", "4000"), "ulimit -f")


def test_a_full_disk_leaves_the_outputs_before_it_and_says_what_to_free(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        check(tried(disk, "room", "0", "4096", "40960"), "unroll prune")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir(mode=0o500)
    with pytest.raises(PermissionError), whole_file(folder / "x"):
        pass


ENDED = 2**22 + 1  # no process has this number


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_a_living_one_has_is_not(tmp_path):
    for name in (f".x.{ENDED}-abc", f".x.{os.getpid()}-abc", f".y.{ENDED}-abc", ".x.mine"):
        (tmp_path / name).mkdir()
    with whole_file(tmp_path / "x") as file:
        file.write("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["x", f".x.{os.getpid()}-abc", f".y.{ENDED}-abc", ".x.mine"]
    )


def test_a_folder_whose_replacement_was_killed_half_way_is_there_again(tmp_path):
    before = tmp_path / f".x.{ENDED}-abc-before"
    before.mkdir()
    (before / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "x"):
        raise ZeroDivisionError
    assert (tmp_path / "x" / "old").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_two_that_write_the_same_folder_leave_one_of_theirs(tmp_path):
    with whole_folder(tmp_path / "x") as one:
        with whole_folder(tmp_path / "x") as other:
            (other / "file").write_text("other")
        (one / "file").write_text("one")
    assert (tmp_path / "x" / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
