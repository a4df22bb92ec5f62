"""Settings of recurrent language models."""

from typing import Literal, Self

from pydantic import Field, model_validator

from unroll.nn.settings import CellName
from unroll.settings import Settings


class LanguageModelSettings(Settings):
    """`runs.RUN.model` of a recurrent language model."""

    kind: Literal["language_model"]
    cell: CellName
    """The recurrent cell."""
    embedding: int = Field(ge=1)
    """Size of a token's input vector."""
    hidden: int = Field(ge=1)
    """Size of the hidden state of each layer."""
    layers: int = Field(default=1, ge=1)
    """Recurrent layers, one upon the other."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of units dropped on embeddings, between layers and before the output."""
    tied: bool = False
    """Use the embeddings as output weights too (Press and Wolf, 2017)."""


class LanguageModelBatches(Settings):
    """How `runs.RUN.train` presents text to a language model."""

    context: Literal["stream", "text"]
    """`stream`: all texts one after the other, the state carried on; `text`: each text alone."""
    batch_size: int = Field(ge=1)
    """Parallel parts of the stream, or texts in a batch."""
    bptt: int | None = Field(default=None, ge=1)
    """Steps of truncated backpropagation through time (`context: stream`)."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded positions are computed and masked, or not computed at all (`context: text`)."""

    @model_validator(mode="after")
    def _one_context(self) -> Self:
        if self.context == "stream" and self.bptt is None:
            raise ValueError("context: stream needs `bptt`, the steps of truncated backpropagation")
        if self.context == "text" and self.bptt is not None:
            raise ValueError("`bptt` belongs to context: stream; with context: text a text is one piece")
        if self.context == "stream" and self.padding == "pack":
            raise ValueError("`padding: pack` belongs to context: text; a stream has no padding to leave out")
        return self
