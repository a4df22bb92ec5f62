"""Tiny Shakespeare by the minute: the run `three-minutes` against the CPU recipe of https://github.com/karpathy/nanoGPT.

`python -m bench.peers.nanogpt --checkout nanoGPT --text input.txt`. Both train in one process, in turn for some seconds
each, and are validated while their clocks stand still: by nanoGPT's measure (blocks of 64 characters, each predicted
from those before it in its block alone; here all blocks side by side instead of some at random).

B batch, T time, N characters.
"""

import gzip
import math
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from bench.corpora import encode
from bench.measure import RESULTS, Out, Quick, Report, Threads
from bench.models import Watched, make_trainer
from bench.peers.pytorch_examples import load
from bench.products import default, start
from unroll import params
from unroll.text.sources.files import CorpusSettings
from unroll.training.validation import Validation

PRESET, NAME, RUN = Path("presets/shakespeare.yaml"), "shakespeare", "three-minutes"
BLOCK, BATCH, WARMUP, PEAK, LEAST, CLIP = 64, 12, 100, 1e-3, 1e-4, 1.0  # of the recipe
ROWS = 128  # blocks validated side by side
app = typer.Typer(add_completion=False)


@app.command()
def nanogpt(
    checkout: Annotated[Path, typer.Option(help="Checkout of nanoGPT.", exists=True)],
    text: Annotated[Path, typer.Option(help="Tiny Shakespeare, input.txt or the same compressed.", exists=True)],
    iterations: Annotated[int, typer.Option(help="Of nanoGPT, over which its rate decays.")] = 2000,
    every: Annotated[float, typer.Option(help="Seconds of training between validations.")] = 5.0,
    minutes: Annotated[float | None, typer.Option(help="Of ours, in place of the preset's.")] = None,
    quick: Quick = False,
    threads: Threads = 2,
    out: Out = None,
) -> None:
    """Loss over time of both, as a table, as JSON and drawn beside it."""
    start(threads)
    report = Report("nanogpt", "Nats per character of tiny Shakespeare's validation part", threads, quick)
    with TemporaryDirectory() as folder:
        ours = make_ours(text, Path(folder), 0.02 if quick else minutes)
        peer = Peer(checkout, text, iterations)
        limit = 4 if quick else None
        valid_N = torch.from_numpy(ours.task.data.valid.fields["text"].ids.astype(np.int64))  # type: ignore[attr-defined]
        looked = 0.0

        def look(seconds: float, found: Validation | None) -> bool:
            nonlocal looked
            if seconds >= looked + (every if looked else min(every, 1.0)) or found is not None:
                looked = seconds
                peer.train(seconds)
                row = {"seconds": seconds, "nanoGPT": block_loss(peer.logits, peer.valid_N, limit)}
                report.row(row | {"unroll": block_loss(_reader(ours), valid_N, limit), "iteration": peer.iteration})
            if found is not None:
                report.facts["unroll, state carried"] = found.loss
            return False

        ours.look = look
        ours.fit()
    out = out or RESULTS / "nanogpt.json"
    report.finish(out)
    draw(report.rows, report.facts, out.with_suffix(".png"))


def make_ours(text: Path, folder: Path, minutes: float | None) -> Watched:
    """The run of the preset on the text, which the preset would download."""
    preset = params.load(PRESET)
    stated = preset.corpora[NAME].model_dump(include={"split", "keep_blank", "licence"})
    corpus = CorpusSettings(source="files", path=str(text.parent), train=text.name, **stated)
    run: Any = preset.runs[RUN]
    if minutes is not None:
        run = run.model_copy(update={"train": run.train.model_copy(update={"minutes": minutes})})
    trainer = make_trainer(run, encode(corpus, preset.datasets[run.dataset], folder), Watched)
    assert isinstance(trainer, Watched)
    return trainer


class Peer:
    """Its model and its optimiser, trained as its train.py does with the options that its README has for a CPU."""

    def __init__(self, checkout: Path, text: Path, iterations: int) -> None:
        module = load(checkout / "model.py")
        characters = (gzip.open if text.suffix == ".gz" else open)(text, "rt", encoding="utf-8").read()
        place = {c: n for n, c in enumerate(sorted(set(characters)))}
        ids_N = torch.tensor([place[c] for c in characters])
        self.train_N, self.valid_N = ids_N.tensor_split([int(0.9 * len(ids_N))])
        sizes = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": BLOCK, "bias": False, "dropout": 0.0}
        torch.manual_seed(1337)
        self.model = module.GPT(module.GPTConfig(vocab_size=len(place), **sizes))
        self.optimizer = self.model.configure_optimizers(0.1, PEAK, (0.9, 0.99), "cpu")
        self.iterations, self.iteration, self.seconds = iterations, 0, 0.0
        self.step = default(self._step)

    def train(self, until: float) -> None:
        """Train until its seconds of training are `until`, or its iterations are done."""
        self.model.train()
        start = time.perf_counter()
        while self.iteration < self.iterations and self.seconds + time.perf_counter() - start < until:
            self.step()
            self.iteration += 1
        self.seconds += time.perf_counter() - start

    def _step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        first_B = torch.randint(len(self.train_N) - BLOCK, (BATCH,))
        place_BT = first_B.unsqueeze(1) + torch.arange(BLOCK)
        _, loss = self.model(self.train_N[place_BT], self.train_N[place_BT + 1])
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _rate(self) -> float:
        if self.iteration < WARMUP:
            return PEAK * (self.iteration + 1) / (WARMUP + 1)
        share = (self.iteration - WARMUP) / (self.iterations - WARMUP)
        return LEAST + 0.5 * (1 + math.cos(math.pi * share)) * (PEAK - LEAST)

    def logits(self, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Of the next characters (B, T, V)."""
        self.model.eval()
        logits_BTV: Tensor = self.model(ids_BT, targets_BT)[0]
        return logits_BTV


def _reader(trainer: Watched) -> Callable[[Tensor, Tensor], Tensor]:
    network: Any = trainer.task.network

    def logits(ids_BT: Tensor, _: Tensor) -> Tensor:
        network.eval()
        found: Tensor = network.output(network(ids_BT).read_BTD)
        network.train()
        return found

    return logits


@torch.no_grad()
def block_loss(logits: Callable[[Tensor, Tensor], Tensor], ids_N: Tensor, limit: int | None) -> float:
    """Mean nats of the characters of all blocks, or of `limit` blocks; each block starts anew."""
    blocks = (len(ids_N) - 1) // BLOCK
    inputs, targets = (
        ids_N[: blocks * BLOCK].view(-1, BLOCK)[:limit],
        ids_N[1 : blocks * BLOCK + 1].view(-1, BLOCK)[:limit],
    )
    total = 0.0
    for x_BT, y_BT in zip(torch.split(inputs, ROWS), torch.split(targets, ROWS), strict=True):
        total += float(F.cross_entropy(logits(x_BT, y_BT).flatten(0, 1), y_BT.flatten(), reduction="sum"))
    return total / inputs.numel()


def draw(rows: list[dict[str, Any]], facts: dict[str, Any], path: Path) -> None:
    """The curves as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    seconds = [row["seconds"] for row in rows]
    for name in ("nanoGPT", "unroll"):
        axes.plot(seconds, [row[name] for row in rows], label=f"{name}, blocks of {BLOCK}")
    for name, loss in facts.items():
        axes.plot(seconds[-1:], [loss], "o", label=name)
    axes.set(xlabel="seconds of training", ylabel="nats per character", ylim=(1.3, 2.6))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    app()
