"""What becomes of the texts of a source, whatever they were read from."""

from collections.abc import Iterable, Iterator

from unroll.settings import Settings


class RowSettings(Settings):
    """Which texts a corpus keeps, and how much of them."""

    strip: bool = False
    """White space at both ends of each text is taken away: the corpus, and all that is counted, is what is left."""
    keep_blank: bool = False
    """Blank texts are kept, as in a stream of lines whose every end counts; otherwise they are left out and counted."""


def tidy(rows: Iterable[tuple[str, ...]], settings: RowSettings) -> Iterator[tuple[str, ...]]:
    """`rows` as the corpus has them."""
    for texts in rows:
        yield tuple(text.strip() for text in texts) if settings.strip else texts
