"""The command `new-run`: one more entry under `runs` of params.yaml."""

from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from unroll.errors import UserError


def new_run(
    name: Annotated[str, typer.Argument(help="of the new run")],
    source: Annotated[str, typer.Option("--from", help="run of params.yaml whose settings it takes over")],
    changes: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="what differs")] = None,
) -> None:
    """Write a new run into params.yaml, like another one but for some keys; nothing else in the file changes.

    It is checked before it is written. Settings that OTHER shares by an anchor are written out. Examples:

        unroll new-run char-lstm-wide --from char-lstm model.hidden=512 train.lr=0.002
    """
    from unroll.files import whole_file
    from unroll.params import load

    path = Path("params.yaml")
    load(path)
    text = with_run(path.read_text(encoding="utf-8"), name, source, changes or [])
    with TemporaryDirectory() as folder:
        draft = Path(folder, path.name)
        draft.write_text(text, encoding="utf-8")
        load(draft)
    with whole_file(path) as file:
        file.write(text)
    print(f"params.yaml: runs.{name} is new; unroll repro trains it")


def with_run(text: str, name: str, source: str, changes: list[str]) -> str:
    """The text of a params.yaml with one more run behind the others.

    Raises `UserError` if `source` is not there, `name` is, or a change is not `key.path=value`.
    """
    from ruamel.yaml import YAML

    from unroll.mistakes import did_you_mean

    runs = YAML(typ="safe").load(text)["runs"]
    if source not in runs:
        raise UserError(f"--from {source}: no run of params.yaml{did_you_mean(source, runs)}")
    if name in runs:
        raise UserError(f"{name}: there is a run of that name; take another one")
    entry = YAML(typ="safe").load(_dumped(runs[source]))  # a copy without shared parts
    for change in changes:
        _put(entry, change)
    lines = text.splitlines(keepends=True)
    place = _end_of_runs(text, lines)
    if place and not lines[place - 1].endswith("\n"):
        lines[place - 1] += "\n"
    indent = " " * (_round_trip(text)["runs"].lc.col or 2)
    block = "".join(f"{indent}{line}\n" for line in _dumped({name: entry}).splitlines())
    return "".join([*lines[:place], block, *lines[place:]])


def _put(entry: dict[str, Any], change: str) -> None:
    """Set what `key.path=value` says; the value is YAML."""
    from unroll.parsing import parse

    keys, equals, value = change.partition("=")
    *parents, last = keys.split(".")
    if not equals or not last:
        raise UserError(f"{change}: should be key=value, as train.lr=0.002")
    for key in parents:
        entry = entry.setdefault(key, {}) if isinstance(entry, dict) else {}
    if not isinstance(entry, dict):
        raise UserError(f"{change}: there is a value in place of {'.'.join(parents)}, no keys")
    entry[last] = parse(value, change)


def _dumped(value: Any) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.representer.ignore_aliases = lambda _: True
    text = StringIO()
    yaml.dump(value, text)
    return text.getvalue()


def _round_trip(text: str) -> Any:
    from ruamel.yaml import YAML

    return YAML().load(text)


def _end_of_runs(text: str, lines: list[str]) -> int:
    """The line behind the last run, before the comment of what follows."""
    data = _round_trip(text)
    if data["runs"].fa.flow_style():
        raise UserError("params.yaml: `runs` is written in braces; a run a line would be right")
    starts = sorted(data.lc.key(key)[0] for key in data)
    place = next((start for start in starts if start > data.lc.key("runs")[0]), len(lines))
    while place and (not lines[place - 1].strip() or lines[place - 1].startswith("#")):
        place -= 1
    return place
