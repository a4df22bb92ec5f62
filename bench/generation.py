"""How fast does a language model write characters, and how much of that are its matrix products?

E embedding, H hidden size, G gates, V vocabulary.
"""

from collections.abc import Callable

import numpy as np
import torch
import typer

from bench.core import GATES
from bench.measure import Out, Quick, Report, Threads, clock_of, exponent
from bench.models import CPU, Drawn, draw_row, make_trainer, read_run
from bench.products import start
from unroll.kinds.generation import Sampling
from unroll.kinds.language_model.predictor import LanguageModelPredictor
from unroll.nn.settings import CellName
from unroll.text.specials import EOS
from unroll.text.units.char import CharVocabulary

TOKENS, EMBEDDING, CHARACTERS = 200, 64, 96
HIDDEN = [128, 256, 512, 1024, 2048]
app = typer.Typer(add_completion=False)


@app.command()
def generation(quick: Quick = False, threads: Threads = 1, out: Out = None) -> None:
    """Characters drawn one after the other, against the products that each of them takes."""
    start(threads)
    report = Report("generation", "Writing characters", threads, quick, clock_of(threads))
    cells: tuple[CellName, ...] = ("elman", "lstm", "gru")
    for cell in cells:
        race(report, cell, 32 if quick else 512)
    sizes = [16, 32] if quick else HIDDEN
    grown = [race(report, "gru", H) for H in sizes]
    report.facts["gru: time grows as H to the"] = exponent(sizes, grown)
    report.finish(out)


def race(report: Report, cell: CellName, H: int) -> float:
    """Rows for a cell and a size; the seconds of ours."""
    entered = {"products alone": products(cell, H), "unroll": writer(cell, H)}
    return report.race({"cell": cell, "H": H}, entered, TOKENS, "tokens")["unroll"].seconds


def writer(cell: CellName, H: int) -> Callable[[], object]:
    """One text of `TOKENS` characters a call, of a model that ends none."""
    vocabulary = CharVocabulary([chr(ord(" ") + n) for n in range(CHARACTERS)])
    model = {"kind": "language_model", "cell": cell, "embedding": EMBEDDING, "hidden": H}
    train = {"context": "stream", "batch_size": 1, "bptt": 1, "lr": 1.0, "steps": 1}
    size = len(vocabulary)
    data = Drawn({"text": [draw_row(np.random.default_rng(1), 9, size)]}, {"text": size})
    network = make_trainer(read_run(model, train), data).task.network
    with torch.no_grad():
        network.output.bias[EOS] = -1e9  # type: ignore[union-attr, operator]
    predictor = LanguageModelPredictor(network, vocabulary, "stream", CPU)  # type: ignore[arg-type]
    sampling = Sampling(temperature=0.8)
    return lambda: predictor.generate([""], max_tokens=TOKENS, sampling=sampling, seed=1)


def products(cell: CellName, H: int) -> Callable[[], object]:
    """Those of `TOKENS` characters: input, state and output, by weights as torch keeps them."""
    G = GATES[cell] * H
    pairs = [(torch.randn(1, EMBEDDING), torch.randn(G, EMBEDDING)), (torch.randn(1, H), torch.randn(G, H))]
    pairs.append((torch.randn(1, H), torch.randn(CHARACTERS, H)))

    @torch.inference_mode()
    def call() -> None:
        for _ in range(TOKENS):
            for x_1I, w_OI in pairs:
                torch.nn.functional.linear(x_1I, w_OI)

    return call


if __name__ == "__main__":
    app()
