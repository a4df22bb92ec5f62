"""How fast is a whole training step of an encoder-decoder?

B batch, S source time, T target time, V vocabulary.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

from bench.measure import Out, Quick, Report, Threads, clock_of, exponent
from bench.models import Drawn, draw_row, make_trainer, read_run, updates
from bench.peers.joey import Checkout, Joey, joey_ids
from bench.products import default, start
from unroll.text.batches import Batch, make_batch
from unroll.training.loop import Trainer

ROWS = 64  # pairs of a batch
LENGTH = 14  # mean of sources; that of a target differs by a few tokens
LENGTHS = [7, 14, 28, 56]
app = typer.Typer(add_completion=False)


@app.command()
def seq2seq(quick: Quick = False, threads: Threads = 1, out: Out = None, checkout: Checkout = None) -> None:
    """Steps of training on batches of 64 pairs, beside JoeyNMT's with the same weights if a checkout is given."""
    start(threads)
    report = Report("seq2seq", "Training steps of an encoder-decoder", threads, quick, clock_of(threads))
    for feeding in (False, True):
        race(report, checkout, feeding)
    lengths, costs = LENGTHS[:2] if quick else LENGTHS, []
    for length in lengths:
        data = draw_pairs(quick, length)
        case = {"input_feeding": False, "length": length}
        taken = report.race(
            case, {"unroll": _epoch(make_trainer(pair_run(quick, False), data))}, _tokens(data), "target tokens"
        )
        costs.append(taken["unroll"].seconds)
    report.facts["unroll: time of as many pairs grows as their length to the"] = exponent(lengths, costs)
    report.finish(out)


def race(report: Report, checkout: Path | None, feeding: bool) -> None:
    """Rows for a model: an epoch a call. Ours has batches of similar lengths, JoeyNMT's come as they are."""
    data = draw_pairs(report.quick, LENGTH)
    trainer = make_trainer(pair_run(report.quick, feeding), data)
    mixed = [make_batch(data.train, rows) for rows in np.split(np.arange(len(data.train)), trainer.per_epoch)]
    entered: dict[str, Callable[[], object]] = {}
    if checkout is not None:
        joey = Joey(checkout, pair_run(report.quick, feeding).model, *sizes(data))
        joey.take_weights(trainer.task.network)
        theirs = [joey.batch(*joey_ids(batch)) for batch in mixed]
        apart = abs(joey.nats(theirs[0]) / _nats(trainer, mixed[0]) - 1)
        report.facts[f"input_feeding {feeding}: relative difference of the losses"] = apart

        def joey_steps() -> None:
            for batch in theirs:
                joey.step(batch)

        entered |= {"JoeyNMT": default(joey_steps), "JoeyNMT, fast products": joey_steps}

    def steps() -> None:
        for batch in mixed:
            trainer._update([batch])

    entered["unroll, any lengths together"] = steps
    entered["unroll"] = _epoch(trainer)
    entered["unroll, bfloat16"] = _epoch(make_trainer(pair_run(report.quick, feeding, "bfloat16"), data))
    report.race({"input_feeding": feeding, "length": LENGTH}, entered, _tokens(data), "target tokens")


def pair_run(quick: bool, feeding: bool, precision: str = "float32") -> Any:
    """An entry of `runs`: one layer each, a bidirectional encoder, additive attention."""
    model = {
        "kind": "seq2seq",
        "cell": "gru",
        "embedding": 16 if quick else 256,
        "hidden": 32 if quick else 512,
        "attention": "additive",
        "input_feeding": feeding,
        "dropout": {"input": 0.2, "between": 0.2},
    }
    train = {"batch_size": ROWS, "optimizer": "adam", "lr": 0.001, "clip": 1.0, "precision": precision, "steps": 10**6}
    return read_run(model, train)


def draw_pairs(quick: bool, length: int) -> Drawn:
    """Pairs whose lengths spread as those of sentences do, enough for some batches."""
    random = np.random.default_rng(1)
    size, count = (500, ROWS) if quick else (8_000, 4 * ROWS)
    sources = np.clip(random.normal(length, length / 3, count), 2, 3 * length).astype(int)
    targets = np.clip(sources + random.normal(0, 2, count), 1, None).astype(int)
    rows = {
        field: [draw_row(random, n, size) for n in lengths]
        for field, lengths in (("source", sources), ("target", targets))
    }
    return Drawn(rows, dict.fromkeys(rows, size))


def _epoch(trainer: Trainer) -> Callable[[], object]:
    update = updates(trainer)
    return lambda: [update() for _ in range(trainer.per_epoch)]


def sizes(data: Drawn) -> tuple[int, int]:
    """Of the vocabularies of sources and targets."""
    return data.manifest["fields"]["source"]["size"], data.manifest["fields"]["target"]["size"]


def _tokens(data: Drawn) -> int:
    return int(data.train.fields["target"].lengths.sum())


def _nats(trainer: Trainer, batch: Batch) -> float:
    trainer.task.network.eval()
    with torch.no_grad():
        loss, _ = trainer.task.loss(batch, None)
    trainer.task.network.train()
    return float(loss.nats)


if __name__ == "__main__":
    app()
