"""What decides a training, and so whether a checkpoint is of the same one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

RUN = "run.json"  # in the folder of a training: whose it is
BUDGET = {"epochs", "steps", "minutes", "patience"}
MISSING = object()


@dataclass(frozen=True)
class Identity:
    """A run's name, its settings as stated, and hashes of what else it depends on."""

    run: str
    settings: dict[str, Any]
    data: str
    code: str
    init: str
    """The fingerprint of the run that it starts from; empty from scratch."""

    @classmethod
    def of(cls, name: str, run: Any, data: str, code: str, init: str, *, budget: bool) -> "Identity":
        """Of `run`, an entry of `runs`; without its `budget` where a training may go on to a larger one."""
        return cls(name, settings_of(run, budget=budget), data, code, init)

    def stated(self) -> dict[str, Any]:
        """All of it, to be written down."""
        return asdict(self)

    @property
    def fingerprint(self) -> str:
        """A hash over all of it."""
        return hashlib.sha256(json.dumps(self.stated(), sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, stated: Mapping[str, Any]) -> Iterator[str]:
        """What is other now than in `stated`, a sentence each."""
        now, then = _flat(self.settings), _flat(stated.get("settings", {}))
        for key in sorted(now.keys() | then.keys()):
            if now.get(key, MISSING) != then.get(key, MISSING):
                yield f"runs.{self.run}.{key} was {_told(then, key)} and is {_told(now, key)}"
        for what, said in (("data", "the data"), ("code", "the code"), ("init", "the run that it starts from")):
            if getattr(self, what) != stated.get(what):
                yield f"{said} is another"


def settings_of(run: Any, *, budget: bool) -> dict[str, Any]:
    """What decides a training of the settings of `run`, as they were stated."""
    left_out = {"evaluate": True, "train": set() if budget else BUDGET}
    settings: dict[str, Any] = run.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    return settings


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in settings.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found


def _told(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings[key]) if key in settings else "not stated"
