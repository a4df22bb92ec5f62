"""Settings of models that say what an image shows."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError

from unroll.kinds.seq2seq.settings import DecodeSettings, Seq2SeqSettings
from unroll.nn.settings import CellSettings, Dropout, DropoutSettings, Share
from unroll.settings import Count, Layers, Width, rule
from unroll.text.sampling import SamplingSettings


class CaptionerSettings(CellSettings):
    """`runs.RUN.model` of a captioner."""

    kind: Literal["captioner"]
    image: Literal["first-token", "first-input", "initial-state", "attention"]
    """How the decoder knows the image. first-token: added to the first token's vector (Karpathy and Fei-Fei, 2015).
    first-input: read before the first token, as if it were one (Vinyals et al., 2015). initial-state: the first hidden
    state is made of it. attention: at each step, over the grid of the encoder (Xu et al., 2015)."""
    channels: Annotated[list[Width], Field(min_length=1, max_length=8)] | None = None
    """Of a dataset of unit pixels: channels of each block of the convolutional encoder; a block halves height and
    width. Null for features."""
    embedding: Width
    """Size of a token's input vector."""
    hidden: Annotated[Width, Field(multiple_of=2)]
    """Size of the decoder's state."""
    layers: Layers = 1
    """Layers of the decoder."""
    attention: Literal["additive", "dot", "general", "multi-head"] = "additive"
    """How a decoder state is matched with the grid, as in `kind: seq2seq`."""
    heads: Width = 4
    """Of `attention: multi-head`."""
    input_feeding: bool = False
    """The bottom layer reads what attention found at the step before, too, as in Xu et al. (2015); slower: a step after
    another."""
    dropout: Dropout = DropoutSettings()
    """Shares dropped in training; a single number for input (tokens and image), between layers and output."""
    tied: bool = False
    """Use the embeddings as output weights too (Press and Wolf, 2017)."""

    belongs: ClassVar = {
        "attention": ("image", ("attention",)),
        "heads": ("attention", ("multi-head",)),
        "input_feeding": ("image", ("attention",)),
    }

    @rule
    def _decoder_is_right(self) -> Iterator[str]:
        try:
            self.decoder()
        except ValidationError as error:
            yield from (str(detail["ctx"]["error"]) for detail in error.errors() if "error" in detail.get("ctx", {}))

    def decoder(self) -> Seq2SeqSettings:
        """The decoder, as `kind: seq2seq` states it."""
        return Seq2SeqSettings(
            kind="seq2seq",
            **{name: getattr(self, name) for name in CellSettings.model_fields},
            embedding=self.embedding,
            hidden=self.hidden,
            decoder_layers=self.layers,
            attention=self.attention,
            heads=self.heads,
            attend="first" if self.input_feeding else "every",
            input_feeding=self.input_feeding,
            dropout=self.dropout,
            tied=self.tied,
        )


class CaptionerBatches(SamplingSettings):
    """How `runs.RUN.train` presents images to a captioner."""

    batch_size: Count
    """Images in a batch, each with all its captions, so that it is encoded once."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""


class CaptionDecodeSettings(DecodeSettings):
    """How captions are searched for."""

    length_penalty: float = Field(default=0.0, ge=0)
    """α of Wu et al. (2016): scores are divided by ((5 + length) / 6)^α."""
    max_length: Count = 40
    """Tokens that a caption has at most."""

    @rule
    def _images_have_no_words(self) -> Iterator[str]:
        for key in ("max_ratio", "coverage_penalty", "replace_unknown"):
            if getattr(self, key) != DecodeSettings.model_fields[key].default:
                yield f"`{key}` is about the tokens of a source, and an image has none; leave it out"
