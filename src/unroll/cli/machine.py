"""What params.yaml needs of this machine: files, packages, a GPU. Told before a stage of DVC stumbles over it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unroll.errors import UserError

if TYPE_CHECKING:
    from unroll.params import Params


def lacking(params: "Params") -> Iterator[str]:
    """All that is not here."""
    yield from lacking_corpora(params, params.corpora)
    for name, run in params.runs.items():
        vectors = getattr(run.model, "vectors", None)
        if vectors is not None and not Path(vectors.path).is_file():
            yield f"runs.{name}.model.vectors.path: there is no file {vectors.path}"
    if params.compute.device == "cuda":
        yield from _lacking_gpu(params)


def lacking_corpora(params: "Params", names: Iterable[str]) -> Iterator[str]:
    """What is not here of some corpora."""
    from unroll.text import sources

    for name in names:
        corpus = params.corpora[name]
        try:
            sources.read(corpus)  # looks at what is there; rows are read only when they are asked for
        except UserError as error:
            yield from (f"corpora.{name}: {problem}" for problem in error.problems)
            continue
        if not Path(corpus.path).exists():
            yield f"corpora.{name}.path: there is no {corpus.path}, which DVC is to watch"


def _lacking_gpu(params: "Params") -> Iterator[str]:
    from unroll.nn.device import prepare

    try:
        prepare(params.compute)
    except UserError as error:
        yield from error.problems
