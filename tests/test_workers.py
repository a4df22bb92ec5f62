"""Several processes: the order, the errors and the bytes of one."""

import os

import pytest
from builders import dataset

from unroll import workers
from unroll.engine import Local
from unroll.errors import UserError
from unroll.text import corpus
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.vocabulary import save_vocabularies
from unroll.workers import AHEAD, batches, in_order


def doubled(n):
    if n == 13:
        raise UserError("13 is not liked")
    return 2 * n, os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes):
    found = list(in_order(doubled, range(9), processes))
    assert [n for n, _ in found] == list(range(0, 18, 2))
    assert (os.getpid() in {process for _, process in found}) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_is_told_where_it_comes(processes):
    found = in_order(doubled, range(12, 99), processes)
    assert next(found)[0] == 24
    with pytest.raises(UserError, match="13 is not liked"):
        next(found)


def prepared(n):
    return n, os.environ.get("PREPARED")


def prepare():
    os.environ["PREPARED"] = "yes"


def test_a_process_is_prepared_before_it_works():
    assert list(in_order(prepared, range(3), 2, prepare)) == [(n, "yes") for n in range(3)]


def test_no_more_is_read_than_is_worked_on():
    read = []
    found = in_order(doubled, (read.append(n) or n for n in range(99) if n != 13), 2)
    next(found)
    assert len(read) == AHEAD * 2
    found.close()


def test_batches_hold_all_texts_in_order_and_end_at_their_size(monkeypatch):
    monkeypatch.setattr(workers, "BATCH_CHARACTERS", 5)
    assert list(batches(["aaa", "", "bbbbbbb", "c"])) == [["aaa", ""], ["bbbbbbb"], ["c"]]
    assert list(batches([])) == []


UNITS = [
    {"unit": "word", "max_size": 20},
    {"unit": "subword", "max_size": 300},
    {"unit": "hybrid", "max_words": 8},
]


def test_any_number_of_processes_writes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "GROUP_ROWS", 16)  # each is encoded by one process
    texts = [
        (f"word {n % 7}: it's the {n}th, of\n  {n * n} {'é' * (n % 3)}" if n % 3 else f"the {n}th plain line",)
        for n in range(60)
    ]
    fields = {"text": UNITS[0]}
    dataset(tmp_path, ["text"], {"train": texts, "valid": texts[:2], "test": texts[:1]}, fields)
    monkeypatch.setattr(workers, "BATCH_CHARACTERS", 200)
    for number, unit in enumerate(UNITS):
        settings = DatasetSettings(corpus="tiny", fields={"text": unit}, max_length=9)
        written = []
        for processes in (1, 2):
            folder = tmp_path / f"{number}-{processes}"
            save_vocabularies(tmp_path / "raw", settings, folder / "vocab", Local(processes))
            encode_dataset("tiny", tmp_path / "raw", folder / "vocab", settings, folder / "encoded", Local(processes))
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            written.append({path.relative_to(folder): path.read_bytes() for path in files})
        assert written[0] == written[1], unit
