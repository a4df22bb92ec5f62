"""Summarisation pairs after PEP 257: the first line of a docstring says in short what its body says at length."""

import re

from unroll.text.sources.docstrings.clean import PROSE_SECTIONS, TABLE_SECTIONS, Section

SUMMARY_WORDS = (3, 30)
BODY_WORDS = 10
SHARED = 1 / 3
"""The least part of a summary's content words that its body must hold, for the task to be one of summarising."""

SENTENCE_END = re.compile(r"[.!?][)\"'`]* +[A-Z`(\"]")
ENTRY = re.compile(r"(\S[^:]*) : .*$")  # the head of an entry in a numpy table: name and type
REFERENCE = re.compile(r"\[\d+\] ")  # an entry of a bibliography
WORD = re.compile(r"[A-Za-z]{3,}")
STEM = 5  # letters: "compute", "computes" and "computing" are one word

COMMON = frozenset(
    word[:STEM]
    for word in WORD.findall(
        "the and for with from that this are not all its use used using return returns whether given when into one "
        "can has have will which should must may get gets set sets compute computes create creates check checks"
    )
)


def summary_pair(found: list[Section]) -> tuple[str, str] | None:
    """(body, summary) of a cleaned docstring, each on one line; None where it holds no such pair.

    The body is the description below the summary. Where that is short, or has too little in common with the
    summary, what is said of parameters and results is added.
    """
    if not found or found[0].heading or found[0].name:
        return None
    first, *description = found[0].paragraphs
    summary = _one_line(first)
    if len(first) > 2 or not _is_summary(summary):
        return None
    prose = [Section([], description), *(section for section in found[1:] if section.name in PROSE_SECTIONS)]
    tables = [_without_types(section) for section in found[1:] if section.name in TABLE_SECTIONS]
    for chosen in (prose, prose + tables):
        paragraphs = [_one_line(lines) for section in chosen for lines in section.paragraphs]
        body = " ".join(text for text in paragraphs if not REFERENCE.match(text))
        if len(body.split()) >= BODY_WORDS and _shared(summary, body) >= SHARED:
            return body, summary
    return None


def _without_types(table: Section) -> Section:
    """A table whose entries are headed by their names alone."""
    return Section([], [[ENTRY.sub(r"\1:", line) for line in lines] for lines in table.paragraphs])


def _one_line(lines: list[str]) -> str:
    text = ""
    for line in lines:
        hyphenated = text[-1:] == "-" and text[-2:-1].isalnum()
        text += line.strip() if hyphenated or not text else f" {line.strip()}"
    return " ".join(text.split())


def _is_summary(text: str) -> bool:
    least, most = SUMMARY_WORDS
    return (
        text.endswith(".")
        and not text.endswith("..")
        and least <= len(text.split()) <= most
        and not SENTENCE_END.search(text)
        and "\\" not in text
    )


def _shared(summary: str, body: str) -> float:
    wanted = _content(summary)
    return len(wanted & _content(body)) / len(wanted) if wanted else 0.0


def _content(text: str) -> set[str]:
    return {word[:STEM] for word in WORD.findall(text.lower())} - COMMON
