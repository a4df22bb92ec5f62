"""Nothing in a training step waits for a GPU: what is to be known on the CPU is known before data goes there.

Without a GPU this is seen on the device "meta", whose tensors have no values: to ask for one is an error.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import image_dataset, pair_dataset, text_dataset
from torch.utils._python_dispatch import TorchDispatchMode

from unroll.kinds import load_task
from unroll.params import CaptionerRun, LanguageModelRun, Seq2SeqRun
from unroll.training.loop import Trainer

META, aten = torch.device("meta"), torch.ops.aten
TEXTS = [f"the {a} {b} the {c} ." for a in ("cat", "dog", "hen") for b in ("sees", "bites") for c in ("cow", "fox")]
TEXTS += ["a hen .", "the cow sees a cat and a dog ."]


class Copies(TorchDispatchMode):
    """Counts copies from the CPU that wait until they are made."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        there = torch.device(kwargs.get("device") or "cpu")
        if func is aten._to_copy.default and args[0].is_cpu and there == META and not kwargs.get("non_blocking"):
            self.waited.append(str(func))
        if func is aten.copy_.default and args[0].is_meta and args[1].is_cpu and not (*args[2:], False)[0]:
            self.waited.append(str(func))
        if func in (aten.index.Tensor, aten._index_put_impl_.default) and args[0].is_meta:
            self.waited += [str(func) for places in args[1] if places is not None and places.is_cpu]
        return func(*args, **kwargs)


def run(schema, kind, evaluate=None, batches=None, **model):
    stated = {"kind": kind, "embedding": 8, "hidden": 8, "dropout": 0.1, **model}
    train = {"batch_size": 4, "lr": 0.01, "steps": 4, **(batches or {})}
    return schema.model_validate({"dataset": "tiny", "init": "scratch", "seed": 1, "evaluate": evaluate or {},
                                  "model": stated, "train": train})  # fmt: skip


def text_run(batches=None, **model):
    return run(LanguageModelRun, "language_model", None, {"context": "text", **(batches or {})}, **model)


def pair_run(batches=None, **model):
    return run(Seq2SeqRun, "seq2seq", {"metric": "bleu"}, batches, **model)


SPELLING, PACK = {"spelling": {"embedding": 4, "hidden": 6}}, {"padding": "pack"}
RUNS = {
    **{f"{cell} packed": ("words", text_run(PACK, cell=cell, layers=2)) for cell in ("elman", "jordan", "gru", "lstm")},
    "ticks": ("words", text_run(PACK, cell="lstm", peepholes=True)),
    "penalties": ("words", text_run({"label_smoothing": 0.1, "change_penalty": 1.0}, cell="gru")),
    "stream": ("words", text_run({"context": "stream", "bptt": 5, "batch_size": 3}, cell="lstm")),
    "one-hot": ("words", text_run(cell="gru", embedding="none")),
    "adaptive": ("words", text_run(cell="gru", adaptive_softmax=[5, 8])),
    "sampled": ("words", text_run({"sampled_softmax": 5}, cell="gru", tied=True)),
    "hybrid": ("hybrid", text_run(PACK, cell="lstm", **SPELLING)),
    **{f"pairs {cell}": ("pairs", pair_run(PACK, cell=cell)) for cell in ("elman", "jordan", "gru", "lstm")},
    "fed": ("pairs", pair_run(cell="lstm", attention="additive", input_feeding=True, past="coverage")),
    "heads": ("pairs", pair_run(cell="gru", attention="multi-head", bridge="mean")),
    "own tokens": ("pairs", pair_run({"scheduled_sampling": 0.5}, cell="lstm")),
    "grid": ("images", run(CaptionerRun, "captioner", cell="lstm", image="attention", channels=[4, 8])),
    "first token": ("images", run(CaptionerRun, "captioner", cell="gru", image="first-token", channels=[4, 8])),
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("data")
    return {
        "words": text_dataset(folder / "words", TEXTS, {"unit": "word"}),
        "hybrid": text_dataset(folder / "hybrid", TEXTS, {"unit": "hybrid", "max_words": 6}),
        "pairs": pair_dataset(folder / "pairs", [(text, text[::-1]) for text in TEXTS]),
        "images": image_dataset(folder / "images"),
    }


def task_of(name, datasets, device):
    dataset, chosen = RUNS[name]
    return load_task(chosen.model.kind)(chosen.model, chosen.train, datasets[dataset], device), chosen


@pytest.mark.parametrize("name", RUNS)
def test_no_value_is_asked_for_and_no_copy_waited_for(datasets, name):
    task, _ = task_of(name, datasets, META)
    carry, steps = None, 0
    with Copies() as copies:
        for batch in task.batches(np.random.default_rng(1)):
            loss, carry = task.loss(batch, carry)
            (loss.nats + loss.extra).backward()
            steps += 1
    assert steps > 1 and copies.waited == []
    assert all(p.grad is not None for p in task.network.parameters())


def test_what_waits_is_seen():
    here, there = torch.zeros(2), torch.zeros(2, device=META)
    with Copies() as copies:
        here.to(META)
        there.copy_(here)
        _ = there[torch.tensor([1])]
        here.to(META, non_blocking=True)
        there.copy_(here, non_blocking=True)
    assert len(copies.waited) == 3
    for ask in (there.sum().item, there.nonzero, there.cpu):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ask()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("name", RUNS)
def test_an_update_on_a_gpu_waits_for_nothing(datasets, name):
    device = torch.device("cuda")
    task, chosen = task_of(name, datasets, device)
    trainer = Trainer("run", task, chosen.train, 1, device)
    trainer.fit()  # what is allocated once has been
    trainer.carry = None
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in task.batches(np.random.default_rng(1)):
            trainer._update([batch])
    finally:
        torch.cuda.set_sync_debug_mode("default")
