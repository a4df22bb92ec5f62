"""Commands that use a finished encoder-decoder: translate, summarize."""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from unroll.cli.finished import Run, load_run
from unroll.cli.lines import Lines
from unroll.errors import UserError
from unroll.progress import parts_done, silent

_HELP = (
    "{what} each line of standard input, in order: one at once if it comes alone, many side by side if they are there."
    "\n\n"
    "What no option says is as in the run's `evaluate`. A blank line stays a blank line. A line longer than the "
    "`max_length` of the run's dataset is cut as in training, and told on stderr with its number; so are, at the end, "
    "words that the run has never seen. Examples:\n\n"
    "    unroll {name} < source.txt > target.txt\n\n"
    "    echo {line} | unroll {name} --beam 8 --nbest 3 --json"
)
TRANSLATE = _HELP.format(what="Translate", name="translate translator", line='"The dog sleeps."')
SUMMARIZE = _HELP.format(
    what="Write a summary of", name="summarize summarizer", line='"Returns the mean of all values."'
)


def decode(
    run: Run,
    beam: Annotated[int | None, typer.Option(min=1, help="hypotheses kept at each step; 1 is greedy search")] = None,
    nbest: Annotated[
        int | None,
        typer.Option(min=1, help="so many for each line, best first: number of the line, tab, score, tab, text"),
    ] = None,
    length_penalty: Annotated[float | None, typer.Option(min=0, help="larger favours longer ones")] = None,
    coverage_penalty: Annotated[float | None, typer.Option(min=0, help="larger favours looking at all words")] = None,
    no_repeat_ngram: Annotated[
        int | None, typer.Option(min=0, help="never say so many tokens in a row twice; 0: it may")
    ] = None,
    min_length: Annotated[int | None, typer.Option(min=0, help="tokens at least")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="tokens at most")] = None,
    replace_unknown: Annotated[
        bool | None,
        typer.Option("--replace-unknown/--keep-unknown", help="put source words in place of unknown ones; unit word"),
    ] = None,
    sample: Annotated[
        bool | None, typer.Option("--sample/--search", help="draw tokens instead of searching for likely ones")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="below 1 likely tokens become likelier")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="draw among so many likeliest tokens")] = None,
    top_p: Annotated[float | None, typer.Option(help="draw among the likeliest that have this share")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="with a line's number it decides what is drawn")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="an object a line: hypotheses with scores, tokens and alignments")
    ] = False,
) -> None:
    """Decode standard input, line by line."""
    options = locals()
    given = {name: value for name, value in options.items() if name not in ("run", "nbest", "as_json")}
    from unroll.exported.decoding import decoding, finds

    model, info = load_run(run)
    if model.task != "pairs":
        does = "reads images" if model.task == "captions" else "continues text"
        raise UserError(f"{run}: a {info['kind']} {does}; this needs an encoder-decoder")
    settings = decoding(info["settings"]["evaluate"], given)
    count = nbest or 1
    if not finds(settings, count):
        raise UserError(
            f"--nbest {count}: a beam finds as many as it keeps, {settings.beam}; --beam {count} keeps more"
        )
    lines, unknown = Lines(sys.stdin.buffer, "standard input"), _Unknown()
    with nullcontext(silent) if sys.stdout.isatty() else parts_done("lines", None) as tell:
        for number, answer in enumerate(model.decode_stream(lines, settings, count, lines.waits), start=1):
            if answer.cut:
                tokens = f"{model.max_length + answer.cut:,} tokens, more than {model.max_length:,}"
                print(f"line {number}: {tokens}: cut as in training", file=sys.stderr)
            unknown.see(number, model.source.unknown_tokens(answer.source))
            if answer.source.strip() and not answer.hypotheses[0].text.strip():
                print(f"line {number}: nothing was found better than an empty text", file=sys.stderr)
            if as_json:
                print(json.dumps(_object(model, answer), ensure_ascii=False), flush=True)
            else:
                print("\n".join(_lines_of(number, answer, nbest is not None)), flush=True)
            tell(1)
    unknown.tell(run)


def _lines_of(number: int, answer: Any, several: bool) -> list[str]:
    """What is printed of a line: its best hypothesis, or several with their scores."""
    texts = [_text(answer, hypothesis) for hypothesis in answer.hypotheses]
    if not several:
        return texts[:1]
    if not answer.source.strip():
        return [f"{number}\t0.0000\t"]
    scores = (hypothesis.score for hypothesis in answer.hypotheses)
    return [f"{number}\t{score:.4f}\t{text}" for score, text in zip(scores, texts, strict=True)]


def _text(answer: Any, hypothesis: Any) -> str:
    """A hypothesis on one line."""
    return " ".join(hypothesis.text.split()) if answer.source.strip() else ""


def _object(model: Any, answer: Any) -> dict[str, Any]:
    blank = not answer.source.strip()
    nothing = {"text": "", "score": 0.0, "log_probability": 0.0, "tokens": [], "alignment": []}
    return {
        "source": answer.source,
        "source_tokens": model.source.tokens(model.source_ids(answer.source)),
        "cut": answer.cut,
        "hypotheses": [nothing]
        if blank
        else [
            hypothesis._asdict() | {"alignment": hypothesis.alignment.round(4).tolist()}
            for hypothesis in answer.hypotheses
        ],
    }


class _Unknown:
    """What the encoder has read as `<unk>`: told once, when all is done, for a file may be full of it."""

    SHOWN = 5

    def __init__(self) -> None:
        self.lines = self.tokens = self.first = 0
        self.some: list[str] = []
        self.more = ""

    def see(self, line: int, tokens: Sequence[str]) -> None:
        """The unknown tokens of a line."""
        if tokens:
            self.first = self.first or line
            self.lines += 1
            self.tokens += len(tokens)
        for token in tokens:
            if token not in self.some:
                if len(self.some) == self.SHOWN:
                    self.more = ", …"
                    break
                self.some.append(token)

    def tell(self, run: str) -> None:
        if self.tokens:
            count = "1 token was" if self.tokens == 1 else f"{self.tokens:,} tokens were"
            lines = "" if self.lines == 1 else f"in {self.lines:,} lines, first "
            which = ", ".join(map(repr, self.some)) + self.more
            told = f"{count} read as <unk>, {lines}in line {self.first}: {run} has never seen {which}"
            print(told, file=sys.stderr)
