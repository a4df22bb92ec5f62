"""What the settings of every source have."""

from abc import abstractmethod
from typing import ClassVar

from unroll.settings import PathName, Settings


class SourceSettings(Settings):
    """`corpora.NAME` of params.yaml; the key `source` decides which one."""

    images: ClassVar[tuple[str, ...]] = ()
    """Columns that hold no text but an image, or features of one, in each row."""

    path: PathName
    """What DVC watches: when it changes, the corpus is read again."""

    @property
    @abstractmethod
    def column_names(self) -> tuple[str, ...]:
        """The columns of the corpus, in their order."""
