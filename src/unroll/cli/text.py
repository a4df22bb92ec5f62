"""Commands that use a finished run: generate, score, evaluate."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli.finished import Run, bundle_of, load_run
from unroll.cli.lines import Lines
from unroll.errors import UserError


def generate(
    run: Run,
    prompt: Annotated[str, typer.Option(help="what the text begins with")] = "",
    length: Annotated[int, typer.Option(min=1, help="tokens at most, the prompt not counted")] = 400,
    temperature: Annotated[float, typer.Option(help="below 1 likely tokens become likelier")] = 1.0,
    top_k: Annotated[int | None, typer.Option(min=1, help="draw among so many likeliest tokens")] = None,
    top_p: Annotated[float | None, typer.Option(help="draw among the likeliest that have this share")] = None,
    count: Annotated[int, typer.Option(min=1, help="texts")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="the same one writes the same")] = 1,
) -> None:
    """Let a language model write, and show it as it is made; an empty line parts several texts.

    Where texts were learned alone (context: text) it ends with its text, else it goes on with the next one. Examples:

    unroll generate char-gru --prompt "The function " --length 300

    unroll generate char-gru --temperature 0.7 --top-p 0.95 --count 3 --seed 1
    """
    for name, value, bound in (("temperature", temperature, None), ("top-p", top_p, 1.0)):
        if value is not None and not (0 < value < math.inf and (bound is None or value <= bound)):
            raise UserError(f"--{name} {value}: should be above 0" + (f" and at most {bound:g}" if bound else ""))
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise UserError("--prompt: is not UTF-8")
    model = _language_model(run)
    from unroll.kinds.generation import Sampling

    unknown = sorted({token for line in model.lines(prompt) for token in model.vocabulary.unknown_tokens(line)})
    if unknown:
        print(f"{run} has never seen {', '.join(map(repr, unknown))}; reads <unk> instead", file=sys.stderr)
    for place in range(count):
        if place:
            print()
        print(prompt, end="", flush=True)
        for piece in model.stream(prompt, length, Sampling(temperature, top_k, top_p), (seed, place)):
            print(piece, end="", flush=True)
        print()


def score(
    run: Run,
    as_json: Annotated[bool, typer.Option("--json", help="an object a line, with all measures")] = False,
) -> None:
    """Score each line of standard input by itself: log-probability in nats, perplexity a unit, bits per character.

    A unit that cannot be undone has no bits per character: a dash. Examples:

        unroll score char-gru < sentences.txt

        echo "Returns the mean." | unroll score char-gru --json
    """
    model = _language_model(run)
    from unroll.evaluation.language_model import measure

    for line in Lines(sys.stdin.buffer, "standard input"):
        found, _ = measure(model, [line])
        if as_json:
            print(json.dumps({"log_probability": -float(found["nll_nats"]), **found}), flush=True)
        else:
            bits = found.get("bits_per_char")
            shown = "-" if bits is None else f"{bits:.4f}"
            print(f"{-float(found['nll_nats']):.4f}\t{found.get('perplexity', float('inf')):.4f}\t{shown}", flush=True)


def evaluate(
    run: Run,
    data: Annotated[Path, typer.Option(help="text file, a text a line; sources for an encoder-decoder")],
    target: Annotated[Path | None, typer.Option(help="references, a line for each source")] = None,
) -> None:
    """The measures of a finished run on any text, as JSON, as in results/RUN/metrics.json. Examples:

    unroll evaluate char-gru --data new.txt

    unroll evaluate translator --data new.en --target new.de
    """
    texts = list(Lines.of(data))
    if not texts:
        raise UserError(f"{data}: has no line")
    model, info = load_run(run)
    if model.task == "captions":
        raise UserError(
            f"{run}: a captioner says what images show, and this reads lines of text; dvc repro measures it"
        )
    if model.task == "language_model":
        from unroll.evaluation.language_model import measure, text_intervals

        if target is not None:
            raise UserError("--target: belongs to encoder-decoders; a language model reads --data alone")
        measures, rows = measure(model, texts)
        found: dict[str, Any] = {**measures, "interval": text_intervals(rows)}
    else:
        found = _pair_measures(model, _evaluation(run, info), texts, data, target)
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _evaluation(run: str, info: dict[str, Any]) -> Any:
    """How pairs are decoded and scored: as params.yaml says of the run, or as its bundle does."""
    from unroll.evaluation.settings import PairEvaluation
    from unroll.kinds.bundle import INFO
    from unroll.stored import checked

    if Path("params.yaml").is_file():
        from unroll.params import load

        named = load().runs.get(run)
        if named is not None and isinstance(named.evaluate, PairEvaluation):
            return named.evaluate
    return checked(bundle_of(run) / INFO, info["settings"]["evaluate"], PairEvaluation, "settings.evaluate")


def _pair_measures(model: Any, settings: Any, sources: list[str], data: Path, target: Path | None) -> dict[str, Any]:
    from unroll.evaluation.pair_measures import measure_pairs

    if target is None:
        raise UserError("--target: is missing; an encoder-decoder needs references, a line for each source")
    references = list(Lines.of(target))
    if len(references) != len(sources):
        raise UserError(f"{target}: has {len(references):,} lines, {data} {len(sources):,}; each source needs one")
    found = measure_pairs(model, sources, references, settings).metrics()
    return {**found.pop("test"), **found}


def _language_model(run: str) -> Any:
    model, info = load_run(run)
    if model.task != "language_model":
        does = "says what images show" if model.task == "captions" else "turns one text into another"
        raise UserError(f"{run}: a {info['kind']} {does}; this needs a language model")
    return model
