"""What training starts from: random weights, another run's, or vectors made elsewhere."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from unroll.errors import UserError
from unroll.files import sha256
from unroll.kinds import SCRATCH
from unroll.kinds.bundle import VOCABULARIES, put_weights, read_bundle
from unroll.nn.vectors import put_vectors
from unroll.text.tokenizer import JOINER
from unroll.text.vocabulary import load_vocabularies


def start(name: str, run: Any, network: nn.Module, init: Path, vocabularies: Path) -> str | None:
    """Give `network` its first weights; return the fingerprint of the run they are from, None from scratch.

    `init` is the bundle of `run.init`, `vocabularies` the folder of the dataset's. The new model may have parameters
    more that begin at zero, with which it computes at first what the other one did: those of coverage (See et al.,
    2017) and of peepholes. Raises `UserError` if weights or vectors do not fit the run.
    """
    vectors = getattr(run.model, "vectors", None)
    if vectors is not None:
        vocabulary = load_vocabularies(vocabularies)["text"]
        ids: dict[str, list[int]] = {}
        for n, token in enumerate(vocabulary.tokens(range(len(vocabulary)))):
            ids.setdefault(token.replace(JOINER, ""), []).append(n)
        known = put_vectors(network.embedding.weight, ids, vectors)  # type: ignore[union-attr, arg-type]
        print(f"{name}: {known:,} of {len(vocabulary):,} tokens begin with vectors of {vectors.path}", file=sys.stderr)
    if run.init == SCRATCH:
        return None
    if _hashes(init / VOCABULARIES) != _hashes(vocabularies):
        raise UserError(
            f"runs.{name}.init: {run.init} has another vocabulary than dataset {run.dataset!r}; "
            "a warm start needs the same one"
        )
    bundle = read_bundle(init)
    try:
        put_weights(network, {**bundle.weights, **_added_at_zero(network, bundle.weights)})
    except (UserError, RuntimeError) as error:
        raise UserError(f"runs.{name}.init: {run.init} is another model than runs.{name}.model: {error}") from None
    return str(bundle.info["fingerprint"])


def _added_at_zero(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of `network` that `weights` lack and that are zero throughout."""
    added = {name: parameter for name, parameter in network.named_parameters() if name not in weights}
    return {name: parameter.detach() for name, parameter in added.items() if not parameter.any()}


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
