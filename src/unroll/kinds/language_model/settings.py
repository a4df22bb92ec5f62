"""Settings of recurrent language models."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from unroll.nn.settings import Dropout, DropoutSettings, Share, StackSettings
from unroll.nn.vectors import VectorSettings
from unroll.settings import Settings
from unroll.text.sampling import SamplingSettings


def _none(value: Any) -> Any:
    return None if value == "none" else value


class SpellingSettings(Settings):
    """The character models of a dataset of unit hybrid, an LSTM layer each: one reads rare words, one writes them."""

    embedding: int = Field(ge=1)
    """Size of a character's vector."""
    hidden: int = Field(ge=1)
    """Size of the hidden state of each."""


class LanguageModelSettings(StackSettings):
    """`runs.RUN.model` of a recurrent language model."""

    kind: Literal["language_model"]
    embedding: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_none)]
    """Size of a token's input vector; `none` for one-hot input, a unit for each token of the vocabulary."""
    vectors: VectorSettings | None = None
    """Vectors to begin with instead of random ones."""
    dropout: Dropout = DropoutSettings()
    """Shares dropped in training; a single number for input, between layers and output."""
    tied: bool = False
    """Use the embeddings as output weights too (Press and Wolf, 2017)."""
    spelling: SpellingSettings | None = None
    """How rare words are read and written; a dataset of unit hybrid needs it, and no other has a use for it."""
    bidirectional: bool = False
    """Not for language models: it stands here for the error that says why."""

    @model_validator(mode="after")
    def _legal(self) -> Self:
        if self.bidirectional:
            raise ValueError(
                "`bidirectional` lets a language model see the very tokens that it is to predict: its loss would go "
                "to zero and mean nothing; encoders (kind: seq2seq) read in both directions"
            )
        if self.embedding is None and (self.tied or self.vectors or self.dropout.words or self.spelling):
            raise ValueError(
                "`tied`, `vectors`, `dropout.words` and `spelling` need embeddings, and there are none: one-hot input"
            )
        return self


class LanguageModelBatches(SamplingSettings):
    """How `runs.RUN.train` presents text to a language model, and what its loss adds to the likelihood."""

    context: Literal["stream", "text"]
    """`stream`: all texts one after the other, the state carried on; `text`: each text alone."""
    batch_size: int = Field(ge=1)
    """Parallel parts of the stream, or texts in a batch."""
    bptt: int | None = Field(default=None, ge=1)
    """Steps of truncated backpropagation through time (`context: stream`)."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded positions are computed and masked, or not computed at all (`context: text`)."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""
    activation_penalty: float = Field(default=0.0, ge=0)
    """α of Merity et al. (2018): of the mean square of what the output layer reads, with dropout."""
    change_penalty: float = Field(default=0.0, ge=0)
    """β of Merity et al. (2018): of the mean square change of the top layer's output from step to step."""

    @model_validator(mode="after")
    def _one_context(self) -> Self:
        if self.context == "stream" and self.bptt is None:
            raise ValueError("context: stream needs `bptt`, the steps of truncated backpropagation")
        if self.context == "text" and self.bptt is not None:
            raise ValueError("`bptt` belongs to context: stream; with context: text a text is one piece")
        if self.context == "stream" and self.padding == "pack":
            raise ValueError("`padding: pack` belongs to context: text; a stream has no padding to leave out")
        return self
