"""How many sentences a second does an encoder-decoder decode, greedily and with a beam?

B batch, S source time, T target time.
"""

from collections.abc import Callable
from functools import partial
from operator import eq
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from bench.measure import Out, Quick, Report, Threads, clock_of, exponent
from bench.models import CPU, make_trainer
from bench.peers.joey import Checkout, Joey
from bench.products import default, start
from bench.seq2seq import LENGTH, ROWS, draw_pairs, pair_run, sizes
from unroll.kinds import load_model
from unroll.kinds.bundle import read_bundle
from unroll.kinds.seq2seq.predictor import PairPredictor
from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
from unroll.text.batches import pad_rows
from unroll.text.specials import EOS, SPECIALS
from unroll.text.units.word import WordVocabulary

BEAMS = [1, 2, 5, 10, 20]
LENGTHS = [10, 20, 40, 80]  # tokens of each hypothesis
Decode = Callable[[DecodeSettings], list[list[int]]]
app = typer.Typer(add_completion=False)


class Work(NamedTuple):
    """A model with its settings, and what it decodes."""

    predictor: PairPredictor
    model: Seq2SeqSettings
    texts: list[str]


@app.command()
def decoding(
    quick: Quick = False,
    threads: Threads = 1,
    out: Out = None,
    checkout: Checkout = None,
    bundle: Annotated[Path | None, typer.Option(help="Finished model: decode with it, to its own lengths.")] = None,
    sources: Annotated[Path | None, typer.Option(help="Its sources, a line each.")] = None,
) -> None:
    """Decode, beside JoeyNMT with the same weights if a checkout is given; ours from text to text, its from ids to ids.

    Without a bundle the weights are random, and all hypotheses have as many tokens as are asked for, so that no
    contender has less to do. JoeyNMT knows bundles of one layer each, gru, additive attention, nothing tied.
    """
    start(threads)
    report = Report("decoding", "Decoding with an encoder-decoder", threads, quick, clock_of(threads))
    if bundle is not None and sources is not None:
        texts = sources.read_text(encoding="utf-8").splitlines()[: 16 if quick else None]
        work = Work(load_model(bundle, CPU), read_bundle(bundle).model_settings(Seq2SeqSettings), texts)
        for beam in (1, 5):
            race(report, contenders(work, checkout), DecodeSettings(beam=beam), len(texts))
    else:
        drawn(report, checkout)
    report.finish(out)


def drawn(report: Report, checkout: Path | None) -> None:
    """Rows for a model with random weights: contenders at two beams, then how ours grows."""
    work = draw_work(report.quick)
    entered, texts = contenders(work, checkout), work.texts
    for beam in (1, 5):
        race(report, entered, _exactly(LENGTHS[1], beam), len(texts))
    beams, lengths = (BEAMS[:2], LENGTHS[:2]) if report.quick else (BEAMS, LENGTHS)
    ours = {"unroll": entered["unroll"]}
    by_beam = [race(report, ours, _exactly(LENGTHS[1], beam), len(texts)) for beam in beams]
    by_length = [race(report, ours, _exactly(length, 5), len(texts)) for length in lengths]
    report.facts["unroll: time grows as the beam to the"] = exponent(beams, by_beam)
    report.facts["unroll: time grows as the length to the"] = exponent(lengths, by_length)


def race(report: Report, entered: dict[str, Decode], settings: DecodeSettings, sentences: int) -> float:
    """Rows for a beam: what each contender found is compared first. The seconds of ours."""
    found = {name: decode(settings) for name, decode in entered.items()}
    tokens = {name: sum(map(len, rows)) / len(rows) for name, rows in found.items()}
    same = {name: sum(map(eq, ids, found["unroll"])) / len(ids) for name, ids in found.items()}
    calls: dict[str, Callable[[], object]] = {name: partial(decode, settings) for name, decode in entered.items()}
    if "JoeyNMT" in calls:
        calls["JoeyNMT"] = default(calls["JoeyNMT"])
    case = {"beam": settings.beam, "length": settings.max_length or "own"}
    return report.race(case, calls, sentences, "sentences", tokens=tokens, as_unroll=same)["unroll"].seconds


def contenders(work: Work, checkout: Path | None) -> dict[str, Decode]:
    """What decodes the same sources with the same weights."""
    entered: dict[str, Decode] = {}
    if checkout is not None:
        entered["JoeyNMT"] = _joey(work, checkout)
        entered["JoeyNMT, fast products"] = entered["JoeyNMT"]
    entered["unroll"] = lambda settings: [found.ids for found in work.predictor.decode(work.texts, settings)]
    return entered


def _joey(work: Work, checkout: Path) -> Decode:
    predictor = work.predictor
    joey = Joey(checkout, work.model, len(predictor.source), len(predictor.target))
    joey.take_weights(predictor.network)
    rows = [predictor.source_ids(text) for text in work.texts]
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))  # similar lengths together, as in ours
    parts = [order[at : at + ROWS] for at in range(0, len(rows), ROWS)]
    batches = [joey.batch(*pad_rows([rows[n] for n in part]), None) for part in parts]
    places = [part[n] for part, batch in zip(parts, batches, strict=True) for n in batch.indices.tolist()]

    def decode(settings: DecodeSettings) -> list[list[int]]:
        most = settings.max_length or 2 * max(map(len, rows))
        found = [
            row.tolist()
            for batch in batches
            for row in joey.search(batch, settings.beam, settings.min_length, most + 1, settings.length_penalty)
        ]
        return [_until_end(ids)[:most] for _, ids in sorted(zip(places, found, strict=True))]

    return decode


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(EOS)] if EOS in ids else ids


def draw_work(quick: bool) -> Work:
    """A model with its first weights, and a batch of sources."""
    data, run = draw_pairs(quick, LENGTH), pair_run(quick, False)
    trainer = make_trainer(run, data)
    size, _ = sizes(data)
    vocabulary = WordVocabulary([f"w{n}" for n in range(len(SPECIALS), size)], [], "whitespace", False)
    network = trainer.task.network
    predictor = PairPredictor(network, vocabulary, vocabulary, 3 * LENGTH, CPU)  # type: ignore[arg-type]
    rows = [data.train.fields["source"].row(n) for n in range(ROWS)]
    return Work(predictor, run.model, [vocabulary.decode(row.tolist()) for row in rows])


def _exactly(length: int, beam: int) -> DecodeSettings:
    return DecodeSettings(beam=beam, min_length=length, max_length=length)


if __name__ == "__main__":
    app()
