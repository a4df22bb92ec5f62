"""Which files of the project a piece of code depends on, read from its imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent
# The schema gathers the settings of every kind; what a run is told is in its params, which DVC tracks by value.
SCHEMA = {SOURCE / "unroll" / f"{name}.py" for name in ("params", "references", "mistakes")}


def imported_files(path: Path) -> Iterator[Path]:
    """The project's files that `path` imports anywhere in it, without the schema."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            yield from _files(name)


def _files(module: str) -> Iterator[Path]:
    """The file of a module and the `__init__` files of the packages it lies in."""
    parts = module.split(".")
    if parts[0] != "unroll":
        return
    for n in range(1, len(parts) + 1):
        base = SOURCE.joinpath(*parts[:n])
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if file.is_file() and file not in SCHEMA:
                yield file


def dependencies(*roots: Path) -> set[Path]:
    """`roots` and every file of the project that they import, directly or not."""
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(imported_files(path))
    return found


def stage_dependencies(script: Path, plugins: Path, name: str) -> set[Path]:
    """What a stage's script needs when it works with one of several `plugins` (kinds of model, sources of text).

    That is the script's own imports, the whole folder of the plug-in `name`, and what that imports; the folders of the
    others are left out, unless the one asked for imports them.
    """
    chosen = plugins / name
    own = {path for path in dependencies(script.resolve()) if path.parent == plugins or plugins not in path.parents}
    return own | dependencies(*chosen.rglob("*.py"))


def kind_dependencies(script: Path, kind: str) -> set[Path]:
    """What a stage's script needs for one kind of model."""
    return stage_dependencies(script, SOURCE / "unroll" / "kinds", kind)
