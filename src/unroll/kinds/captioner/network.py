"""An image encoder, and the decoder of pairs that it conditions.

B batch, P positions of the image's grid, C channels, E embedding, H decoder state, M memory (as wide as H).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unroll.kinds.captioner.encoder import FeatureEncoder, ImageEncoder
from unroll.kinds.captioner.settings import CaptionerSettings
from unroll.kinds.seq2seq.attention import Source
from unroll.kinds.seq2seq.conditional import ConditionalModel
from unroll.kinds.seq2seq.decoder import Decoder, DecoderState, Memory
from unroll.kinds.seq2seq.output import Output
from unroll.nn.dropout import SequenceDropout
from unroll.text.specials import PAD


class Captioner(ConditionalModel):
    """p(caption | image). With v the grid (P C numbers of an image, side by side) the decoder knows the image by

    first-token: n(W v) added to the vector of the first token, Karpathy and Fei-Fei (2015), equations 13 to 15;
    first-input: n(W v) as an input of its own before the first token, Vinyals et al. (2015), equations 10 to 12;
    initial-state: tanh(n(W v)) as the first hidden state;
    attention: the grid's positions as those of a source, Xu et al. (2015): m_p = n(W v_p) + e_p, e_p a learned vector
    of the position; the first hidden state is tanh(W m + b), m their mean.

    n normalises the few hundred numbers that it is of (Ba et al., 2016): v has as many or thousands, trained with W, so
    that one update can move W v by more than a state can tell apart, and all images would look alike.
    """

    def __init__(self, settings: CaptionerSettings, images: Mapping[str, Any], target: int) -> None:
        """`images` are the unit and the shape that the dataset's manifest states, `target` the vocabulary's size."""
        super().__init__()
        self.way = settings.image
        attends = self.way == "attention"
        stated = settings.decoder()
        self.target_embedding = nn.Embedding(target, settings.embedding, padding_idx=PAD)
        self.encoder = _encoder(settings, images)
        self.decoder = Decoder(stated, attends)
        self.rates = settings.dropout
        self.output = Output(stated, self.decoder.combine.out_features, target)
        self.hidden = settings.hidden
        whole, states = self.encoder.positions * self.encoder.width, settings.hidden * settings.layers
        if attends:
            self.values = nn.Sequential(nn.Linear(self.encoder.width, settings.hidden), nn.LayerNorm(settings.hidden))
            self.places = nn.Parameter(torch.randn(self.encoder.positions, settings.hidden) * settings.hidden**-0.5)
        if self.way in ("first-token", "first-input"):
            self.input = nn.Sequential(nn.Linear(whole, settings.embedding), nn.LayerNorm(settings.embedding))
        elif attends:
            self.bridge: nn.Module = nn.Linear(settings.hidden, states)
        else:
            self.bridge = nn.Sequential(nn.Linear(whole, states), nn.LayerNorm(states))
        if settings.tied:
            nn.init.normal_(self.target_embedding.weight, std=settings.embedding**-0.5)
            self.output.linear.weight = self.target_embedding.weight

    def encode(self, images: Tensor) -> tuple[Memory, DecoderState]:
        """The memory of images (B, H, W, 3) or features (B, P, C), and the decoder's first state."""
        dropout = SequenceDropout(self.rates, self.training)
        grid_BPC = dropout.units(self.encoder(images), self.rates.input, "grid")
        if self.way == "attention":
            values_BPM = self.values(grid_BPC) + self.places
            memory = self.decoder.memory(_source(values_BPM))
            return memory, self._start(torch.tanh(self.bridge(values_BPM.mean(1))), memory)
        v_BX = grid_BPC.flatten(1)
        memory = self.decoder.memory(_source(v_BX.new_zeros(len(v_BX), 1, self.hidden)))  # nobody looks there
        if self.way == "initial-state":
            return memory, self._start(torch.tanh(self.bridge(v_BX)), memory)
        state = self._start(v_BX.new_zeros(len(v_BX), self.hidden * len(self.decoder.layers)), memory)
        x_BE = self.input(v_BX)
        if self.way == "first-token":
            return memory._replace(first_BE=x_BE), state
        return memory, self.decoder(x_BE.unsqueeze(1), memory, state, False, dropout).state

    def _start(self, h_BX: Tensor, memory: Memory) -> DecoderState:
        return self.decoder.start(self.decoder.first_states(h_BX), memory.source)


def _source(values_BPM: Tensor) -> Source:
    """A source whose positions have no tokens."""
    ids_BP = torch.zeros(values_BPM.shape[:2], dtype=torch.long, device=values_BPM.device)
    return Source(ids_BP, values_BPM, torch.ones_like(ids_BP, dtype=torch.bool))


def _encoder(settings: CaptionerSettings, images: Mapping[str, Any]) -> ImageEncoder | FeatureEncoder:
    if images["unit"] == "features":
        return FeatureEncoder(*images["shape"])
    assert settings.channels is not None
    return ImageEncoder(settings.channels, images["shape"][0])
