"""Work on shards: whoever does it, whatever it has met before, the result is the same to the byte."""

import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from builders import text_dataset
from prepared import UNITS, contents, corpus, prepare
from pydantic import ValidationError

from unroll.engine import OVERRIDE, Local, text_engine
from unroll.errors import UserError
from unroll.kinds.ngram import counts as counts_module
from unroll.kinds.ngram.settings import NgramSettings, NgramTraining
from unroll.kinds.ngram.task import Task
from unroll.nn.device import ComputeSettings, decoding_engine
from unroll.text.shards import CorpusShard, Texts, corpus_shards, shard_size
from unroll.text.vocabulary import build_vocabulary


class Apart:
    """Takes shards to a few workers by pickle, as other processes do, and works on the last of those waiting first."""

    at_once = 3

    def map_shards(self, function: Callable[[Any], Any], shards: Iterable[Any]) -> Iterator[Any]:
        workers = [pickle.loads(pickle.dumps(function)) for _ in range(2)]
        waiting = [pickle.dumps(shard) for shard in shards]
        found = {
            n: pickle.dumps(workers[n % len(workers)](pickle.loads(waiting[n]))) for n in reversed(range(len(waiting)))
        }
        return (pickle.loads(found[n]) for n in range(len(waiting)))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "tiny"
    corpus(folder)
    return folder


def test_data_sets_are_the_same_by_several_processes(raw, tmp_path):
    prepare(raw, tmp_path / "here", "hybrid")
    prepare(raw, tmp_path / "apart", "hybrid", Local(2))
    assert contents(tmp_path / "apart") == contents(tmp_path / "here")


@pytest.mark.parametrize(
    ("at_once", "sizes", "groups"),
    [
        (1, [], 8),
        (1, [1_500_000] * 47, 8),
        (1, [1_500_000, 8_000_000], 2),  # the largest counts
        (1, [40_000_000] * 3, 1),
        (2, [1_500_000] * 47, 5),  # four for each
        (2, [8_000_000] * 470, 2),
        (16, [1_500_000] * 47, 1),
    ],
)
def test_shards_are_neither_few_nor_large(at_once, sizes, groups):
    assert shard_size(Local(at_once), sizes) == groups


@pytest.mark.parametrize("unit", UNITS)
def test_data_sets_are_the_same_by_any_engine(raw, tmp_path, unit):
    prepare(raw, tmp_path / "here", unit)
    prepare(raw, tmp_path / "apart", unit, Apart())
    found = contents(tmp_path / "here")
    assert {"vocab/vocabularies.json", "encoded/manifest.json", "encoded/report.json"} <= set(found)
    assert contents(tmp_path / "apart") == found
    if unit == "hybrid":
        assert len(np.load(tmp_path / "here" / "encoded" / "text.spelled.offsets.npy")) > 20


def test_a_corpus_falls_into_shards_in_order(raw):
    texts = Texts.of_corpus(raw, "train", ["one", "other"], Apart())
    assert len(texts.shards) == 2 * 10
    assert len(Texts.of_corpus(raw, "train", ["one", "other"]).shards) == 2
    whole = [text for column in ("one", "other") for shard in corpus_shards(raw, "train", column, 99) for text in shard]
    assert [text for shard in texts.shards for text in shard] == whole
    assert len(whole) == 2 * 70


def test_a_shard_of_a_file_that_has_changed_is_refused(raw, tmp_path):
    corpus(tmp_path / "raw")
    shard, *_ = corpus_shards(tmp_path / "raw", "train", "one", 1)
    assert isinstance(shard, CorpusShard)
    assert list(shard)
    corpus(tmp_path / "raw", rows=45)
    with pytest.raises(UserError, match="another file on another node"):
        list(shard)


@pytest.mark.parametrize("unit", UNITS)
def test_a_vocabulary_goes_to_another_process_without_what_it_remembers(unit):
    from prepared import fields

    from unroll.text.settings import DatasetSettings

    settings = DatasetSettings(corpus="tiny", fields=fields(unit), max_length=5)
    vocabulary = build_vocabulary(["a station, a station."] * 2, settings.unit(next(iter(fields(unit)))))
    before = len(pickle.dumps(vocabulary))
    ids, _ = vocabulary.encode_many(["a new station and another " * 9])
    again = pickle.loads(pickle.dumps(vocabulary))
    assert len(pickle.dumps(vocabulary)) == before
    assert again.tokens(range(len(again))) == vocabulary.tokens(range(len(vocabulary)))
    assert again.encode_many(["a new station and another " * 9])[0].tolist() == ids.tolist()


def test_n_grams_are_the_same_by_any_engine(tmp_path, monkeypatch):
    data = text_dataset(tmp_path, ["a b a c a b", "b a", "c a b a"], {"unit": "word"})
    for context in ("stream", "text"):
        task = Task(NgramSettings(kind="ngram", order=3), NgramTraining(context=context), data, torch.device("cpu"))
        whole = [stage.weights for stage in task.stages()]
        with monkeypatch.context() as patch:
            patch.setattr(counts_module, "SHARD_TOKENS", 4)
            parts = [stage.weights for stage in task.stages(Apart())]
        assert [sorted(weights) for weights in parts] == [sorted(weights) for weights in whole]
        assert all(torch.equal(a[name], b[name]) for a, b in zip(parts, whole, strict=True) for name in a)


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({"engine": "ray"}, "`engine: ray` needs `address`"),
        ({"engine": "ray", "address": "localhost"}, "should be HOST:PORT"),
        ({"engine": "ray", "address": "localhost:66000"}, "should be HOST:PORT"),
        ({"engine": "dask"}, "'local' or 'ray'"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(stated, problem):
    with pytest.raises(ValidationError, match=problem):
        ComputeSettings(**stated)


def test_local_is_the_default_and_can_be_asked_for_from_outside(monkeypatch):
    for settings in (ComputeSettings(), ComputeSettings(num_workers=3, address="127.0.0.1:6379")):
        engine = text_engine(settings)
        assert isinstance(engine, Local) and engine.at_once == settings.num_workers
    ray = ComputeSettings(engine="ray", address="127.0.0.1:6379")
    assert not isinstance(text_engine(ray), Local)
    monkeypatch.setenv(OVERRIDE, "local")
    assert isinstance(text_engine(ray), Local)


def test_mistakes_told_by_another_process_stay_lines():
    error = pickle.loads(pickle.dumps(UserError(["one\n", "two"])))
    assert error.problems == ["one\\n", "two"]


def test_a_shard_that_decodes_takes_one_gpu_however_many_processes_train():
    stated = {"engine": "ray", "address": "127.0.0.1:6379", "device": "cuda", "threads": 3, "processes": 4}
    settings = ComputeSettings(**stated)
    engine = decoding_engine(settings, torch.device("cpu"))
    assert (engine.cpus, engine.gpus) == (3, 1)
    assert (settings.cpus, settings.gpus) == (12, 4)


def test_on_this_machine_as_many_processes_decode_as_train_but_for_a_gpu():
    settings = ComputeSettings(num_workers=4, processes=3)
    assert decoding_engine(settings, torch.device("cpu")).at_once == 3
    assert decoding_engine(settings, torch.device("cuda")).at_once == 1
