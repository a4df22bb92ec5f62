"""Encoder and decoder.

B batch, T target time, S source time, E embedding, H decoder state, M memory (H: both directions of the encoder).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.kinds.seq2seq.attention import Attention
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.cells import make_cell
from unroll.nn.dropout import drop_units, embed
from unroll.nn.losses import Loss, cross_entropy
from unroll.nn.recurrent import Bidirectional, Layer, StackState
from unroll.text.specials import PAD


class Memory(NamedTuple):
    """An encoded source: what the attention of each decoder layer reads."""

    ids_BS: Tensor
    values_BSM: Tensor
    keys_BSA: tuple[Tensor, ...]
    mask_BS: Tensor


class Decoder(nn.Module):
    """Recurrent layers, each followed by attention; what it found is handed to the layer above and to the output.

    The output layer reads tanh(W [h; context]) as in Luong et al. (2015). A layer above the first sees where those
    below have looked, so it knows what has been said (several hops, as in Gehring et al., 2017); nothing is fed back to
    the next step, so training computes all target positions of a layer at once.
    """

    def __init__(self, settings: Seq2SeqSettings) -> None:
        super().__init__()
        hidden, embedding = settings.hidden, settings.embedding
        sizes = [embedding, *[2 * hidden] * (settings.decoder_layers - 1)]
        self.rates = settings.dropout
        self.layers = nn.ModuleList(Layer(make_cell(settings, size, hidden), settings.dropout) for size in sizes)
        self.attentions = nn.ModuleList(Attention(settings.attention, hidden, hidden) for _ in sizes)
        self.combine = nn.Linear(2 * hidden, embedding if settings.tied else hidden)

    def memory(self, ids_BS: Tensor, values_BSM: Tensor, mask_BS: Tensor) -> Memory:
        """Keys of every layer for an encoded source."""
        keys = tuple(attention.project(values_BSM) for attention in self.attentions)  # type: ignore[operator]
        return Memory(ids_BS, values_BSM, keys, mask_BS)

    def forward(
        self, x_BTE: Tensor, memory: Memory, state: StackState, beam: bool
    ) -> tuple[Tensor, StackState, Tensor]:
        """What the output layer reads (B, T, width), the state after the last step, the top attention (B, T, S).

        With `beam` the second axis is not time but hypotheses side by side, whose state has B T rows.
        """
        states = []
        y, weights_BTS = x_BTE, x_BTE
        for layer, attention, keys, before in zip(self.layers, self.attentions, memory.keys_BSA, state, strict=True):
            y, last = layer(y.flatten(0, 1).unsqueeze(1) if beam else y, before)
            h_BTH = y.view(*x_BTE.shape[:2], -1)
            context_BTM, weights_BTS = attention(h_BTH, keys, memory.values_BSM, memory.mask_BS)
            y = self._drop(torch.cat([h_BTH, context_BTM], dim=-1), self.rates.between)
            states.append(last)
        return self._drop(torch.tanh(self.combine(y)), self.rates.output), tuple(states), weights_BTS

    def _drop(self, x_BTD: Tensor, share: float) -> Tensor:
        return drop_units(x_BTD, share, self.rates, self.training)


class Seq2Seq(nn.Module):
    """A bidirectional encoder, a bridge, and a decoder with attention over the encoder's outputs.

    The bridge sets each decoder layer's first hidden state to tanh(W [last forward output; first backward output]), and
    its cell to zero. With copying, p = σ(g) softmax(output) + (1 - σ(g)) (attention on the word in the source), the
    mixture pointer of See et al. (2017), with a gate g linear in what the output layer reads.
    """

    def __init__(self, settings: Seq2SeqSettings, source: int, target: int, shared: bool) -> None:
        super().__init__()
        hidden, embedding = settings.hidden, settings.embedding
        self.target_embedding = nn.Embedding(target, embedding, padding_idx=PAD)
        self.source_embedding = self.target_embedding if shared else nn.Embedding(source, embedding, padding_idx=PAD)
        self.encoder = Bidirectional(settings, embedding, hidden // 2, settings.encoder_layers, settings.dropout)
        self.bridge = nn.Linear(hidden, hidden * settings.decoder_layers)
        self.decoder = Decoder(settings)
        self.rates = settings.dropout
        self.output = nn.Linear(self.decoder.combine.out_features, target)
        if settings.tied:
            nn.init.normal_(self.target_embedding.weight, std=embedding**-0.5)
            self.output.weight = self.target_embedding.weight
        nn.init.zeros_(self.output.bias)
        self.gate = nn.Linear(self.output.in_features, 1) if settings.copying else None

    def encode(self, source_BS: Tensor, lengths_B: Tensor, mask_BS: Tensor, packed: bool) -> tuple[Memory, StackState]:
        """The memory of each source and the decoder's first state; `lengths_B` lies on the CPU."""
        x_BSE = self._embed(self.source_embedding, source_BS)
        values_BSM, last_BM = self.encoder(x_BSE, lengths_B, packed)
        hidden = torch.tanh(self.bridge(last_BM)).chunk(len(self.decoder.layers), dim=-1)
        parts = len(self.decoder.layers[0].cell.widths())  # type: ignore[union-attr, operator]
        state = tuple((h_BH, *[torch.zeros_like(h_BH)] * (parts - 1)) for h_BH in hidden)
        return self.decoder.memory(source_BS, values_BSM, mask_BS), state

    def decode(
        self, inputs_BT: Tensor, memory: Memory, state: StackState, beam: bool = False
    ) -> tuple[Tensor, StackState, Tensor]:
        """As `Decoder.forward`, from the ids of the tokens before."""
        x_BTE = self._embed(self.target_embedding, inputs_BT)
        read_BTD, state, weights_BTS = self.decoder(x_BTE, memory, state, beam)
        return read_BTD, state, weights_BTS

    def _embed(self, embedding: nn.Embedding, ids_BT: Tensor) -> Tensor:
        x_BTE = embed(embedding, ids_BT, self.rates.words, self.training)
        return drop_units(x_BTE, self.rates.input, self.rates, self.training)

    def log_probabilities(self, read_BTD: Tensor, weights_BTS: Tensor, memory: Memory) -> Tensor:
        """log p (B, T, V) of every token at every position."""
        logp_BTV = self.output(read_BTD).log_softmax(-1)
        if self.gate is None:
            return logp_BTV  # type: ignore[no-any-return]
        source_BTS = memory.ids_BS.unsqueeze(1).expand_as(weights_BTS)
        copied_BTV = torch.zeros_like(logp_BTV).scatter_add(-1, source_BTS, weights_BTS)
        return self._mixed(logp_BTV, copied_BTV, self.gate(read_BTD))

    def loss(
        self,
        read_BTD: Tensor,
        weights_BTS: Tensor,
        memory: Memory,
        targets_BT: Tensor,
        mask_BT: Tensor,
        smoothing: float = 0.0,
    ) -> Loss:
        """-log p of the targets where `mask_BT`: the values of `log_probabilities`, without the memory for all."""
        real = mask_BT.flatten().nonzero().squeeze(1)
        read_ND, targets_N = read_BTD.flatten(0, 1)[real], targets_BT.flatten()[real]
        if self.gate is None:
            return cross_entropy(self.output(read_ND), targets_N, smoothing)
        logits_NV = self.output(read_ND)
        extra = cross_entropy(logits_NV, targets_N, smoothing).extra if smoothing else 0.0
        logp_N1 = -F.cross_entropy(logits_NV, targets_N, reduction="none").unsqueeze(-1)
        same_BTS = memory.ids_BS.unsqueeze(1) == targets_BT.unsqueeze(-1)
        copied_N1 = (weights_BTS * same_BTS).sum(-1).flatten()[real].unsqueeze(-1)
        return Loss(-self._mixed(logp_N1, copied_N1, self.gate(read_ND)).sum(), len(targets_N), extra)

    @staticmethod
    def _mixed(logp: Tensor, copied: Tensor, gate: Tensor) -> Tensor:
        # What is not in the source has the least positive number instead of zero, whose logarithm has no gradient.
        copied = copied.clamp(min=torch.finfo(copied.dtype).tiny).log()
        return torch.logaddexp(F.logsigmoid(gate) + logp, F.logsigmoid(-gate) + copied)
