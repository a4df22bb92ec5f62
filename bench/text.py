"""How fast is text counted, encoded and read back, and how does its memory grow with the corpus?"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import sentencepiece
import typer

from bench.measure import Out, Quick, Report, clock_of, exponent, once
from bench.words import corpus
from unroll.text.corpus import read_texts
from unroll.text.encoded import EncodedDataset
from unroll.text.encoding import encode_dataset
from unroll.text.settings import DatasetSettings
from unroll.text.specials import SPECIALS, UNK
from unroll.text.vocabulary import save_vocabularies

WORDS = 1_000_000  # of the smallest corpus
KEPT = 10_000  # words of a vocabulary
UNITS: dict[str, dict[str, Any]] = {
    "words at white space": {"unit": "word", "tokenizer": "whitespace", "max_size": KEPT},
    "words and punctuation": {"unit": "word", "tokenizer": "joiner", "max_size": KEPT},
    "characters": {"unit": "char"},
}
SUBWORDS = {model: {"unit": "subword", "max_size": 8_000, "model": model} for model in ("unigram", "bpe")}
SUBWORD_TIMES = (1, 16)  # most words of a small text are new, most of a large one are not
TIMES = [1, 4, 16, 64]
Times = Annotated[list[int], typer.Option(help="Sizes of the corpus whose costs are compared, times a million words.")]

app = typer.Typer(add_completion=False)


@app.command()
def text(
    times: Times = TIMES,
    subwords: Annotated[bool, typer.Option(help="Also SentencePiece, which takes a minute to learn.")] = True,
    quick: Quick = False,
    out: Out = None,
) -> None:
    """The stages vocab and encode against the textbook's way, and against what SentencePiece takes alone.

    Ours reads the corpus from the disk and leaves vocabulary, ids, raw text, counts and checksums there; the textbook's
    has all lines in memory and leaves its dictionary and its ids there.
    """
    pa.set_cpu_count(1)
    report = Report("text", "Vocabulary and encoding", 1, quick, clock_of(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = WORDS // 10 if quick else WORDS
        raw = corpus(words, folder / "raw-1")
        _race_words(report, raw, folder)
        if subwords and not quick:
            for n in SUBWORD_TIMES:
                _race_subwords(report, corpus(n * words, folder / f"raw-{n}"), folder / f"subwords-{n}")
        _batches(report, folder)
        _growth(report, words, times[:2] if quick else times, folder)
    report.finish(out)


def settings_of(unit: dict[str, Any]) -> DatasetSettings:
    """A dataset of one field."""
    stated = {"corpus": "drawn", "fields": {"text": unit}, "max_length": 512}
    return DatasetSettings.model_validate(stated)


def _race_words(report: Report, raw: Path, folder: Path) -> None:
    texts = list(read_texts(raw, "train", "text"))
    words = sum(len(text.split()) for text in texts)
    known = _textbook_vocabulary(texts)
    for name, unit in UNITS.items():
        settings, vocab, encoded = settings_of(unit), folder / f"{name}-vocab", folder / f"{name}-encoded"
        contenders: dict[str, Callable[[], object]] = {
            "Counter": partial(_textbook_vocabulary, texts),
            "stage vocab": partial(save_vocabularies, raw, settings, vocab),
        }
        report.race({"what": "vocabulary", "unit": name}, contenders, words, "words")
        contenders = {
            "dictionary": partial(_textbook_ids, texts, known),
            "stage encode": partial(encode_dataset, "drawn", raw, vocab, settings, encoded),
        }
        report.race({"what": "encoding", "unit": name}, contenders, words, "words")


def _textbook_vocabulary(texts: list[str]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for line in texts:
        counts.update(line.split())
    return {word: n for n, (word, _) in enumerate(counts.most_common(KEPT), start=len(SPECIALS))}


def _textbook_ids(texts: list[str], known: dict[str, int]) -> np.ndarray:
    return np.array([known.get(word, UNK) for line in texts for word in line.split()], dtype=np.int64)


def _race_subwords(report: Report, raw: Path, folder: Path) -> None:
    texts = list(read_texts(raw, "train", "text"))
    size = sum(len(text) for text in texts)
    for model, unit in SUBWORDS.items():
        settings, vocab, encoded = settings_of(unit), folder / f"{model}-vocab", folder / f"{model}-encoded"
        save_vocabularies(raw, settings, vocab)
        library = sentencepiece.SentencePieceProcessor(model_file=str(vocab / "text.model"))
        contenders: dict[str, Callable[[], object]] = {
            "SentencePiece alone": partial(library.encode, texts, num_threads=1),
            "stage encode": partial(encode_dataset, "drawn", raw, vocab, settings, encoded),
        }
        report.race({"what": "encoding", "unit": model, "megabytes": size / 1e6}, contenders, size, "bytes")


def _batches(report: Report, folder: Path) -> None:
    """How long a batch takes from the memory map, of a stream and of rows."""
    from unroll.text.batches import make_batch, row_batches, stream_segments

    train = EncodedDataset.open(folder / f"{next(iter(UNITS))}-encoded").train
    readers: dict[str, Callable[[], Any]] = {
        "stream, 20 lanes of 35": lambda: stream_segments(train.fields["text"].ids, 20, 35),
        "64 rows": lambda: (make_batch(train, rows) for rows in row_batches(train, 64, np.random.default_rng(1))),
    }
    for name, reader in readers.items():
        start = time.process_time()
        count = sum(1 for _ in reader())
        report.row(
            {"what": "a batch", "unit": name, "contender": "batches", "seconds": (time.process_time() - start) / count}
        )


def _growth(report: Report, words: int, times: list[int], folder: Path) -> None:
    name = next(iter(UNITS))
    costs: dict[str, list[float]] = {}
    for n in times:
        raw = corpus(n * words, folder / f"raw-{n}")
        size = sum(len(text) + 1 for text in read_texts(raw, "train", "text"))
        vocab, encoded = folder / "grown-vocab", folder / "grown-encoded"
        for stage, build in (
            ("vocab", partial(vocab_stage, raw, UNITS[name], vocab)),
            ("encode", partial(encode_stage, raw, UNITS[name], vocab, encoded)),
        ):
            taken = once(build)
            report.row(
                {"what": f"stage {stage}", "unit": name, "words": n * words, "megabytes": size / 1e6}
                | {"seconds": taken.seconds, "words/s": n * words / taken.seconds, "peak_bytes": taken.bytes}
            )
            for cost, value in (("seconds", taken.seconds), ("bytes", taken.bytes)):
                costs.setdefault(f"{stage}: {cost}", []).append(value)
    for cost, values in costs.items():
        if len(times) > 1:
            report.facts[f"{cost} grow as the corpus to the"] = exponent(times, values)


def vocab_stage(raw: Path, unit: dict[str, Any], vocab: Path) -> Callable[[], object]:
    """The stage vocab."""
    pa.set_cpu_count(1)
    return partial(save_vocabularies, raw, settings_of(unit), vocab)


def encode_stage(raw: Path, unit: dict[str, Any], vocab: Path, encoded: Path) -> Callable[[], object]:
    """The stage encode."""
    pa.set_cpu_count(1)
    return partial(encode_dataset, "drawn", raw, vocab, settings_of(unit), encoded)


if __name__ == "__main__":
    app()
