"""Train one run: from its settings and its encoded data to a bundle and a history."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.files import sha256
from unroll.kinds import load_task
from unroll.kinds.bundle import write_bundle
from unroll.text.encoded import EncodedDataset
from unroll.text.sampling import SampledDataset
from unroll.text.vocabulary import load_vocabularies
from unroll.training.checkpoints import tell_unused
from unroll.training.copies import checkpoints_of
from unroll.training.decoded import DecodedScore
from unroll.training.estimation import Estimable, Estimation
from unroll.training.identity import Identity
from unroll.training.loop import Trainer
from unroll.training.parallel import Group
from unroll.training.ranking import Best
from unroll.training.start import start
from unroll.training.validation import Score


def train_run(
    name: str,
    run: Any,
    data: EncodedDataset,
    vocabularies: Path,
    init: Path,
    code: Sequence[Path],
    device: torch.device,
    model: Path,
    results: Path,
    checkpoints: Path,
    store: str | None = None,
    group: Group | None = None,
    engine: Engine = LOCAL,
) -> None:
    """Train `run` (an entry of params.yaml's `runs`) and write its bundle to `model`, its history to `results`.

    `init` is the bundle of the run that it starts from, `code` are the files that the run's fingerprint covers, and
    below `checkpoints` lies what an interrupted training goes on from, with copies below the address `store`. The
    processes of `group` train together; `engine` counts n-grams. Raises `UserError` if the data has other fields than
    the kind reads, `store` is no address, hosts have another run, or training breaks down.
    """
    group = group or Group()
    torch.manual_seed(run.seed)
    if getattr(run.train, "sampling", None) is not None:
        data = SampledDataset(data, vocabularies, run.train.sampling)
    task = load_task(run.model.kind)(run.model, run.train, data, device)
    source = ""
    if not isinstance(task, Estimable):
        source = start(name, run, task.network, init, vocabularies) or ""
    known = data.manifest["sha256"], _hash(code), source
    identity = Identity.of(name, run, *known, budget=True)
    resumable = Identity.of(name, run, *known, budget=not getattr(run.train, "open_ended", False))
    if len({*group.gather(identity.fingerprint)}) > 1:
        raise UserError(
            f"runs.{name}: hosts that train together need the same settings, data and code, and these differ"
        )
    saved = checkpoints_of(name, resumable.fingerprint, checkpoints, store if group.rank == 0 else None)
    with saved.held(resumable, identity.fingerprint, group):
        tell_unused(checkpoints, resumable, saved)
        trainer: Trainer | Estimation
        if isinstance(task, Estimable):
            trainer = Estimation(name, task, engine)
        else:
            score = _score(run.train, task, data, vocabularies)
            trainer = Trainer(name, task, run.train, run.seed, device, saved, score, group)
        best = trainer.fit()
        if not best.weights:
            raise UserError(f"runs.{name}.train: no validation loss was a number; a lower lr or a clip may help")
        if group.first:
            write_bundle(model, _info(run, identity, data, best, trainer), best.weights, vocabularies)
            trainer.history.write(results)


def _info(
    run: Any, identity: Identity, data: EncodedDataset, best: Best, trainer: Trainer | Estimation
) -> dict[str, Any]:
    """What a bundle says of its run."""
    return {
        "run": identity.run,
        "kind": run.model.kind,
        "fingerprint": identity.fingerprint,
        "seed": run.seed,
        "dataset": run.dataset,
        "corpus": data.manifest["corpus"],
        "licence": data.manifest["licence"],
        "max_length": data.manifest["max_length"],
        "fields": data.manifest["fields"],
        **({"images": data.manifest["images"]} if "images" in data.manifest else {}),
        "data_sha256": data.manifest["sha256"],
        "settings": run.model_dump(mode="json"),
        "cost": {
            # Integers are no parameters: an n-gram model's say which n-grams it has.
            "parameters": sum(weights.numel() for weights in best.weights.values() if weights.is_floating_point()),
            "memory_bytes": sum(weights.nbytes for weights in best.weights.values()),
            "steps": trainer.step,
        },
        "best": _stated(best, trainer.score),
        **({"precision": trainer.precision} if isinstance(trainer, Trainer) else {}),
    }


def _score(train: Any, task: Any, data: EncodedDataset, vocabularies: Path) -> Score | None:
    """What validations are compared by; None for their loss."""
    select = getattr(train, "select", None)
    if select is None or select.metric == "loss":
        return None
    known = load_vocabularies(vocabularies)
    return DecodedScore(task, data, known, select.metric, select.language, select.rows)


def _stated(best: Best, score: Score | None) -> dict[str, Any]:
    """What a bundle says of its weights."""
    stated: dict[str, Any] = {"step": best.step, "valid_loss": best.loss}
    if score:
        stated[f"valid_{score.name}"] = best.score
    if best.averaged:
        stated["averaged"] = best.averaged
    return stated


def _hash(code: Sequence[Path]) -> str:
    """One hash over the code that a run depends on."""
    return hashlib.sha256("\n".join(sha256(path) for path in sorted(code)).encode()).hexdigest()
