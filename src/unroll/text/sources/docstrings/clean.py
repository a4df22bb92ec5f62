"""Docstrings made into plain text: no doctests, code, directives or signatures; what is left keeps its layout.

A docstring is read as sections (numpy, Google and sympy headings), each a list of paragraphs, each a list of lines.
"""

import re
from dataclasses import dataclass, field

DROPPED_SECTIONS = frozenset(
    {
        "example", "examples", "see also", "references", "reference", "methods", "routine listings", "doctests",
        "usage", "example usage", "usage example", "authors", "author", "literature", "copyright", "license",
    }
)  # fmt: skip
TABLE_SECTIONS = frozenset(
    {
        "parameters", "other parameters", "args", "arguments", "keyword args", "keyword arguments", "kwargs",
        "returns", "return", "yields", "yield", "raises", "raise", "warns", "attributes", "receives", "properties",
        "inputs", "input", "outputs", "output", "shape", "fields",
    }
)  # fmt: skip
PROSE_SECTIONS = frozenset({"", "explanation", "description", "overview", "details", "discussion", "notes", "note"})
PROSE_DIRECTIVES = frozenset({"note", "warning", "tip", "important", "caution", "attention", "hint"})

UNDERLINE = re.compile(r"\s*([=\-~^\"'`#*+])\1{2,}$")
HEADING = re.compile(r"([A-Z][A-Za-z ]{2,24}):$")
DIRECTIVE = re.compile(r"\.\.(?: +(?:([\w-]+)::|[\[|_\w])|$)")
SIGNATURE = re.compile(r"[\w.]+ ?\(.*\)(?: ?-> ?.+)?:?$")
BARE_EXAMPLE = re.compile(r"\s*(?:Usage |For )?[Ee]xamples?:?$|\s*Usage:$")
FIELD = re.compile(
    r"[:@](param|parameter|arg|keyword|kwarg|ivar|cvar|returns?|yields?|raises?|type|rtype)(?: ([^:]*))?: ?(.*)$"
)
PLACEHOLDER = re.compile(r"\s*(?:%\([\w:.]+\)s|\{\w+\}|\$\{?\w+\}?)[.,]?$")
CODE = (">>>", "In [", "...", "$ ")

INLINE = (
    (re.compile(r":[a-zA-Z:+\-]+:`([^`<]+?)\s*<[^`>]*>`"), r"\1"),  # :ref:`text <place>`
    (re.compile(r":[a-zA-Z:+\-]+:`[~!]?\.?([^`]+)`"), r"\1"),  # :class:`name`
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?"), r"\1"),  # `text <address>`_
    (re.compile(r"``([^`]+)``"), r"`\1`"),
    (re.compile(r"`([^`\n]+)`_+(?!\w)"), r"\1"),  # `target`_
    (re.compile(r"`[~!]\.?(?=\w)"), "`"),
    (re.compile(r" ?\[#?\w*\]_"), ""),  # footnotes
    (re.compile(r"(?<=\S) {3,}(?=\S)"), " "),  # a line that the source continues
    (re.compile(r"^ *Read more in the User Guide\.$", re.MULTILINE), ""),  # under every class of scikit-learn
    (re.compile(r"\\ "), ""),
    (re.compile(r"\*\*([^*\n]+)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*`])\*([A-Za-z][\w ]*)\*(?![\w*])"), r"\1"),
)


@dataclass
class Section:
    """A heading as it was written (none for the description), and the paragraphs below it."""

    heading: list[str] = field(default_factory=list)
    paragraphs: list[list[str]] = field(default_factory=list)
    name: str = ""


def dedent(text: str) -> list[str]:
    """The lines of a docstring without their common margin (PEP 257), alike under every version of Python."""
    lines = [line.rstrip() for line in text.expandtabs().split("\n")]
    margin = min((_indent(line) for line in lines[1:] if line), default=0)
    lines = [lines[0].strip(), *(line[margin:] for line in lines[1:])]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def sections(text: str) -> list[Section]:
    """The docstring's sections with code, directives, references and signatures left out."""
    lines = _without_code(_without_signature(dedent(plain(text))))
    found = [Section()]
    inside_google = False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if UNDERLINE.match(line) and number and lines[number - 1]:
            continue
        if line and UNDERLINE.match(following):
            found.append(Section([line, following], [], line.strip().rstrip(":").lower()))
            inside_google = False
        elif (name := _google(line)) and (not following or _indent(following)):
            found.append(Section([line], [], name))
            inside_google = True
        elif BARE_EXAMPLE.match(line):
            continue
        elif match := FIELD.match(line):
            if found[-1].name != "fields":
                found.append(Section([], [], "fields"))
            found[-1].paragraphs += [[text] for text in [_plain_field(*match.groups(default=""))] if text]
        else:
            if inside_google and line and not _indent(line):
                found.append(Section())
                inside_google = False
            if line and (number == 0 or not lines[number - 1] or not found[-1].paragraphs):
                found[-1].paragraphs.append([])
            if line:
                found[-1].paragraphs[-1].append(line)
    return [section for section in found if section.name not in DROPPED_SECTIONS and section.paragraphs]


def plain(text: str) -> str:
    """Inline markup taken away: roles, targets, footnotes, bold."""
    for pattern, replacement in INLINE:
        text = pattern.sub(replacement, text)
    return text


def whole_text(found: list[Section]) -> str:
    """The sections as one text, paragraphs a blank line apart, headings directly above theirs."""
    blocks = []
    for section in found:
        first, *others = ["\n".join(lines) for lines in section.paragraphs]
        blocks.append("\n".join([*section.heading, first]))
        blocks.extend(others)
    return "\n\n".join(blocks)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _google(line: str) -> str:
    match = HEADING.match(line)
    name = match[1].lower() if match else ""
    return name if name in TABLE_SECTIONS | DROPPED_SECTIONS | PROSE_SECTIONS else ""


def _plain_field(kind: str, name: str, text: str) -> str:
    """An entry of a field list in words: `:param int size: How many` becomes `size: How many`."""
    if kind in {"type", "rtype"}:
        return ""
    if kind.startswith(("return", "yield", "raise")):
        return " ".join(part for part in (kind.capitalize(), name) if part) + f": {text}"
    return f"{name.split()[-1] if name else kind}: {text}"


def _without_signature(lines: list[str]) -> list[str]:
    while lines and SIGNATURE.match(lines[0]):
        lines = lines[1:]
        while lines and not lines[0]:
            lines = lines[1:]
    return lines


def _without_code(lines: list[str]) -> list[str]:
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line, start = lines[number], number
        number += 1
        stripped = line.lstrip()
        directive = DIRECTIVE.match(stripped)
        if stripped.startswith(CODE):
            while number < len(lines) and lines[number]:
                number += 1
        elif stripped.startswith("```"):
            while number < len(lines) and not lines[number].lstrip().startswith("```"):
                number += 1
            number += 1
        elif directive:
            number = _end_of_block(lines, start)
            if directive[1] in PROSE_DIRECTIVES:
                inner = [stripped[directive.end() :].strip(), *lines[start + 1 : number]]
                margin = " " * _indent(line)
                prose = _without_code(dedent("\n".join(inner)))
                kept += ["", *(part and margin + part for part in prose), ""]
        elif line.endswith("::"):
            kept.append(line[:-1] if stripped != "::" else "")
            if number < len(lines) and not lines[number]:
                number = _end_of_block(lines, start)
        elif not PLACEHOLDER.match(line):
            kept.append(line)
    return kept


def _end_of_block(lines: list[str], start: int) -> int:
    """The line after the block that is indented below line `start`."""
    margin = _indent(lines[start])
    after = start + 1
    while after < len(lines) and (not lines[after] or _indent(lines[after]) > margin):
        after += 1
    return after
