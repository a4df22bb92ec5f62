"""Find the docstrings of installed packages in their files, without importing the packages."""

import ast
import gc
import importlib.metadata
import re
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from unroll.errors import UserError

# Tests, copies of other people's code, generated code, database migrations.
SKIPPED_FOLDERS = frozenset(
    {
        "tests", "test", "testing", "_testing", "third_party", "externals", "extern", "_extern", "protos",
        "_generated", "generated", "versions",
    }
)  # fmt: skip
SKIPPED_PREFIXES = ("test_", "conftest.", "_version.")
SKIPPED_SUFFIXES = ("_test.py", "_pb2.py", "_pb2_grpc.py", "_generated.py")

# numpy and torch document their compiled functions by calls such as add_newdoc("place", "name", """docstring""").
DOCUMENTING_CALLS = frozenset({"add_docstr", "add_newdoc", "add_docstr_all", "add_newdoc_for_scalar_type"})

PLACEHOLDER = re.compile(r"(?<!\{)\{\w*\} ?|%\(\w+\)s ?")
CHUNK = 32  # files that a process is given at a time
BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # where statements hold statements
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """A docstring as it stands in the source, and where: the module's path inside site-packages."""

    package: str
    module: str
    line: int
    text: str


def find_package(name: str) -> importlib.metadata.Distribution:
    """The installed distribution `name`; `UserError` when it is not installed or lists no Python file."""
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            f"packages: '{name}' is not installed here; `pip install {name}` or take it off the list"
        ) from None
    if not python_files(package):
        raise UserError(f"packages: '{name}' {package.version} lists no Python files; name a regular install")
    return package


def python_files(package: importlib.metadata.Distribution) -> list[str]:
    """The package's own modules as paths inside site-packages, sorted."""
    return sorted(str(file) for file in package.files or () if _own_module(PurePosixPath(file)))


def _own_module(path: PurePosixPath) -> bool:
    return (
        path.suffix == ".py"
        and ".." not in path.parts
        and not any(part in SKIPPED_FOLDERS or "vendor" in part for part in path.parts[:-1])
        and not path.name.startswith(SKIPPED_PREFIXES)
        and not path.name.endswith(SKIPPED_SUFFIXES)
    )


def licence_of(package: importlib.metadata.Distribution) -> str:
    """The licence that the package's metadata states, on one line."""
    expression, full, classifiers = (
        package.metadata.get_all(key) or [] for key in ("License-Expression", "License", "Classifier")
    )
    # Some packages put the whole text of the licence where its name belongs.
    short = [text.strip() for text in full if text.strip() and "\n" not in text.strip()]
    named = [entry.rpartition(" :: ")[2] for entry in classifiers if entry.startswith("License ::")]
    return " AND ".join(expression or short or named) or "not stated"


def docstrings(packages: Mapping[str, importlib.metadata.Distribution]) -> Iterator[Docstring]:
    """Every docstring of the packages, by package, module and line, read by as many processes as there are cores."""
    modules = [(name, module) for name, package in packages.items() for module in python_files(package)]
    paths = [Path(str(packages[name].locate_file(module))) for name, module in modules]
    for (name, _), path in zip(modules, paths, strict=True):
        if not path.is_file():
            raise UserError(f"packages: '{name}' should have {path}; `pip install --force-reinstall {name}`")
    with ProcessPoolExecutor() as pool:
        found = pool.map(_documented_lines, paths, chunksize=CHUNK)
        for (name, module), lines in zip(modules, found, strict=True):
            for line, text in lines:
                yield Docstring(name, module, line, text)


def _documented_lines(path: Path) -> list[tuple[int, str]]:
    tree = _parse(path.read_bytes())
    return sorted(_strings(tree)) if tree else []


def _parse(code: bytes) -> ast.Module | None:
    """The syntax tree; None for a template, or code for another version of Python."""
    # A tree is made of many small objects without a cycle: looking for cycles meanwhile would take half of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    finally:
        if collecting:
            gc.enable()


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, Documented):
        text = ast.get_docstring(node, clean=False)
        if text:
            yield node.body[0].lineno, text
    elif isinstance(node, ast.Expr | ast.Assign) and _documents(node.value):
        # The docstring comes last, after the names of what it documents.
        texts = [text for argument in node.value.args if (text := _literal(argument))]
        yield from [(node.lineno, text) for text in texts[-1:]]
    for block in BLOCKS:
        for inner in getattr(node, block, ()):
            yield from _strings(inner)


def _documents(node: ast.expr) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")) in DOCUMENTING_CALLS


def _literal(node: ast.expr) -> str:
    """The text of a string, without placeholders where `.format()` or `%` follows; "" for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Attribute(value=inner, attr="format")):
            return PLACEHOLDER.sub("", _literal(inner)).replace("{{", "{").replace("}}", "}")
        case ast.BinOp(left=left, op=ast.Mod()):
            return PLACEHOLDER.sub("", _literal(left))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _literal(left) + _literal(right)
    return ""
