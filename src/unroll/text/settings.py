"""`datasets.NAME` of params.yaml: a corpus seen through vocabularies."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Tag

from unroll.settings import Count, Settings, choice, rule
from unroll.text.units.char import CharSettings
from unroll.text.units.hybrid import HybridSettings
from unroll.text.units.subword import SubwordSettings
from unroll.text.units.syllable import SyllableSettings
from unroll.text.units.word import WordSettings

UnitSettings = CharSettings | WordSettings | SubwordSettings | SyllableSettings | HybridSettings
UNITS = ("char", "word", "subword", "syllable", "hybrid")
PICTURES = ("pixels", "features")
FIELD_SETS = ({"text"}, {"source", "target"}, {"image", "target"})


class _Column(Settings):
    column: str | None = Field(default=None, min_length=1)
    """Column of the corpus; null: the one with the field's name."""


class CharField(_Column, CharSettings):
    """A field read character by character."""


class WordField(_Column, WordSettings):
    """A field read word by word."""


class SubwordField(_Column, SubwordSettings):
    """A field read piece by piece."""


class SyllableField(_Column, SyllableSettings):
    """A field read word by word, rare words syllable by syllable."""


class HybridField(_Column, HybridSettings):
    """A field read word by word, rare words character by character."""


class PixelField(_Column):
    """Images, each scaled as a whole to one size, whatever shape it had."""

    unit: Literal["pixels"]
    edge: int = Field(ge=8, le=1_024)
    """Height and width in pixels."""


class FeatureField(_Column):
    """Features of images that were computed elsewhere, as many of each."""

    unit: Literal["features"]


PictureField = PixelField | FeatureField


class SharedField(_Column):
    """A field with the vocabulary of another."""

    share: str
    """The other field."""


def _branch(field: Any) -> str | None:
    there = field if isinstance(field, Mapping) else getattr(field, "__dict__", {})
    unit = "shared" if "share" in there else there.get("unit")
    return unit if isinstance(unit, str) else None


FieldSettings = Annotated[
    Annotated[CharField, Tag("char")]
    | Annotated[WordField, Tag("word")]
    | Annotated[SubwordField, Tag("subword")]
    | Annotated[SyllableField, Tag("syllable")]
    | Annotated[HybridField, Tag("hybrid")]
    | Annotated[PixelField, Tag("pixels")]
    | Annotated[FeatureField, Tag("features")]
    | Annotated[SharedField, Tag("shared")],
    choice("unit", *UNITS, *PICTURES, tag=_branch, instead=", or in its place `share` with another field"),
]


class DatasetSettings(Settings):
    """Text for a language model (the field `text`), pairs (`source`, `target`) or captions (`image`, `target`)."""

    corpus: str
    """Name of an entry of `corpora`."""
    fields: dict[str, FieldSettings]
    """What is read of each row, and how."""
    max_length: Count
    """Ids, the end apart. It cuts texts that training reads each alone (`context: text`; a stream is never cut), and
    training pairs and captions; sources are cut in validation and test too. References and scored texts stay whole."""

    @rule
    def _fields_go_together(self) -> Iterator[str]:
        if set(self.fields) not in FIELD_SETS:
            found = ", ".join(self.fields) or "none"
            yield f"fields should be `text` alone, `source` and `target`, or `image` and `target`; found {found}"

    @rule
    def _pictures_are_images(self) -> Iterator[str]:
        for name, field in self.fields.items():
            if isinstance(field, PictureField) != (name == "image"):
                units = ", ".join(PICTURES if name == "image" else UNITS)
                yield f"fields.{name}: `unit` should be one of {units}"

    @rule
    def _shared_vocabularies_are_there(self) -> Iterator[str]:
        for name, field in self.fields.items():
            if not isinstance(field, SharedField):
                continue
            if field.share == name:
                yield f"fields.{name}: it cannot share its own vocabulary; state a `unit`"
            elif field.share not in self.fields:
                yield f"fields.{name}: `share` should name another field; there is no '{field.share}'"
            elif isinstance(self.fields[field.share], PictureField):
                yield f"fields.{name}: an image has no vocabulary to share; state a `unit`"
            elif isinstance(self.fields[field.share], SharedField):
                yield (
                    f"fields.{name}: it shares the vocabulary of '{field.share}', which has none of its own; "
                    "one of the two needs a `unit`"
                )

    @property
    def owners(self) -> dict[str, str]:
        """For each field of text, the field whose vocabulary it uses."""
        texts = {name: field for name, field in self.fields.items() if not isinstance(field, PictureField)}
        return {name: field.share if isinstance(field, SharedField) else name for name, field in texts.items()}

    @property
    def image(self) -> PixelField | FeatureField | None:
        """The field of images, if there is one."""
        field = self.fields.get("image")
        return field if isinstance(field, PictureField) else None

    def unit(self, field: str) -> UnitSettings:
        """The unit of a field that has one of its own, without its column."""
        stated = self.fields[field]
        assert not isinstance(stated, SharedField | PictureField)
        bare: Mapping[Literal["char", "word", "subword", "syllable", "hybrid"], type[UnitSettings]] = {
            "char": CharSettings,
            "word": WordSettings,
            "subword": SubwordSettings,
            "syllable": SyllableSettings,
            "hybrid": HybridSettings,
        }
        return bare[stated.unit](**stated.model_dump(exclude={"column"}))

    def column(self, field: str) -> str:
        """The column of the corpus that a field reads."""
        return self.fields[field].column or field
