"""HTML as a parser sees it, for tests of pages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "input", "line", "br"}


@dataclass
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str | None]
    content: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.content)

    def all(self, tag: str | None = None, **attributes: str) -> Iterator["Element"]:
        """The elements in it, in the order of the page; `class_` is one of their classes."""
        for part in self.content:
            if isinstance(part, Element):
                if tag in (None, part.tag) and all(part.has(key, value) for key, value in attributes.items()):
                    yield part
                yield from part.all(tag, **attributes)

    def has(self, key: str, value: str) -> bool:
        found = self.attributes.get(key.rstrip("_").replace("_", "-")) or ""
        return value in found.split() if key == "class_" else value == found

    def rows(self) -> list[list[str]]:
        """The texts of the cells of a table."""
        return [[" ".join(c.text.split()) for c in row.all() if c.tag in ("th", "td")] for row in self.all("tr")]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].content.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def parse(page: str) -> Element:
    """The whole document; every element has to be closed where it should be."""
    builder = _Builder()
    builder.feed(page)
    builder.close()
    (document,) = builder.open
    return document
