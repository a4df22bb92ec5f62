"""Settings of recurrent language models."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from unroll.nn.settings import Dropout, DropoutSettings, Share, StackSettings
from unroll.nn.vectors import VectorSettings
from unroll.settings import Count, Settings, Width, rule
from unroll.text.sampling import SamplingSettings


def _none(value: Any) -> Any:
    return None if value == "none" else value


class SpellingSettings(Settings):
    """The character models of a dataset of unit hybrid, an LSTM layer each: one reads rare words, one writes them."""

    embedding: Width
    """Size of a character's vector."""
    hidden: Width
    """Size of the hidden state of each."""


class LanguageModelSettings(StackSettings):
    """`runs.RUN.model` of a recurrent language model."""

    kind: Literal["language_model"]
    embedding: Annotated[Width | None, BeforeValidator(_none)]
    """Size of a token's input vector; `none` for one-hot input, a unit for each token of the vocabulary."""
    vectors: VectorSettings | None = None
    """Vectors to begin with instead of random ones."""
    dropout: Dropout = DropoutSettings()
    """Shares dropped in training; a single number for input, between layers and output."""
    tied: bool = False
    """Use the embeddings as output weights too (Press and Wolf, 2017)."""
    adaptive_softmax: Annotated[list[Count], Field(min_length=1, max_length=8)] | None = None
    """Cutoffs of an adaptive softmax (Grave et al., 2017), for large vocabularies, which are in the order of frequency:
    tokens before the first cutoff are predicted as ever; those between two cutoffs, and behind the last, in two steps,
    of which training computes the second for targets of theirs alone, from vectors 4, 16, ... times smaller. Null: one
    softmax over all."""
    spelling: SpellingSettings | None = None
    """How rare words are read and written; a dataset of unit hybrid needs it, and no other has a use for it."""
    bidirectional: bool = False
    """Not for language models: it stands here for the error that says why."""

    @rule
    def _sees_the_past_alone(self) -> Iterator[str]:
        if self.bidirectional:
            yield (
                "`bidirectional` lets a language model see the very tokens that it is to predict: its loss would go "
                "to zero and mean nothing; encoders (kind: seq2seq) read in both directions"
            )

    @rule
    def _cutoffs_rise(self) -> Iterator[str]:
        cutoffs = self.adaptive_softmax
        if cutoffs is not None and sorted(set(cutoffs)) != cutoffs:
            yield f"`adaptive_softmax` should have cutoffs that rise, as [2000, 10000]; found {cutoffs}"

    @rule
    def _tied_vectors_are_of_one_size(self) -> Iterator[str]:
        if self.tied and self.adaptive_softmax is not None:
            yield (
                "`tied` takes the embeddings as output weights, and `adaptive_softmax` has output weights that are "
                "smaller for rarer tokens; leave one of them out"
            )

    @rule
    def _has_embeddings(self) -> Iterator[str]:
        if self.embedding is None and (self.tied or self.vectors or self.spelling or self.dropout.words):
            yield "`tied`, `vectors`, `dropout.words` and `spelling` need embeddings, and there are none: one-hot input"


class LanguageModelBatches(SamplingSettings):
    """How `runs.RUN.train` presents text to a language model, and what its loss adds to the likelihood."""

    context: Literal["stream", "text"]
    """`stream`: all texts one after the other, the state carried on, in what is written too; `text`: each alone."""
    batch_size: Count
    """Parallel parts of the stream, or texts in a batch."""
    bptt: Count | None = None
    """Steps of truncated backpropagation through time (`context: stream`)."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded positions are computed and masked, or not computed at all (`context: text`)."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""
    sampled_softmax: Annotated[int, Field(ge=1, le=10**6)] | None = None
    """Training takes the softmax over the target and the distinct tokens of so many draws, shared by a batch, in place
    of the whole vocabulary (Jean et al., 2015); frequent tokens are drawn more often, and scores corrected for that.
    `train_loss` is then of these alone; validation and evaluation are over the whole vocabulary as ever. Null: training
    is, too."""
    activation_penalty: float = Field(default=0.0, ge=0)
    """α of Merity et al. (2018): of the mean square of what the output layer reads, with dropout."""
    change_penalty: float = Field(default=0.0, ge=0)
    """β of Merity et al. (2018): of the mean square change of the top layer's output from step to step."""

    belongs: ClassVar = {"bptt": ("context", ("stream",)), "padding": ("context", ("text",))}

    @rule
    def _smoothing_sees_all_tokens(self) -> Iterator[str]:
        if self.label_smoothing and self.sampled_softmax is not None:
            yield "`label_smoothing` is about all tokens, and `sampled_softmax` sees a few; leave one of them out"

    @rule
    def _stream_has_segments(self) -> Iterator[str]:
        if self.context == "stream" and self.bptt is None:
            yield "context: stream needs `bptt`, the steps of truncated backpropagation"
