"""Attention: where in the source a decoder state looks.

B batch, T target time, S source time, H decoder state, M memory (encoder output), A attention size.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.additive import additive_scores


class Attention(nn.Module):
    """Scores, masks and averages. Keys are projected once a source; padded positions get exactly zero.

    additive: v · tanh(W h + U m), Bahdanau et al. (2015). dot: h · m and general: h · W m, Luong et al. (2015).
    """

    def __init__(self, score: Literal["additive", "dot", "general"], query: int, memory: int) -> None:
        super().__init__()
        if score == "dot" and query != memory:
            raise ValueError(f"dot attention needs states and memory of one size, not {query} and {memory}")
        self.score = score
        self.keys = nn.Identity() if score == "dot" else nn.Linear(memory, query, bias=False)
        if score == "additive":
            self.query = nn.Linear(query, query)
            self.energy = nn.Parameter(torch.empty(query).uniform_(-(query**-0.5), query**-0.5))

    def project(self, memory_BSM: Tensor) -> Tensor:
        """Keys (B, S, A) of a source, to be reused at every step."""
        return self.keys(memory_BSM)  # type: ignore[no-any-return]

    def forward(self, h_BTH: Tensor, keys_BSA: Tensor, memory_BSM: Tensor, mask_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts (B, T, M) and weights (B, T, S); the weights of a row sum to one over its real positions."""
        if self.score == "additive":
            scores_BTS = additive_scores(self.query(h_BTH), keys_BSA, self.energy)
        else:
            scores_BTS = h_BTH @ keys_BSA.transpose(1, 2)
        weights_BTS = scores_BTS.masked_fill(~mask_BS.unsqueeze(1), -torch.inf).softmax(-1)
        return weights_BTS @ memory_BSM, weights_BTS
