"""The encoder: recurrent layers over a source, in one direction or both, and what the decoder starts from.

B batch, S source time, C sentences of a source, E embedding, M memory (the decoder's hidden size).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.cells import make_cell
from unroll.nn.dropout import drop_units
from unroll.nn.recurrent import Bidirectional, Layer, reversal

SENTENCES = 256  # of a source that have a position of their own; those behind share the last


class Sentences(NamedTuple):
    """The sentences of encoded sources: their vectors, which are real, and the one that each position is in."""

    values_BCM: Tensor
    mask_BC: Tensor
    of_BS: Tensor


class Encoder(nn.Module):
    """Layers of one cell; `encoder_directions` says which of them read both ways.

    Both ways in every layer: Schuster and Paliwal (1997); in the first alone: Wu et al. (2016). From `residual_from` on
    a layer's input is added to its output.
    """

    def __init__(self, settings: Seq2SeqSettings, inputs: int) -> None:
        super().__init__()
        self.rates = settings.dropout
        self.bridge = settings.bridge
        self.residual_from = settings.residual_from or settings.encoder_layers + 1
        hidden = settings.hidden
        self.layers = nn.ModuleList()
        for n in range(settings.encoder_layers):
            size = hidden if n else inputs
            if settings.encoder_directions == "both" or (settings.encoder_directions == "first" and n == 0):
                self.layers.append(Bidirectional(settings, size, hidden // 2, settings.dropout))
            else:
                self.layers.append(Layer(make_cell(settings, size, hidden), settings.dropout))

    def forward(self, x_BSE: Tensor, lengths_B: Tensor, packed: bool) -> tuple[Tensor, Tensor]:
        """Outputs (B, S, M) of the top layer, and the summary (B, M) that `bridge` asks for.

        `lengths_B` lies on the CPU; `packed` runs each row to its real length instead of over its padding.
        """
        order_BS = reversal(lengths_B, x_BSE.shape[1]).to(x_BSE.device, non_blocking=True)
        pack_B = lengths_B if packed else None
        y = x_BSE
        for n, layer in enumerate(self.layers):
            x = drop_units(y, self.rates.between, self.rates, self.training) if n else y
            y = layer(x, order_BS, pack_B) if isinstance(layer, Bidirectional) else layer(x, None, pack_B)[0]
            y = y + x if n + 1 >= self.residual_from else y
        return y, self._summary(y, lengths_B.to(y.device, non_blocking=True))

    def _summary(self, values_BSM: Tensor, lengths_B: Tensor) -> Tensor:
        """`last`: what each direction has read when it has read all; `mean`: of all positions; `zero`: nothing."""
        if self.bridge == "zero":
            return torch.zeros_like(values_BSM[:, 0])
        if self.bridge == "mean":
            real_BS1 = torch.arange(values_BSM.shape[1], device=lengths_B.device).unsqueeze(-1) < lengths_B.view(
                -1, 1, 1
            )
            return (values_BSM * real_BS1).sum(1) / lengths_B.unsqueeze(1)
        rows = torch.arange(len(lengths_B), device=values_BSM.device)
        last_BM = values_BSM[rows, lengths_B - 1]
        if not isinstance(self.layers[-1], Bidirectional):
            return last_BM
        half = values_BSM.shape[-1] // 2
        return torch.cat([last_BM[:, :half], values_BSM[:, 0, half:]], dim=-1)


class SentenceEncoder(nn.Module):
    """Vectors of sentences, by a bidirectional layer over what the word level makes of each, with their positions.

    Nallapati et al. (2016), section 2.4. A sentence's input is the first half of the word level's last output in it
    and the second half of its first output: what a bidirectional layer knows there of the whole sentence.
    """

    def __init__(self, settings: Seq2SeqSettings) -> None:
        super().__init__()
        self.layer = Bidirectional(settings, settings.hidden, settings.hidden // 2, settings.dropout)
        self.position = nn.Embedding(SENTENCES, settings.hidden)
        nn.init.normal_(self.position.weight, std=settings.hidden**-0.5)

    def forward(self, values_BSM: Tensor, ends_BS: Tensor, mask_BS: Tensor) -> Sentences:
        """The sentences of sources whose `ends_BS` are true at the last token of a sentence."""
        of_BS = _sentence_of(ends_BS, mask_BS)
        counts_B = of_BS.amax(1) + 1
        count = int(counts_B.max())
        half = values_BSM.shape[-1] // 2
        place_BS = torch.arange(of_BS.shape[1], device=of_BS.device).expand_as(of_BS)
        nowhere_BC = place_BS.new_zeros(len(of_BS), count)
        last_BC = nowhere_BC.scatter_reduce(1, of_BS, place_BS * mask_BS, "amax")
        behind = of_BS.shape[1]
        first_BC = (nowhere_BC + behind).scatter_reduce(1, of_BS, place_BS.masked_fill(~mask_BS, behind), "amin")
        first_BC = first_BC.clamp(max=behind - 1)
        ahead_BCM, back_BCM = values_BSM[..., :half], values_BSM[..., half:]
        x_BCM = torch.cat([_at(ahead_BCM, last_BC), _at(back_BCM, first_BC)], dim=-1)
        order_BC = reversal(counts_B.cpu(), count).to(of_BS.device)
        y_BCM = self.layer(x_BCM, order_BC)
        n_C = torch.arange(count, device=of_BS.device)
        y_BCM = y_BCM + self.position(n_C.clamp(max=SENTENCES - 1))
        return Sentences(y_BCM, n_C < counts_B.unsqueeze(1), of_BS)


def _sentence_of(ends_BS: Tensor, mask_BS: Tensor) -> Tensor:
    """The number of the sentence (B, S) that each position is in; padding is in the first, EOS ends the last."""
    before_BS = torch.zeros_like(ends_BS)
    before_BS[:, 1:-1] = ends_BS[:, :-2] & mask_BS[:, 2:]
    return before_BS.cumsum(1).masked_fill(~mask_BS, 0)


def _at(x_BSD: Tensor, places_BC: Tensor) -> Tensor:
    """The vectors (B, C, D) at some places."""
    return x_BSD.gather(1, places_BC.unsqueeze(-1).expand(-1, -1, x_BSD.shape[-1]))
