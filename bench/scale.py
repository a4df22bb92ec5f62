"""What does a corpus of 100 GB cost, on how many workers? Constants measured in small, and what follows from them.

    python -m bench.scale measure   # CPU time and memory of each stage on texts made here, at two sizes
    python -m bench.scale predict   # the tables of docs/scale.md, from bench/results/scale.json

A worker is one process of one thread. Predictions hold as long as time is linear in the text and memory flat, which
`measure` looks at: of each stage it has the exponent of the time and the bytes of memory that a byte of text adds.
"""

import json
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

RESULTS = Path(__file__).parent / "results" / "scale.json"
MACHINE = "2 virtual cores of an AMD EPYC (Zen 4), 24 GiB; one thread, CPU time"
WORDS = 50_000  # distinct ones
SIZES = (16_000_000, 48_000_000)  # bytes of text
DAY = 86_400.0

app = typer.Typer(add_completion=False)


class Text(NamedTuple):
    """A corpus, and the tokens that a subword vocabulary of 32,000 makes of it."""

    name: str
    size: float
    """Bytes."""
    rows: float
    tokens: float


BILLION = Text("1-billion-word benchmark", 4.1e9, 30.6e6, 4.1e9 / 4.4)
LARGE = Text("100 GB", 100e9, 770e6, 100e9 / 4.4)


class Network(NamedTuple):
    """An LSTM language model whose output layer shares the embedding."""

    hidden: int
    layers: int
    vocabulary: int

    @property
    def core(self) -> int:
        """Weights of the recurrent layers; biases are left out."""
        return self.layers * 8 * self.hidden**2

    @property
    def parameters(self) -> int:
        """All weights: those whose gradients processes exchange."""
        return self.core + self.hidden * self.vocabulary

    @property
    def flops(self) -> int:
        """Of a token, forward and backward: each weight is multiplied and added three times."""
        return 6 * (self.core + self.hidden * self.vocabulary)


NETWORK = Network(1024, 2, 32_000)
BATCH = 64 * 35  # tokens of one worker between two exchanges
NETWORKS = {"1 Gbit/s": 125e6, "10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9}


def exchanged(parameters: int, workers: int) -> float:
    """Bytes that each worker sends for one update: a ring sums gradients of four bytes each."""
    return 2 * (workers - 1) / workers * 4 * parameters


def training(text: Text, network: Network, workers: int, flops_per_second: float, bandwidth: float) -> float:
    """Seconds of one epoch; gradients are exchanged once the last is there."""
    compute = BATCH * network.flops / flops_per_second
    updates = text.tokens / (BATCH * workers)
    return updates * (compute + exchanged(network.parameters, workers) / bandwidth)


def predicted(measured: Mapping[str, Any], text: Text, workers: int, bandwidth: float) -> dict[str, float]:
    """Seconds of each stage on so many workers: what engines share out is divided, fetch is one process."""
    speed = {stage: measured[stage]["bytes_per_second"] for stage in ("fetch", "vocab", "encode")}
    rate = measured["train"]["flops_per_second"]
    score = text.tokens / 100 * NETWORK.flops / 3 / rate  # a test part of one hundredth, forward alone
    return {
        "fetch": text.size / speed["fetch"],
        "vocab": text.size / speed["vocab"] / workers,
        "encode": text.size / speed["encode"] / workers,
        "train, an epoch": training(text, NETWORK, workers, rate, bandwidth),
        "evaluate": score / workers,
    }


@app.command()
def predict() -> None:
    """Print the tables of docs/scale.md."""
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["stages"]
    for text in (BILLION, LARGE):
        print(f"\n| {text.name} | 1 worker | 8 | 64 |\n| --- | ---: | ---: | ---: |")
        columns = [predicted(measured, text, workers, NETWORKS["10 Gbit/s"]) for workers in (1, 8, 64)]
        for stage in columns[0]:
            print(f"| {stage} | {' | '.join(told(column[stage]) for column in columns)} |")
    print(f"\n{NETWORK.parameters / 1e6:.1f} million weights, {NETWORK.flops / 1e6:.0f} MFLOP a token\n")
    print("| workers | MB sent by each, an update | share of the time that computes: " + " | ".join(NETWORKS) + " |")
    print("| ---: | ---: |" + " ---: |" * len(NETWORKS))
    compute = BATCH * NETWORK.flops / measured["train"]["flops_per_second"]
    for workers in (2, 8, 64):
        sent = exchanged(NETWORK.parameters, workers)
        shares = [compute / (compute + sent / bandwidth) for bandwidth in NETWORKS.values()]
        print(f"| {workers} | {sent / 1e6:.0f} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def told(seconds: float) -> str:
    """In the unit that leaves a number of few digits."""
    for unit, size in (("days", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


@app.command()
def measure(
    quick: Annotated[bool, typer.Option(help="Small sizes: seconds, to see that it works.")] = False,
    out: Annotated[Path, typer.Option(help="JSON to write.")] = RESULTS,
) -> None:
    """Measure every stage at two sizes, each in a process of its own."""
    sizes = [size // 60 for size in SIZES] if quick else list(SIZES)
    found: dict[str, list[dict[str, float]]] = {}
    with TemporaryDirectory() as folder:
        for size in sizes:
            place = Path(folder, str(size))
            write_text(place / "files", size)
            for stage in STAGES:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found.setdefault(stage, []).append(pool.apply(measured, (stage, place)) | {"size": size})
                print(stage, json.dumps(found[stage][-1]), flush=True)
    out.parent.mkdir(exist_ok=True)
    stages = {stage: summary(*runs) for stage, runs in found.items()}
    out.write_text(json.dumps({"machine": MACHINE, "sizes": sizes, "stages": stages}, indent=2) + "\n")


def summary(small: Mapping[str, float], large: Mapping[str, float]) -> dict[str, float]:
    """Of a stage at two sizes: its speed at the larger one, and how time and memory grow."""
    growth = large["size"] / small["size"]
    return {
        "bytes_per_second": large["size"] / large["seconds"],
        "exponent": math.log(large["seconds"] / small["seconds"]) / math.log(growth),
        "memory_bytes": large["memory"],
        "memory_per_byte": (large["memory"] - small["memory"]) / (large["size"] - small["size"]),
        **{key: value for key, value in large.items() if key not in ("seconds", "memory", "size")},
    }


def write_text(folder: Path, size: int) -> None:
    """About `size` bytes of training lines in which words are as frequent as in a language, and some for the tests."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    letters = random.integers(97, 123, (WORDS, 9), dtype=np.uint8)
    words = [bytes(row[:length]).decode() for row, length in zip(letters, random.integers(2, 10, WORDS), strict=True)]
    shares = 1 / np.arange(2, WORDS + 2)
    for name, bytes_of in (("train", size), ("valid", 20_000), ("test", 20_000)):
        with (folder / f"{name}.txt").open("w", encoding="utf-8") as file:
            while file.tell() < bytes_of:
                for row in random.choice(WORDS, (500, 20), p=shares / shares.sum()):
                    file.write(" ".join(words[n] for n in row) + "\n")


def measured(stage: str, folder: Path) -> dict[str, float]:
    """CPU seconds of a stage, how far its memory grew at the peak, and what else it tells."""
    call = STAGES[stage](folder)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before, start = _status("VmRSS"), time.process_time()
    more = call() or {}
    seconds = time.process_time() - start
    return {"seconds": seconds, "memory": _status("VmHWM") - before, **more}


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


Call = Callable[[], dict[str, float] | None]


def _fetch(folder: Path) -> Call:
    from unroll.text.corpus import write_corpus
    from unroll.text.sources.files import CorpusSettings, read

    splits = {name: f"{name}.txt" for name in ("train", "valid", "test")}
    settings = CorpusSettings.model_validate({"source": "files", "path": str(folder / "files"), **splits})
    return lambda: write_corpus(read(settings), folder / "raw", settings)


def _dataset() -> Any:
    from unroll.text.settings import DatasetSettings

    field = {"unit": "word", "max_size": 10_000}
    return DatasetSettings.model_validate({"corpus": "made", "fields": {"text": field}, "max_length": 100})


def _vocab(folder: Path) -> Call:
    from unroll.text.vocabulary import save_vocabularies

    settings = _dataset()

    def call() -> None:
        save_vocabularies(folder / "raw", settings, folder / "vocab")

    return call


def _encode(folder: Path) -> Call:
    from unroll.text.encoding import encode_dataset

    settings = _dataset()

    def call() -> dict[str, float]:
        encode_dataset("made", folder / "raw", folder / "vocab", settings, folder / "encoded")
        written = sum(path.stat().st_size for path in (folder / "encoded" / "train").rglob("*.npy"))
        return {"bytes_written": written}

    return call


def _ngram(folder: Path) -> Call:
    from unroll.kinds.ngram.counts import count_orders
    from unroll.kinds.ngram.task import read_split
    from unroll.text.encoded import EncodedDataset

    data = EncodedDataset.open(folder / "encoded")

    def call() -> dict[str, float]:
        tokens = read_split(data.train, "stream")
        list(count_orders(tokens, 5, data.manifest["fields"]["text"]["size"]))
        return {"tokens": tokens.predicted}

    return call


def _train(folder: Path) -> Call:
    """Some updates of a network that is small for its kind: what counts is how many operations a second it does."""
    from unroll.kinds import load_task
    from unroll.nn.device import ComputeSettings, prepare
    from unroll.params import LanguageModelRun
    from unroll.text.encoded import EncodedDataset

    device = prepare(ComputeSettings(device="cpu"))
    network, updates = Network(512, 2, 10_000), 3
    model = {"kind": "language_model", "cell": "lstm", "embedding": 512, "hidden": 512, "layers": 2, "tied": True}
    train = {"context": "stream", "bptt": 35, "batch_size": 32, "lr": 0.001, "steps": updates}
    stated = {"dataset": "made", "init": "scratch", "model": model, "train": train, "evaluate": {}, "seed": 1}
    run = LanguageModelRun.model_validate(stated)
    task = load_task("language_model")(run.model, run.train, EncodedDataset.open(folder / "encoded"), device)
    weights = sum(weight.numel() for weight in task.network.parameters())

    def call() -> dict[str, float]:
        start, carry, tokens = time.process_time(), None, 0
        for batch in islice(task.batches(np.random.default_rng(1)), updates):
            loss, carry = task.loss(batch, carry)
            loss.nats.backward()
            tokens += int(loss.tokens)
        rate = tokens * network.flops / (time.process_time() - start)
        gradients = sum(weight.grad.nbytes for weight in task.network.parameters() if weight.grad is not None)
        counted = {"weights": weights, "weights_by_formula": network.parameters, "gradient_bytes": gradients}
        return {"flops_per_second": rate, **counted}

    return call


STAGES: dict[str, Callable[[Path], Call]] = {
    "fetch": _fetch,
    "vocab": _vocab,
    "encode": _encode,
    "ngram": _ngram,
    "train": _train,
}

if __name__ == "__main__":
    app()
