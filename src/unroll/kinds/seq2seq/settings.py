"""Settings of encoder-decoder models."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from unroll.nn.settings import CellSettings, Dropout, DropoutSettings, Share
from unroll.settings import Count, Layers, Seed, Settings, Width, rule
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


class SelectSettings(Settings):
    """What validations are compared by, for the best weights, `patience`, `schedule: plateau` and `average`."""

    metric: Literal["loss", "bleu", "rouge"]
    """`loss`: nats per token. `bleu`, `rouge`: BLEU, or ROUGE-L, of what a greedy search makes of the sources."""
    rows: Count | None = None
    """Pairs of the validation split that are decoded, evenly spread over it; null for all. The loss is of all."""
    language: str = "en"
    """Of the target, as in `evaluate`."""

    belongs: ClassVar = {"rows": ("metric", ("bleu", "rouge"))}


def _metric(value: Any) -> Any:
    """A single word stands for the metric."""
    return {"metric": value} if isinstance(value, str) else value


class Seq2SeqBatches(SamplingSettings):
    """How `runs.RUN.train` presents pairs to an encoder-decoder."""

    batch_size: Count | None = None
    """Pairs in a batch, of similar length."""
    batch_tokens: Count | None = None
    """In place of `batch_size`: a batch has as many pairs of similar length as fit into so many tokens of source and as
    many of target, ends and padding included. A longer pair makes a batch of its own. With `sampling` the tokens are
    those of the likeliest pieces."""
    label_smoothing: Share = 0.0
    """Share of the target's probability that training gives to all tokens alike (Szegedy et al., 2016)."""
    coverage_loss: float = Field(default=0.0, ge=0)
    """Weight of the loss for looking again where attention has been (See et al., 2017)."""
    scheduled_sampling: Share = 0.0
    """Share of the tokens before each position that are drawn from the model itself instead of the reference, at the
    end of the budget; it rises to it from none in a straight line (Bengio et al., 2015). Slower: step by step."""
    padding: Literal["mask", "pack"] = "mask"
    """Padded source positions are computed and masked, or not computed at all."""
    select: Annotated[SelectSettings, BeforeValidator(_metric)] = SelectSettings(metric="loss")
    """What validations are compared by: `loss`, `bleu` or `rouge`, or more about it."""

    @rule
    def _one_size(self) -> Iterator[str]:
        if (self.batch_size is None) == (self.batch_tokens is None):
            yield "state how large a batch is, either `batch_size` in pairs or `batch_tokens` in tokens"


class SampleSettings(Settings):
    """How a token is drawn: as in `unroll.kinds.generation.Sampling`."""

    temperature: float = Field(default=1.0, gt=0)
    """Logits are divided by it: below 1 likely tokens become likelier."""
    top_k: Count | None = None
    """Draw among so many likeliest tokens; null: among all."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draw among the likeliest tokens that together have this share of what `top_k` leaves; null: among all."""
    seed: Seed = 1
    """Decides what is drawn, with the place of the source among all; the other sources do not matter."""


class DecodeSettings(Settings):
    """How hypotheses are searched for."""

    beam: int = Field(default=5, ge=1, le=1_000)
    """Hypotheses kept at each step; 1 is greedy search."""
    length_penalty: float = Field(default=0.6, ge=0)
    """α of Wu et al. (2016): scores are divided by ((5 + length) / 6)^α."""
    coverage_penalty: float = Field(default=0.0, ge=0)
    """β of Wu et al. (2016): finished hypotheses lose what they have not looked at, -β Σ log(min(attention, 1))."""
    min_length: int = Field(default=0, ge=0, le=10**6)
    """Tokens that a hypothesis has at least, even where `max_ratio` would end it, unless nothing else may follow."""
    max_length: Count | None = None
    """Tokens that a hypothesis has at most; null: what `max_ratio` allows."""
    max_ratio: float = Field(default=2.0, gt=0)
    """A hypothesis ends after `max_ratio` tokens per source token, and 10 more."""
    no_repeat_ngram: Count | None = None
    """No hypothesis has the same n-gram of so many tokens twice (Paulus et al., 2018); null: it may."""
    replace_unknown: bool = False
    """Of unit word: produce unknown words, and put in place of each the source word that attention looks at most (Luong
    et al., 2015; Jean et al., 2015)."""
    sample: SampleSettings | None = None
    """Draw tokens instead of searching for likely ones, with `beam: 1`; {} draws from the model as it is."""

    @rule
    def _longest_is_not_shorter(self) -> Iterator[str]:
        if self.max_length is not None and self.min_length > self.max_length:
            yield f"`min_length` should be at most `max_length`, {self.max_length}; found {self.min_length}"

    @rule
    def _samples_need_no_beam(self) -> Iterator[str]:
        if self.sample is not None and self.beam > 1:
            yield f"`sample` draws each token, so that nothing is searched: state beam: 1, found {self.beam}"
