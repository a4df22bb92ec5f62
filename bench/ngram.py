"""How fast are n-gram models estimated and asked, in how much memory, and how does it grow with the text?

T tokens, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.measure import Out, Quick, Report, clock_of, exponent, once
from bench.peers import kenlm
from bench.words import lines
from unroll.kinds.ngram.counts import Tokens, count_orders, read_tokens
from unroll.kinds.ngram.estimate import estimate
from unroll.kinds.ngram.model import NgramModel
from unroll.kinds.ngram.predictor import NgramPredictor
from unroll.text.shards import Texts
from unroll.text.specials import EOS
from unroll.text.units.word import WordSettings, WordVocabulary

WORDS = 250_000  # of the smallest text; four times as many are about the Penn Treebank's
TIMES = [1, 4, 16]
ORDER = 5
TEST_SEED = 2
Text = Annotated[Path | None, typer.Option(help="Text to use, a sentence a line; drawn at random without.")]
Test = Annotated[Path | None, typer.Option(help="Text to be predicted.")]

app = typer.Typer(add_completion=False)


@app.command()
def ngram(
    binaries: kenlm.Binaries = None,
    train: Text = None,
    test: Test = None,
    quick: Quick = False,
    out: Out = None,
) -> None:
    """Interpolated modified Kneser-Ney of order 5 over words, against KenLM's lmplz and query on the same text.

    Ours counts the words' ids; KenLM reads the words, so that its seconds hold reading and numbering them, too: those
    of ours are told apart, as `vocabulary and ids`.
    """
    report = Report("ngram", f"n-gram models of order {ORDER}", 1, quick, clock_of(1))
    tested = test.read_text(encoding="utf-8").splitlines() if test else list(lines(80_000, TEST_SEED))
    seconds: list[float] = []
    sizes = [1] if train else TIMES[:2] if quick else TIMES
    for n in sizes:
        texts = train.read_text(encoding="utf-8").splitlines() if train else list(lines(n * WORDS))
        seconds.append(_ours(report, texts, tested))
        if binaries:
            kenlm.measure(report, binaries, texts, tested, ORDER)
    if len(sizes) > 1:
        report.facts["estimation: seconds grow as the text to the"] = exponent(sizes, seconds)
    report.finish(out)


def _ours(report: Report, texts: list[str], tested: list[str]) -> float:
    case = {"words": sum(len(text.split()) for text in texts), "contender": "unroll"}
    read = once(partial(reading, texts))
    report.row({**case, "what": "vocabulary and ids", "seconds": read.seconds, "peak_bytes": read.bytes})
    vocabulary, tokens = _read(texts)
    taken = once(partial(estimation, tokens, len(vocabulary)))
    model = _estimate(tokens, len(vocabulary))
    grams = sum(len(table.keys) for table in model.tables)
    report.row(
        {**case, "what": "estimation", "seconds": taken.seconds, "peak_bytes": taken.bytes, "n-grams": grams}
        | {"words/s": tokens.predicted / taken.seconds}
    )
    asked = _tokens(vocabulary, tested)
    report.race({"what": "queries"} | case, {"unroll": partial(model.nats, asked)}, asked.predicted, "tokens")
    predictor = NgramPredictor(model, vocabulary, "text")
    found = predictor.token_nats(tested)
    nats, predicted = sum(float(row.sum()) for row in found), sum(map(len, found))
    report.row({**case, "what": "perplexity", "perplexity": float(np.exp(nats / predicted)), "tokens": predicted})
    return taken.seconds


def reading(texts: list[str]) -> Callable[[], object]:
    """From lines to ids."""
    return partial(_read, texts)


def estimation(tokens: Tokens, vocabulary: int) -> Callable[[], object]:
    """From ids to the model."""
    return partial(_estimate, tokens, vocabulary)


def _read(texts: list[str]) -> tuple[WordVocabulary, Tokens]:
    vocabulary = WordVocabulary.build(Texts([texts]), WordSettings(unit="word", tokenizer="whitespace"))
    return vocabulary, _tokens(vocabulary, texts)


def _tokens(vocabulary: WordVocabulary, texts: list[str]) -> Tokens:
    ids, lengths = vocabulary.encode_many(texts)
    return read_tokens(np.insert(ids, np.cumsum(lengths), EOS), lengths + 1, "text")


def _estimate(tokens: Tokens, vocabulary: int) -> NgramModel:
    *_, model = estimate(list(count_orders(tokens, ORDER, vocabulary)), vocabulary)
    return model


if __name__ == "__main__":
    app()
