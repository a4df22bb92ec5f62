"""What `bundle.json` must hold, so that all who read it find it."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ConfigDict, Field

from unroll.kinds import KindName
from unroll.settings import Count, Settings, rule


class _Open(Settings):
    """Part of `bundle.json`, which may say more."""

    model_config = ConfigDict(extra="allow")


class StoredField(_Open):
    """A field of the dataset."""

    unit: str
    size: int = Field(ge=0)
    """Of its vocabulary."""
    sentence_ends: tuple[int, ...] | list[int] = ()
    """Ids of tokens that end a sentence."""


class StoredImages(_Open):
    """Images of the dataset."""

    unit: Literal["pixels", "features"]
    shape: list[Count] = Field(min_length=2, max_length=3)
    """(H, W, 3) of pixels, (P, D) of features."""

    @rule
    def _pixels_are_square(self) -> Iterator[str]:
        edge, *rest = self.shape
        if self.unit == "pixels" and (rest != [edge, 3] or not 8 <= edge <= 1_024):
            yield f"`shape` should be [EDGE, EDGE, 3] of pixels, found {self.shape}"
        if self.unit == "features" and len(rest) != 1:
            yield f"`shape` should be [POSITIONS, SIZE] of features, found {self.shape}"


class StoredTraining(_Open):
    """How it was trained."""

    context: Literal["stream", "text"] | None = None


class StoredRun(_Open):
    """The run's entry of params.yaml, with all defaults."""

    model: dict[str, Any]
    train: StoredTraining
    evaluate: dict[str, Any]


class StoredCost(_Open):
    """What it took."""

    parameters: int = Field(ge=0)


class StoredInfo(_Open):
    """`bundle.json`."""

    run: str
    kind: KindName
    dataset: str
    corpus: str
    licence: str
    fingerprint: str
    max_length: Count
    fields: dict[str, StoredField]
    images: StoredImages | None = None
    settings: StoredRun
    cost: StoredCost

    @rule
    def _language_models_state_their_context(self) -> Iterator[str]:
        if self.kind in ("language_model", "ngram") and self.settings.train.context is None:
            yield "settings.train.context: is missing; stream or text"

    @rule
    def _pairs_are_measured(self) -> Iterator[str]:
        if self.kind == "seq2seq" and self.settings.evaluate.get("metric") not in ("bleu", "rouge"):
            yield "settings.evaluate.metric: should be bleu or rouge"

    @rule
    def _captioners_see_images(self) -> Iterator[str]:
        if self.kind == "captioner" and self.images is None:
            yield "images: is missing"

    @rule
    def _fields_are_those_of_the_kind(self) -> Iterator[str]:
        needed = {"seq2seq": {"source", "target"}, "captioner": {"target"}}.get(self.kind, {"text"})
        if needed - self.fields.keys():
            yield f"fields: should have {', '.join(sorted(needed))}; found {', '.join(self.fields)}"
