"""Several finished models that decode together.

B sentences, K hypotheses each, N = B K, S source time, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from unroll.engine import LOCAL, Engine
from unroll.errors import UserError
from unroll.kinds.seq2seq.penalties import length_norm
from unroll.kinds.seq2seq.predictor import Hypothesis, PairPredictor
from unroll.kinds.seq2seq.search import State, Stepper
from unroll.kinds.seq2seq.settings import DecodeSettings
from unroll.progress import Tell, silent
from unroll.text.specials import UNK
from unroll.text.vocabulary import Vocabulary


class NextToken(Protocol):
    """A language model that says, step by step, what comes next in texts that grow side by side."""

    vocabulary: Vocabulary

    def begin(self, rows: int) -> State:
        """The state before the first token of so many texts."""

    def advance(self, ids_N: Tensor, state: State) -> tuple[Tensor, State]:
        """log p (N, V) of each text's next token, and the next state, after `ids_N`: BOS, or the tokens before."""


class TextModel(Protocol):
    """A language model that scores whole texts."""

    vocabulary: Vocabulary

    def score(self, texts: Sequence[str]) -> Sequence[Any]:
        """A `TextScore` a text, in order."""


class CombinedPredictor(PairPredictor):
    """Encoder-decoders as one: log mean p at each step, attention the mean of theirs; a language model has its say.

    With `fusion` (model, λ) a step's score of a token is log mean p + λ log p of the language model; a token that is
    copied from beyond its vocabulary costs what an unknown one does. With `rescoring` (model, λ) the hypotheses of a
    beam are ranked by the search's score + λ log p(text) / ((5 + length) / 6)^α, the text scored by itself.
    """

    def __init__(
        self,
        members: Sequence[PairPredictor],
        fusion: tuple[NextToken, float] | None = None,
        rescoring: tuple[TextModel, float] | None = None,
    ) -> None:
        """Raises `UserError` if the vocabularies differ."""
        first = members[0]
        super().__init__(first.network, first.source, first.target, first.max_length, first.device)
        self.members, self.fusion, self.rescoring = members, fusion, rescoring
        for member in members[1:]:
            if not (same(member.source, first.source) and same(member.target, first.target)):
                raise UserError("the runs of a combination have different vocabularies; they need one dataset")
        if fusion is not None and not same(fusion[0].vocabulary, first.target):
            raise UserError(
                "fusion: the language model has another vocabulary than the target; it needs a dataset of the same "
                "texts, unit and settings, or take `rescoring`, which bears any"
            )

    def begin(self, ids_BS: Tensor, lengths_B: Tensor, mask_BS: Tensor) -> tuple[Stepper, State]:
        begun = [PairPredictor.begin(member, ids_BS, lengths_B, mask_BS) for member in self.members]
        state: State = tuple(state for _, state in begun)
        if self.fusion is not None:
            spoken = tree_map(lambda x: x.to(ids_BS.device), self.fusion[0].begin(len(ids_BS)))
            state = (*state, spoken)
        return _Together([step for step, _ in begun], self.fusion), state

    def decode_nbest(
        self,
        sources: Sequence[str],
        settings: DecodeSettings,
        count: int | None = None,
        tell: Tell = silent,
        engine: Engine = LOCAL,
    ) -> list[list[Hypothesis]]:
        if self.rescoring is None:
            return super().decode_nbest(sources, settings, count, tell, engine)
        found = super().decode_nbest(sources, settings, tell=tell, engine=engine)
        return [self._rescored(several, settings)[:count] for several in found]

    def p_gen(self, sources: Sequence[str], hypotheses: Sequence[Hypothesis]) -> None:
        """Members may go different ways, so there is no such figure."""

    def _rescored(self, several: list[Hypothesis], settings: DecodeSettings) -> list[Hypothesis]:
        assert self.rescoring is not None
        model, weight = self.rescoring
        rescored = []
        for hypothesis in several:
            nats = model.score([hypothesis.text])[0].nats + (model.vocabulary.unknown_nats(hypothesis.text) or 0.0)
            norm = length_norm(float(len(hypothesis.tokens) + 1), settings.length_penalty)
            rescored.append(hypothesis._replace(score=hypothesis.score - weight * nats / norm))
        return sorted(rescored, key=lambda hypothesis: -hypothesis.score)


class _Together:
    """Several decoders and perhaps a language model as the search sees them: one."""

    def __init__(self, members: Sequence[Stepper], fusion: tuple[NextToken, float] | None) -> None:
        self.members, self.fusion = members, fusion

    def __call__(self, ids_BK: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        steps = [member(ids_BK, before) for member, before in zip(self.members, state, strict=False)]
        widest = max(logp_BKV.shape[-1] for logp_BKV, _, _ in steps)
        all_BKV = [F.pad(logp_BKV, (0, widest - logp_BKV.shape[-1]), value=-torch.inf) for logp_BKV, _, _ in steps]
        logp_BKV = torch.stack(all_BKV).logsumexp(0) - math.log(len(steps))
        after: State = tuple(state for _, state, _ in steps)
        weights_BKS = torch.stack([weights_BKS for _, _, weights_BKS in steps]).mean(0)
        if self.fusion is not None:
            model, weight = self.fusion
            said_NV, spoken = model.advance(ids_BK.flatten(), state[-1])
            said_NV = said_NV.to(logp_BKV)
            beyond_NX = said_NV[:, UNK : UNK + 1].expand(-1, widest - said_NV.shape[-1])
            logp_BKV = logp_BKV + weight * torch.cat([said_NV, beyond_NX], dim=-1).view_as(logp_BKV)
            after = (*after, spoken)
        return logp_BKV, after, weights_BKS

    def keep(self, rows_B: Tensor) -> None:
        for member in self.members:
            member.keep(rows_B)


def same(a: Vocabulary, b: Vocabulary) -> bool:
    """Whether two vocabularies give every token the same id."""
    return a.unit == b.unit and len(a) == len(b) and a.tokens(range(len(a))) == b.tokens(range(len(b)))
