"""Encoder and decoder together.

B batch, T target time, S source time, E embedding, H decoder state, M memory (what the encoder gives, as wide as H).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.attention import Source
from unroll.kinds.seq2seq.conditional import ConditionalModel
from unroll.kinds.seq2seq.decoder import Decoder, DecoderState, Memory
from unroll.kinds.seq2seq.encoder import Encoder, SentenceEncoder
from unroll.kinds.seq2seq.output import Output
from unroll.kinds.seq2seq.settings import Seq2SeqSettings
from unroll.nn.dropout import SequenceDropout
from unroll.text.specials import PAD


class Seq2Seq(ConditionalModel):
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
        layers = self.decoder.first_states(torch.tanh(self.bridge(summary_BM)))
        sentences = None
        if self.sentences is not None:
            sentences = self.sentences(values_BSM, torch.isin(source_BS, self.ends), mask_BS)
        source = Source(source_BS, values_BSM, mask_BS, sentences)
        return self.decoder.memory(source), self.decoder.start(layers, source)
