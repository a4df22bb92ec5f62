"""Settings of encoder-decoder models."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unroll.nn.settings import CellSettings, Dropout, DropoutSettings, Share
from unroll.settings import Count, Layers, Settings, Width, rule
from unroll.text.sampling import SamplingSettings


class Seq2SeqSettings(CellSettings):
    """`runs.RUN.model` of an encoder-decoder."""

    kind: Literal["seq2seq"]
    embedding: Width
    """Size of a token's input vector."""
    hidden: Annotated[Width, Field(multiple_of=2)]
    """Size of the decoder's state; each direction of the encoder has half of it."""
    encoder_layers: Layers = 1
    """Layers of the encoder."""
    encoder_directions: Literal["both", "first", "one"] = "both"
    """Layers of the encoder that read in both directions: all, the first alone (Wu et al., 2016), or none."""
    decoder_layers: Layers = 1
    """Layers of the decoder."""
    residual_from: Annotated[Layers, Field(ge=2)] | None = None
    """First layer of encoder and decoder, counted from 1, whose input is added to its output; null: none."""
    bridge: Literal["last", "mean", "zero"] = "last"
    """What the decoder starts from: the encoder's last outputs, their mean, or nothing."""
    attention: Literal["additive", "dot", "general", "multi-head"] = "general"
    """How a decoder state is matched with the source: Bahdanau's additive, Luong's dot and general scores, or several
    scaled dot products (Vaswani et al., 2017)."""
    heads: Width = 4
    """Of `attention: multi-head`."""
    attend: Literal["every", "first", "top"] = "every"
    """Decoder layers that look at the source: each; the bottom one, for all above it (Wu et al., 2016); the top one."""
    input_feeding: bool = False
    """The bottom layer reads what the step before has found, too (Luong et al., 2015); slower: a step after another."""
    past: Literal["coverage", "temporal"] | None = None
    """What attention knows of the steps before: how much each position was looked at (See et al., 2017; additive
    attention), or to look elsewhere (Nallapati et al., 2016); null: nothing."""
    sentences: bool = False
    """Attention to whole sentences beside that to tokens (Nallapati et al., 2016); . ! or ? ends a sentence."""
    pointer: Literal["mixture", "switch"] | None = None
    """May copy from the source; both fields share their vocabulary. mixture: See et al. (2017); switch: Nallapati et
    al. (2016), for words that the vocabulary lacks (unit hybrid)."""
    candidates: Count | None = None
    """The softmax is over so many tokens, those of the source and the most frequent (Nallapati et al., 2016; both
    fields share their vocabulary); null: over all."""
    dropout: Dropout = DropoutSettings()
    """Shares dropped in training; a single number for input, between layers and output."""
    tied: bool = False
    """Use the target embeddings as output weights too (Press and Wolf, 2017)."""

    belongs: ClassVar = {
        "heads": ("attention", ("multi-head",)),
        "past": ("attention", ("additive", "dot", "general")),
        "sentences": ("attention", ("additive", "dot", "general")),
    }

    @rule
    def _crelu_has_two_halves(self) -> Iterator[str]:
        if "crelu" in (self.activation, self.output_activation) and self.hidden % 4:
            yield f"crelu gives two units each; `hidden` should be a multiple of 4, found {self.hidden}"

    @rule
    def _residual_layer_is_there(self) -> Iterator[str]:
        if self.residual_from is not None and self.residual_from > max(self.encoder_layers, self.decoder_layers):
            yield f"`residual_from` should be a layer of encoder or decoder, found {self.residual_from}"

    @rule
    def _heads_are_of_one_size(self) -> Iterator[str]:
        if self.attention == "multi-head" and self.hidden % self.heads:
            yield f"`hidden` should be a multiple of `heads`, {self.heads}; found {self.hidden}"

    @rule
    def _coverage_is_of_additive_attention(self) -> Iterator[str]:
        if self.past == "coverage" and self.attention in ("dot", "general"):
            yield f"`past: coverage` belongs to attention: additive, not {self.attention}"


class Seq2SeqBatches(SamplingSettings):
    """How `runs.RUN.train` presents pairs to an encoder-decoder."""

    batch_size: Count
    """Pairs in a batch, of similar length."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""
    coverage_loss: float = Field(default=0.0, ge=0)
    """Weight of the loss for looking again where attention has been (See et al., 2017)."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded source positions are computed and masked, or not computed at all."""


class DecodeSettings(Settings):
    """How hypotheses are searched for."""

    beam: int = Field(default=5, ge=1, le=1_000)
    """Hypotheses kept at each step; 1 is greedy search."""
    length_penalty: float = Field(default=0.6, ge=0)
    """α of Wu et al. (2016): scores are divided by ((5 + length) / 6)^α."""
    max_ratio: float = Field(default=2.0, gt=0)
    """A hypothesis ends after `max_ratio` tokens per source token, and 10 more."""
