"""The network of a recurrent language model.

B batch, T time, E embedding, H hidden, V vocabulary.
"""

from torch import Tensor, nn

from unroll.kinds.language_model.settings import LanguageModelSettings
from unroll.nn.recurrent import Recurrent, StackState
from unroll.text.specials import PAD


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, output: p(next token | all tokens before). Mikolov et al. (2010)."""

    def __init__(self, settings: LanguageModelSettings, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD)
        self.recurrent = Recurrent(
            settings.cell, settings.embedding, settings.hidden, settings.layers, settings.dropout
        )
        self.dropout = nn.Dropout(settings.dropout)
        width = settings.embedding if settings.tied else settings.hidden
        self.project = nn.Linear(settings.hidden, width) if width != settings.hidden else nn.Identity()
        self.output = nn.Linear(width, vocabulary)
        if settings.tied:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.output.weight = self.embedding.weight
        nn.init.zeros_(self.output.bias)

    def forward(
        self, ids_BT: Tensor, state: StackState | None = None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, StackState]:
        """What the output layer reads (B, T, width), and the state after the last step."""
        x_BTE = self.dropout(self.embedding(ids_BT))
        h_BTH, state = self.recurrent(x_BTE, state, lengths_B)
        return self.project(self.dropout(h_BTH)), state
