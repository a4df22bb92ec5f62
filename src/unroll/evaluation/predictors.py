"""What evaluation asks of a finished model, whatever its kind."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from unroll.engine import LOCAL, Engine
from unroll.kinds.captioner.settings import CaptionDecodeSettings
from unroll.kinds.generation import Sampling, TextScore
from unroll.kinds.language_model.network import LanguageModel as Network
from unroll.kinds.language_model.spelling import Spelled
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.progress import Tell, silent
from unroll.text.vocabulary import Vocabulary


class LanguageModel(Protocol):
    """Scores texts and continues prompts. With the context "stream" a text is read after the one before it."""

    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def context(self) -> Literal["stream", "text"]: ...

    def score(self, texts: Sequence[str]) -> Sequence[TextScore]:
        """One score a text, in order."""

    def generate(self, prompts: Sequence[str], *, max_tokens: int, sampling: Sampling, seed: int) -> Sequence[str]:
        """Each prompt with its continuation behind it."""


@runtime_checkable
class RecurrentLanguageModel(LanguageModel, Protocol):
    """A language model whose network can be watched at work."""

    @property
    def network(self) -> Network: ...
    @property
    def device(self) -> torch.device: ...
    def spelled(self, *ids: torch.Tensor) -> Spelled | None:
        """The tokens among `ids` (on the CPU) that the network reads by their characters."""


class Hypothesis(Protocol):
    """The best target found for a source; `alignment` (T, S) says where each token looked in the source."""

    @property
    def text(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def tokens(self) -> Sequence[str]: ...
    @property
    def alignment(self) -> NDArray[np.float64] | None: ...


class PairModel(Protocol):
    """Makes targets from sources."""

    @property
    def source(self) -> Vocabulary: ...
    @property
    def target(self) -> Vocabulary: ...

    def decode(
        self, sources: Sequence[str], settings: DecodeSettings, tell: Tell = silent, engine: Engine = LOCAL
    ) -> Sequence[Hypothesis]:
        """The best hypothesis of each source, in order; `tell` hears how many are done since it heard before.

        `engine` searches, batch by batch.
        """

    def p_gen(self, sources: Sequence[str], hypotheses: Sequence[Any]) -> float | None:
        """The mean probability of writing a token, not copying it, over what `decode` gave; None without a pointer."""


class CaptionModel(Protocol):
    """Says what images show."""

    @property
    def target(self) -> Vocabulary: ...
    @property
    def attends(self) -> bool:
        """Whether captions come with where they looked."""

    def read(self, data: bytes, name: str) -> NDArray[Any]:
        """A file's bytes as the model reads them."""

    def decode(
        self,
        images: Sequence[NDArray[Any]],
        settings: CaptionDecodeSettings,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> Sequence[Hypothesis]:
        """The best caption of each image, in order; `tell` and `engine` as of a `PairModel`."""
