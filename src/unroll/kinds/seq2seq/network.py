"""Encoder and decoder together.

B batch, T target time, S source time, E embedding, H decoder state, M memory (what the encoder gives, as wide as H).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.attention import Source
from unroll.kinds.seq2seq.decoder import Decoded, Decoder, DecoderState, Memory
from unroll.kinds.seq2seq.encoder import Encoder, SentenceEncoder
from unroll.kinds.seq2seq.output import Output
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.dropout import SequenceDropout
from unroll.text.specials import BOS, PAD, UNK


class Seq2Seq(nn.Module):
    """An encoder, a bridge, and a decoder with attention over the encoder's outputs.

    The bridge sets each decoder layer's first hidden state to tanh(W s + b), s the encoder's summary of the source, and
    its cell to zero. `ends` are the ids that end a sentence, for attention to sentences.
    """

    ends: Tensor

    def __init__(
        self, settings: Seq2SeqSettings, source: int, target: int, shared: bool, ends: Sequence[int] = ()
    ) -> None:
        super().__init__()
        hidden, embedding = settings.hidden, settings.embedding
        self.target_embedding = nn.Embedding(target, embedding, padding_idx=PAD)
        self.source_embedding = self.target_embedding if shared else nn.Embedding(source, embedding, padding_idx=PAD)
        self.encoder = Encoder(settings, embedding)
        self.sentences = SentenceEncoder(settings) if settings.sentences else None
        self.register_buffer("ends", torch.tensor(sorted(ends), dtype=torch.long), persistent=False)
        self.bridge = nn.Linear(hidden, hidden * settings.decoder_layers)
        self.decoder = Decoder(settings)
        self.rates = settings.dropout
        self.output = Output(settings, self.decoder.combine.out_features, target)
        if settings.tied:
            nn.init.normal_(self.target_embedding.weight, std=embedding**-0.5)
            self.output.linear.weight = self.target_embedding.weight

    def encode(
        self, source_BS: Tensor, lengths_B: Tensor, mask_BS: Tensor, packed: bool
    ) -> tuple[Memory, DecoderState]:
        """The memory of each source and the decoder's first state; `lengths_B` lies on the CPU."""
        x_BSE = self._embed(self.source_embedding, source_BS, SequenceDropout(self.rates, self.training))
        values_BSM, summary_BM = self.encoder(x_BSE, lengths_B, packed)
        hidden = torch.tanh(self.bridge(summary_BM)).chunk(len(self.decoder.layers), dim=-1)
        parts = len(self.decoder.layers[0].cell.widths())  # type: ignore[union-attr, operator]
        layers = tuple((h_BH, *[torch.zeros_like(h_BH)] * (parts - 1)) for h_BH in hidden)
        sentences = None
        if self.sentences is not None:
            sentences = self.sentences(values_BSM, torch.isin(source_BS, self.ends), mask_BS)
        source = Source(source_BS, values_BSM, mask_BS, sentences)
        return self.decoder.memory(source), self.decoder.start(layers, source)

    def decode(
        self,
        inputs_BT: Tensor,
        memory: Memory,
        state: DecoderState,
        beam: bool = False,
        dropout: SequenceDropout | None = None,
    ) -> Decoded:
        """As `Decoder.forward`, from the ids of the tokens before; `dropout` is for a sequence in several calls."""
        dropout = dropout or SequenceDropout(self.rates, self.training)
        x_BTE = self._embed(self.target_embedding, inputs_BT, dropout)
        return self.decoder(x_BTE, memory, state, beam, dropout)  # type: ignore[no-any-return]

    def _embed(self, embedding: nn.Embedding, ids_BT: Tensor, dropout: SequenceDropout) -> Tensor:
        known_BT = ids_BT.masked_fill(ids_BT >= embedding.num_embeddings, UNK)
        return dropout.units(dropout.embed(embedding, known_BT), self.rates.input, "input")

    def log_probabilities(self, decoded: Decoded, memory: Memory) -> Tensor:
        """log p (B, T, V or more) of every token at every position, as `Output.log_probabilities` gives it."""
        return self.output.log_probabilities(decoded.read_BTD, decoded.weights_BTS, memory.source)

    def force(self, targets_BT: Tensor, memory: Memory, state: DecoderState, own: float = 0.0) -> Decoded:
        """Decode with the right tokens before each position (teacher forcing).

        A share `own` of these tokens are not the right ones but drawn from the model's own distribution there, which
        takes one step after another: scheduled sampling, Bengio et al. (2015).
        """
        before_BT = torch.cat([torch.full_like(targets_BT[:, :1], BOS), targets_BT[:, :-1]], dim=1)
        if not own:
            return self.decode(before_BT, memory, state)
        dropout = SequenceDropout(self.rates, self.training)
        steps: list[Decoded] = []
        drawn_B1 = before_BT[:, :1]
        for right_B1 in torch.split(before_BT, 1, dim=1):
            chosen_B1 = torch.where(torch.rand(right_B1.shape, device=right_B1.device) < own, drawn_B1, right_B1)
            steps.append(self.decode(chosen_B1, memory, state, dropout=dropout))
            state = steps[-1].state
            with torch.no_grad():
                drawn_B1 = self.log_probabilities(steps[-1], memory).squeeze(1).exp().multinomial(1)
        read_BTD, weights_BTS = (
            torch.cat(parts, dim=1) for parts in ([s.read_BTD for s in steps], [s.weights_BTS for s in steps])
        )
        return Decoded(read_BTD, state, weights_BTS)
