"""The `docstrings` source on small packages made here."""

import importlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from unroll.errors import UserError
from unroll.text.corpus import Corpus, draw
from unroll.text.sources.docstrings import CorpusSettings, read
from unroll.text.sources.docstrings.clean import dedent, plain, sections, whole_text
from unroll.text.sources.docstrings.collect import docstrings, find_package, licence_of
from unroll.text.sources.docstrings.duplicates import Seen
from unroll.text.sources.docstrings.pairs import summary_pair

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with its metadata where Python finds it; modules are path -> source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(name: str, modules: dict[str, str], *, version: str = "1.0", metadata: str = "") -> None:
        info = tmp_path / f"{name}-{version.partition('+')[0]}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in modules))
        for path, source in modules.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    return put


def corpus(*packages: str, **given: Any) -> Corpus:
    return read(CorpusSettings(source="docstrings", path="lock.txt", packages=list(packages), **given))


def module(*docs: str) -> str:
    return "".join(f'def f{n}():\n    """{doc}"""\n\n' for n, doc in enumerate(docs))


WORDS = ("matrix", "vector", "tensor", "graph", "node", "edge", "value", "index", "column", "model", "layer", "token")


def prose(seed: int, words: int = 40) -> str:
    """A text of its own for each seed."""
    return " ".join(WORDS[int(draw(seed, str(n)) * len(WORDS))] for n in range(words)) + "."


# Finding docstrings


def test_every_kind_of_docstring_without_importing(install: Install) -> None:
    source = '''
        """Module."""
        raise RuntimeError("imported")

        class A:
            """Class."""
            async def f(self):
                """Method."""
        if True:
            try:
                def g():
                    """Inside."""
            except ImportError:
                pass
        add_newdoc("numpy", "add", """Added.""")
        sin = _add_docstr(_sin, r"""Not this one.""")
        cos = _C.add_docstr(_cos, r"""
        cos({input}) is {{x}}.""".format(**common) + r""" More.""")
        tan = add_docstr(_tan, "%(name)s Tangent." % names)
        """Not a docstring."""
    '''
    install("fake", {"fake/a.py": source})
    found = [" ".join(item.text.split()) for item in docstrings({"fake": find_package("fake")})]
    assert found == ["Module.", "Class.", "Method.", "Inside.", "Added.", "cos() is {x}. More.", "Tangent."]


def test_tests_vendored_and_generated_modules_are_skipped(install: Install) -> None:
    skipped = ["tests/a.py", "_vendor/a.py", "vendored_templates/a.py", "test_a.py", "conftest.py", "a_pb2.py", "a.pyi"]
    names = [*skipped, "b.py", "a.py", "sub/a.py"]
    install("fake", {f"fake/{name}": '"""Text."""' for name in names} | {"fake/bad.py": "def f(:"})
    found = [item.module for item in docstrings({"fake": find_package("fake")})]
    assert found == ["fake/a.py", "fake/b.py", "fake/sub/a.py"]


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT\nLicense: other\n", "MIT"),
        ("License: BSD\n", "BSD"),
        ("License: Copyright\n  all\n  of it\nClassifier: License :: OSI Approved :: BSD License\n", "BSD License"),
        ("Classifier: Topic :: Text\n", "not stated"),
    ],
)
def test_licence(install: Install, metadata: str, licence: str) -> None:
    install("fake", {"fake/a.py": ""}, metadata=metadata)
    assert licence_of(find_package("fake")) == licence


def test_packages_that_are_not_there_are_all_named(install: Install) -> None:
    install("empty", {"empty/data.txt": ""})
    with pytest.raises(UserError) as caught:
        corpus("no-such-package", "empty", "nor-this-one")
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        "packages: 'empty' 1.0 lists no Python files",
        "packages: 'no-such-package' is not installed here",
        "packages: 'nor-this-one' is not installed here",
    ]
    assert "pip install no-such-package" in str(caught.value)


@pytest.mark.parametrize(
    "given", [{"packages": []}, {"fields": ["summary"]}, {"fields": ["summary", "body"]}, {"max_size": 0}]
)
def test_bad_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CorpusSettings(**({"source": "docstrings", "path": "p", "packages": ["numpy"]} | given))


# Cleaning


def test_dedent() -> None:
    assert dedent("  One.\n\n    two\n      three  \n\n") == ["One.", "", "two", "  three"]
    assert dedent("\n\tone\n\t\ttwo") == ["one", "        two"]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (":class:`Tensor`", "Tensor"),
        (":func:`~torch.add`", "torch.add"),
        (":py:meth:`.Axes.plot`", "Axes.plot"),
        (":ref:`the guide <guide>`", "the guide"),
        ("`NumPy <https://numpy.org>`_ is", "NumPy is"),
        ("``None``", "`None`"),
        ("`~numpy.add`", "`numpy.add`"),
        ("as in [1]_.", "as in."),
        ("**bold** and *slanted* but *args and **kwargs", "bold and slanted but *args and **kwargs"),
        ("one            two", "one two"),
    ],
)
def test_inline_markup(marked: str, expected: str) -> None:
    assert plain(marked) == expected


LONG = """\
add(x1, x2, /, out=None) -> Tensor

Add arguments element-wise.

Both must have the same shape::

    x.shape == y.shape

.. note::
    Prose in a note stays.

.. math:: x + y

.. versionadded:: 1.4
   And was slow.

>>> add(1, 2)
3

Parameters
----------
x1, x2 : array_like
    The arrays to be added.

Returns
-------
add : ndarray
    The sum.

See Also
--------
subtract : The other way.

Examples
--------
Some examples follow.

>>> add(2, 2)
4

Notes
-----
Equivalent to `x1` + `x2`.
"""


def test_cleaning_by_hand() -> None:
    assert whole_text(sections(LONG)) == textwrap.dedent("""\
        Add arguments element-wise.

        Both must have the same shape:

        Prose in a note stays.

        Parameters
        ----------
        x1, x2 : array_like
            The arrays to be added.

        Returns
        -------
        add : ndarray
            The sum.

        Notes
        -----
        Equivalent to `x1` + `x2`.""")


def test_google_sections_and_field_lists() -> None:
    google = "Do it.\n\nArgs:\n    x: What.\n\nExample:\n    >>> f(1)\n    1\n\nMore prose.\n"
    assert whole_text(sections(google)) == "Do it.\n\nArgs:\n    x: What.\n\nMore prose."
    listed = "Do it.\n\n:param int x: What.\n:type x: int\n:return: That.\n:raises ValueError: Never."
    assert whole_text(sections(listed)).split("\n\n") == [
        "Do it.",
        "x: What.",
        "Return: That.",
        "Raises ValueError: Never.",
    ]


@pytest.mark.parametrize("text", ["", "\n \n", ">>> f(1)\n1", "f(x, y=2)", "\n.. toctree::\n   a\n   b"])
def test_nothing_may_be_left(text: str) -> None:
    assert whole_text(sections(text)) == ""


# Pairs

BODY = "The mean is the sum of all elements along an axis, divided by how many there are."


@pytest.mark.parametrize(
    ("docstring", "pair"),
    [
        (f"Compute the mean of elements.\n\n{BODY}", (BODY, "Compute the mean of elements.")),
        (f"Compute the mean\nof elements.\n\n{BODY}\n\nx\n", (f"{BODY} x", "Compute the mean of elements.")),
        ("Compute the mean\n\n" + BODY, None),  # no period
        ("Compute it. Mean of elements.\n\n" + BODY, None),  # two sentences
        (f"Mean elements.\n\n{BODY}", None),  # too short
        (f"Turn the wheel around quickly.\n\n{BODY}", None),  # the body does not say so
        ("Compute the mean of elements.\n\nNot much here.", None),
        (f"Heading\n=======\n\n{BODY}", None),
        (
            "Compute the mean of elements.\n\nParameters\n----------\nelements : array_like\n"
            "    What the mean is taken of, over all axes or one.\n",
            ("elements: What the mean is taken of, over all axes or one.", "Compute the mean of elements."),
        ),
    ],
)
def test_pairs(docstring: str, pair: tuple[str, str] | None) -> None:
    assert summary_pair(sections(docstring)) == pair


# Duplicates


def test_near_copies() -> None:
    seen = Seen()
    assert seen.add_new(f"Add 12 numbers. {prose(1)}")
    assert not seen.add_new(f"add  99\nnumbers! {prose(1)}")  # digits, case, spacing
    assert not seen.add_new(f"A summary of its own. {prose(1)}")  # the same body under another head
    assert seen.add_new(prose(2))
    assert seen.add_new("") and not seen.add_new(" ")


# The corpus


def many(count: int, each: int, first: int = 0) -> dict[str, str]:
    """Modules of docstrings that are all different."""
    return {f"fake/m{n:03}.py": module(*(prose(first + n * each + k) for k in range(each))) for n in range(count)}


def test_a_module_lies_in_one_split(install: Install) -> None:
    install("fake", many(200, 2))
    rows = list(corpus("fake").rows)
    home = {f"{prose(n * 2 + k)}": n for n in range(200) for k in range(2)}
    splits: dict[int, set[str]] = {}
    for split, (text,) in rows:
        splits.setdefault(home[text], set()).add(split)
    assert len(rows) == 400
    assert all(len(found) == 1 for found in splits.values())
    sizes = {name: sum(found == {name} for found in splits.values()) for name in ("train", "valid", "test")}
    assert sizes["train"] > 170 and sizes["valid"] >= 1 and sizes["test"] >= 1
    assert [split for split, _ in rows] == sorted((split for split, _ in rows), key=["train", "valid", "test"].index)


def test_copies_do_not_cross_splits(install: Install) -> None:
    """Every module holds one text of its own and one that all modules share but for its numbers."""
    shared = {f"fake/m{n:03}.py": module(prose(n), f"Version {n}: {prose(999)}") for n in range(200)}
    install("fake", shared)
    rows = list(corpus("fake").rows)
    assert {split for split, _ in rows} == {"train", "valid", "test"}
    assert [split for split, (text,) in rows if prose(999) in text] == ["train"]
    assert len(rows) == 201


def test_the_seed_decides_the_splits(install: Install) -> None:
    install("fake", many(100, 1))
    first, again, other = (list(corpus("fake", seed=seed).rows) for seed in (1, 1, 2))
    assert first == again
    assert sorted(row for _, row in first) == sorted(row for _, row in other)
    assert first != other


def test_size_is_shared_out_in_proportion(install: Install) -> None:
    install("fake", many(60, 3))
    install("other", {path.replace("fake", "other"): text for path, text in many(20, 3, first=1000).items()})
    everything = list(corpus("fake", "other").rows)
    total = sum(len(text) + 1 for _, (text,) in everything)
    size = total // 3
    rows = list(corpus("other", "fake", max_size=size).rows)
    kept = sum(len(text) + 1 for _, (text,) in rows)
    assert 0.9 * size <= kept <= size
    assert [row for row in everything if row in rows] == rows  # still in the order of the modules
    others = {prose(1000 + n) for n in range(60)}
    assert sum(len(text) + 1 for _, (text,) in rows if text in others) / kept == pytest.approx(0.25, abs=0.05)
    assert list(corpus("fake", "other", max_size=10 * total).rows) == everything


def test_what_is_kept_reads_like_prose(install: Install) -> None:
    good = "Return the number of elements along an axis of the array."
    bad = [
        "Too short.",
        "日本語の文章は、このコーパスには含まれません。" * 3,
        "x1 = 12; y2 = 3**4 + 5 * (6 - 7) / 8 + [9, 10] ** 11",
    ]
    install("fake", {"fake/a.py": module(good, *bad)})
    assert [row for _, row in corpus("fake").rows] == [(good,)]


def test_pairs_and_their_description(install: Install) -> None:
    docs = module(f"Compute the mean of elements.\n\n    {BODY}\n    ")
    install("fake", {"fake/a.py": docs}, version="2.0+cpu", metadata="License: MIT\n")
    found = corpus("fake", fields=["body", "summary"])
    assert found.columns == ("body", "summary")
    assert [row for _, row in found.rows] == [(BODY, "Compute the mean of elements.")]
    assert found.licence == "fake: MIT"
    assert found.origin == "docstrings of fake 2.0"


def test_nothing_depends_on_the_hash_seed_of_python(install: Install, tmp_path: Path) -> None:
    install("fake", many(40, 2))
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from unroll.text.sources.docstrings import CorpusSettings, read\n"
        "s = CorpusSettings(source='docstrings', path='p', packages=['fake'], max_size=9000)\n"
        "print(list(read(s).rows))"
    )
    source = str(Path(__file__).parent.parent / "src")
    printed = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": source},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
