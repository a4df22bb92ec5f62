"""How long does a word language model take to reach a perplexity, beside pytorch/examples with its own recipe?

`python -m bench.peers.perplexity --checkout examples --data FOLDER`; the folder has train.txt, valid.txt and test.txt
as pytorch/examples reads them. Both train in one process, in turn for some seconds each, and are validated while their
clocks stand still: on all of valid.txt, as one stream whose state is carried on.

B batch, T time, N tokens.
"""

import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from bench.corpora import encode
from bench.measure import Out, Quick, Report, Threads
from bench.models import Watched, make_trainer, read_run
from bench.peers.pytorch_examples import load, peer_step
from bench.products import default, start
from unroll import params
from unroll.text.settings import DatasetSettings
from unroll.text.sources.files import CorpusSettings
from unroll.training.validation import Validation

B, T, LANES, H, LAYERS, DROPOUT, LR = 20, 35, 10, 200, 2, 0.2, 20.0  # its options as they come
# Ours has the same layers, output weights that are the embeddings, a better optimiser with a rate that falls to nothing
# over its budget, products in bfloat16 and a sampled softmax in training; its perplexity is over the whole vocabulary.
MODEL = {
    "kind": "language_model",
    "cell": "lstm",
    "embedding": H,
    "hidden": H,
    "layers": LAYERS,
    "dropout": DROPOUT,
    "tied": True,
}
TRAIN = {
    "context": "stream",
    "batch_size": B,
    "bptt": T,
    "optimizer": "adamw",
    "lr": 0.004,
    "schedule": "cosine",
    "warmup": 0.05,
    "clip": 1.0,
    "precision": "bfloat16",
    "sampled_softmax": 1500,
}
app = typer.Typer(add_completion=False)


@app.command()
def perplexity(
    checkout: Annotated[Path, typer.Option(help="Checkout of pytorch/examples.", exists=True)],
    data: Annotated[Path, typer.Option(help="Folder of train.txt, valid.txt and test.txt.", exists=True)],
    target: Annotated[float, typer.Option(help="Perplexity to be reached.")] = 150.0,
    minutes: Annotated[float, typer.Option(help="Budget of ours, over which its rate decays.")] = 10.0,
    most: Annotated[float, typer.Option(help="Minutes after which the peer is given up.")] = 120.0,
    every: Annotated[float, typer.Option(help="Seconds of training between validations.")] = 30.0,
    settings: Annotated[Path | None, typer.Option(help="Params file that has `--run`, in place of our recipe.")] = None,
    run: Annotated[str, typer.Option(help="Its run.")] = "word-lstm",
    quick: Quick = False,
    threads: Threads = 1,
    out: Out = None,
) -> None:
    """Perplexity over time of both, and the seconds that each took to the target."""
    start(threads)
    report = Report("perplexity", f"Perplexity by the second, to {target:g}", threads, quick)
    chosen = read_run(MODEL, {**TRAIN, "minutes": minutes}) if settings is None else params.load(settings).runs[run]
    peer = Peer(checkout, data)
    with TemporaryDirectory() as folder:
        ours = make_trainer(chosen, encode_words(data, Path(folder)), Watched)
        assert isinstance(ours, Watched)
        looked = 0.0
        reached: dict[str, float] = report.facts

        def note(name: str, seconds: float, loss: float) -> None:
            report.row({"contender": name, "seconds": seconds, "perplexity": math.exp(loss)})
            if math.exp(loss) <= target:
                reached.setdefault(f"{name}: seconds to {target:g}", seconds)

        def look(seconds: float, found: Validation | None) -> bool:
            nonlocal looked
            if found is None and seconds < looked + every:
                return False
            looked = seconds
            note("unroll", seconds, (found or ours.validator.validate(ours.average)).loss)
            peer.train(seconds)
            note("pytorch/examples", peer.seconds, peer.validate())
            return len(reached) == 2

        ours.look = look
        ours.fit()
    while math.exp(peer.last) > target and not quick and peer.seconds < 60 * most:
        peer.train(peer.seconds + every)
        note("pytorch/examples", peer.seconds, peer.validate())
    report.finish(out)


def encode_words(data: Path, folder: Path) -> Any:
    """The same text, each line's words and its end, in the project's files."""
    corpus = CorpusSettings(
        source="files", path=str(data), train="train.txt", valid="valid.txt", test="test.txt", strip=True,
        keep_blank=True, licence="not stated",
    )  # fmt: skip
    fields: Any = {"text": {"unit": "word", "tokenizer": "whitespace"}}
    return encode(corpus, DatasetSettings(corpus="words", fields=fields, max_length=1000), folder)


class Peer:
    """Its model and data, trained as its main.py does: plain SGD, a rate that falls when validation is no better."""

    def __init__(self, checkout: Path, data: Path) -> None:
        folder = checkout / "word_language_model"
        corpus = load(folder / "data.py").Corpus(str(data))
        self.train_LB, self.valid_LB = _columns(corpus.train, B), _columns(corpus.valid, LANES)
        torch.manual_seed(1111)
        self.model: Any = load(folder / "model.py").RNNModel("LSTM", len(corpus.dictionary), H, H, LAYERS, DROPOUT)
        self.lr, self.best, self.last = LR, math.inf, math.inf
        self.place, self.hidden, self.seconds = 0, self.model.init_hidden(B), 0.0
        self.step = default(self._step)

    def train(self, until: float) -> None:
        """Train until its seconds of training are `until`."""
        start = time.perf_counter() - self.seconds
        self.model.train()
        while time.perf_counter() - start < until:
            self.step()
            if self.place >= len(self.train_LB) - 1:
                self.seconds = time.perf_counter() - start
                self._end_epoch()
                start = time.perf_counter() - self.seconds
        self.seconds = time.perf_counter() - start

    def _step(self) -> None:
        inputs_TB, targets_N = _batch(self.train_LB, self.place)
        self.hidden = peer_step(self.model, inputs_TB, targets_N, self.hidden, self.lr)
        self.place += T

    def _end_epoch(self) -> None:
        if (loss := self.validate()) < self.best:
            self.best = loss
        else:
            self.lr /= 4
        self.place, self.hidden = 0, self.model.init_hidden(B)
        self.model.train()

    @torch.no_grad()
    def validate(self) -> float:
        """Its loss a token of the validation part."""
        self.model.eval()
        total, hidden = 0.0, self.model.init_hidden(LANES)
        for place in range(0, len(self.valid_LB) - 1, T):
            inputs_TB, targets_N = _batch(self.valid_LB, place)
            output, hidden = self.model(inputs_TB, hidden)
            total += len(inputs_TB) * float(nn.functional.nll_loss(output, targets_N))
        self.last = total / (len(self.valid_LB) - 1)
        return self.last


def _columns(ids_N: Tensor, lanes: int) -> Tensor:
    length = len(ids_N) // lanes
    return ids_N[: length * lanes].view(lanes, length).t().contiguous()


def _batch(ids_LB: Tensor, place: int) -> tuple[Tensor, Tensor]:
    inputs_TB = ids_LB[place : place + T][: len(ids_LB) - 1 - place]
    return inputs_TB, ids_LB[place + 1 : place + 1 + len(inputs_TB)].reshape(-1)


if __name__ == "__main__":
    app()
