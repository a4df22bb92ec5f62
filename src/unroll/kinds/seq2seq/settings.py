"""Settings of encoder-decoder models."""

from typing import Literal, Self

from pydantic import Field, model_validator

from unroll.nn.settings import CellSettings, Dropout, DropoutSettings, Share
from unroll.settings import Settings
from unroll.text.sampling import SamplingSettings


class Seq2SeqSettings(CellSettings):
    """`runs.RUN.model` of an encoder-decoder."""

    kind: Literal["seq2seq"]
    embedding: int = Field(ge=1)
    """Size of a token's input vector."""
    hidden: int = Field(ge=2, multiple_of=2)
    """Size of the decoder's state; each direction of the encoder has half of it."""
    encoder_layers: int = Field(default=1, ge=1)
    """Bidirectional layers of the encoder."""
    decoder_layers: int = Field(default=1, ge=1)
    """Layers of the decoder."""
    attention: Literal["additive", "dot", "general"] = "general"
    """How a decoder state is matched with the source: Bahdanau's additive, or Luong's dot and general scores."""
    copying: bool = False
    """Mix the output with a copy of what attention looks at; source and target share their vocabulary."""
    dropout: Dropout = DropoutSettings()
    """Shares dropped in training; a single number for input, between layers and output."""
    tied: bool = False
    """Use the target embeddings as output weights too (Press and Wolf, 2017)."""

    @model_validator(mode="after")
    def _even(self) -> Self:
        if "crelu" in (self.activation, self.output_activation) and self.hidden % 4:
            raise ValueError(f"crelu gives two units each; `hidden` should be a multiple of 4, found {self.hidden}")
        return self


class Seq2SeqBatches(SamplingSettings):
    """How `runs.RUN.train` presents pairs to an encoder-decoder."""

    batch_size: int = Field(ge=1)
    """Pairs in a batch, of similar length."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded source positions are computed and masked, or not computed at all."""


class DecodeSettings(Settings):
    """How hypotheses are searched for."""

    beam: int = Field(default=5, ge=1)
    """Hypotheses kept at each step; 1 is greedy search."""
    length_penalty: float = Field(default=0.6, ge=0)
    """α of Wu et al. (2016): scores are divided by ((5 + length) / 6)^α."""
    max_ratio: float = Field(default=2.0, gt=0)
    """A hypothesis ends after `max_ratio` tokens per source token, and 10 more."""
