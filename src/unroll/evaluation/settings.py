"""Settings of evaluation: `runs.RUN.evaluate`."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from unroll.evaluation.words import language_code
from unroll.kinds.captioner.settings import CaptionDecodeSettings
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.settings import Count, Seed, Settings, rule

BASELINES = ("copy", "nearest", "first_sentence", "first_12_words")
"""Rows of the comparison that need no run."""


class LanguageModelEvaluation(Settings):
    """How a language model is shown at work; its measures need no settings."""

    samples: int = Field(default=10, ge=1, le=10_000)
    """Texts to generate."""
    sample_tokens: Count = 200
    """Tokens that a generated text has at most, its prompt not counted."""
    temperature: float = Field(default=0.8, gt=0)
    """Logits are divided by it: below 1 likely tokens become likelier."""
    prompts: list[str] = Field(default=[""], min_length=1)
    """What the generated texts begin with, used in turn; an empty one leaves the model free."""
    seed: Seed = 1
    """Decides the generated texts and the real ones beside them."""


class PairEvaluation(DecodeSettings):
    """How hypotheses are searched for and scored."""

    metric: Literal["bleu", "rouge"]
    """`bleu` is BLEU, chrF and TER, for translations; `rouge` is ROUGE-1, -2 and -L, for summaries."""
    language: str = "en"
    """Language of the target, as ISO 639-1: it says what a word is to BLEU in Chinese, Japanese, Korean, Thai, ..."""
    tokenized: bool = False
    """The corpus is tokenized, and its tokens are BLEU's words: `bleu_lc` is then lower-cased tokenized BLEU."""
    stem: bool = False
    """ROUGE compares the stems of English words (Porter, 1980)."""

    belongs: ClassVar = {"tokenized": ("metric", ("bleu",)), "stem": ("metric", ("rouge",))}

    @rule
    def _stems_are_english(self) -> Iterator[str]:
        if self.stem and language_code(self.language) != "en":
            yield f"`stem` takes the stems of English words, and `language` is {self.language!r}"


class CaptionEvaluation(CaptionDecodeSettings):
    """How captions are searched for; they are scored by BLEU-1 to -4, ROUGE-L and CIDEr-D in one way."""

    shown: int = Field(default=24, ge=1, le=200)
    """Test images on the contact sheet, drawn at random."""
    maps: int = Field(default=4, ge=0, le=50)
    """Images over which attention is drawn, word by word (`image: attention`)."""
    seed: Seed = 1
    """Decides which."""
