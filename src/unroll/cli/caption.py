"""The command that uses a finished captioner."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from unroll.cli.finished import Run, load_run
from unroll.errors import UserError

Images = Annotated[list[Path], typer.Argument(help="images (PNG, JPEG, GIF, BMP, WEBP), or .npy files of features")]


def caption(
    run: Run,
    images: Images,
    beam: Annotated[int | None, typer.Option(min=1, help="captions kept at each step; 1 is greedy search")] = None,
    nbest: Annotated[int | None, typer.Option(min=1, help="so many of each image, best first, with scores")] = None,
    length_penalty: Annotated[float | None, typer.Option(min=0, help="larger favours longer ones")] = None,
    min_length: Annotated[int | None, typer.Option(min=0, help="tokens at least")] = None,
    max_length: Annotated[int | None, typer.Option(min=1, help="tokens at most")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="an object a line: captions with scores, tokens and where each looked")
    ] = False,
) -> None:
    """Say what images show, a line each: the file, a tab, the caption.

    What no option says is as in the run's `evaluate`. Images are scaled to the size of the run's dataset. If one cannot
    be read, all that cannot are named and no caption is written. Examples:

        unroll caption attention photo.jpg drawing.png

        unroll caption attention photo.jpg --beam 5 --nbest 3 --json
    """
    options = {"beam": beam, "length_penalty": length_penalty, "min_length": min_length, "max_length": max_length}
    from unroll.exported.decoding import caption_decoding, finds

    model, info = load_run(run)
    if model.task != "captions":
        raise UserError(f"{run}: a {info['kind']} reads text; images need a captioner")
    settings = caption_decoding(info["settings"]["evaluate"], options)
    if nbest is not None and not finds(settings, nbest):
        raise UserError(
            f"--nbest {nbest}: a beam finds as many as it keeps, {settings.beam}; --beam {nbest} keeps more"
        )
    arrays = _arrays(model, images)
    for path, found in zip(images, model.decode_nbest(arrays, settings, nbest or 1), strict=True):
        if as_json:
            print(json.dumps({"image": str(path), "captions": [_object(model, one) for one in found]}))
        else:
            texts = (" ".join(one.text.split()) for one in found)
            scores = [f"{one.score:.4f}\t" if nbest else "" for one in found]
            print("\n".join(f"{path}\t{score}{text}" for score, text in zip(scores, texts, strict=True)))


def _arrays(model: Any, images: list[Path]) -> list[Any]:
    """The images as the model reads them; `UserError` naming all that cannot be read."""
    from unroll.images import read_file

    arrays, problems = [], []
    for path in images:
        try:
            arrays.append(model.read(read_file(path), str(path)))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return arrays


def _object(model: Any, found: Any) -> dict[str, Any]:
    """A caption; `alignment` has for each token the weights of the grid's positions, line by line."""
    looked = found.alignment.round(4).tolist() if model.attends else []
    return {**found._asdict(), "alignment": looked}
