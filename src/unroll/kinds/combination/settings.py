"""Settings of what is made of several finished runs: `combinations.NAME`."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from unroll.settings import Settings, rule


class LanguageModelShare(Settings):
    """A language model that has a say."""

    run: str
    """A run of kind language_model or ngram."""
    weight: float = Field(gt=0)
    """What its log-probability is multiplied by, beside that of the encoder-decoders."""


class PairCombination(Settings):
    """Encoder-decoders, and language models of the target."""

    dataset: str
    """The dataset of all `runs`."""
    runs: list[str] = Field(min_length=1)
    """Encoder-decoders whose probabilities are averaged at each step."""
    fusion: LanguageModelShare | None = None
    """A language model of the same target vocabulary, whose log-probability is added at each step: shallow fusion,
    Gulcehre et al. (2015)."""
    rescoring: LanguageModelShare | None = None
    """Any language model, whose log-probability of the whole text ranks the hypotheses of the beam anew."""

    @rule
    def _each_run_once(self) -> Iterator[str]:
        if len(set(self.runs)) < len(self.runs):
            yield "`runs` names a run twice"

    @rule
    def _several(self) -> Iterator[str]:
        if len(self.runs) == 1 and self.fusion is None and self.rescoring is None:
            yield "combines nothing: name a second run, `fusion` or `rescoring`"


class TextCombination(Settings):
    """Language models of one vocabulary and context: the weighted mean of their probabilities."""

    dataset: str
    """The dataset of all `runs`."""
    runs: Annotated[list[str], Field(min_length=2)]
    """Runs of kind language_model or ngram."""
    weights: list[Annotated[float, Field(gt=0)]] | None = None
    """The weight of each run, in their order; null: the same for all."""

    @rule
    def _each_run_once(self) -> Iterator[str]:
        if len(set(self.runs)) < len(self.runs):
            yield "`runs` names a run twice"

    @rule
    def _a_weight_each(self) -> Iterator[str]:
        if self.weights is not None and len(self.weights) != len(self.runs):
            yield f"`weights` should have a weight for each of the {len(self.runs)} runs, found {len(self.weights)}"
