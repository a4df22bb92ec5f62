"""What writes targets, whatever it is that they are conditioned on.

B batch, T target time, S source time, E embedding, V vocabulary.
"""

import torch
from torch import Tensor, nn

from unroll.kinds.seq2seq.decoder import Decoded, Decoder, DecoderState, Memory
from unroll.kinds.seq2seq.output import Output, Reach
from unroll.nn.dropout import SequenceDropout
from unroll.nn.settings import DropoutSettings
from unroll.text.specials import BOS, UNK


class ConditionalModel(nn.Module):
    """p(target | source) token by token; who inherits from it makes these parts, and encodes sources."""

    target_embedding: nn.Embedding
    decoder: Decoder
    output: Output
    rates: DropoutSettings

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
        if memory.first_BE is not None:
            x_BTE = x_BTE + (inputs_BT == BOS).unsqueeze(-1) * memory.first_BE.unsqueeze(1)
        return self.decoder(x_BTE, memory, state, beam, dropout)  # type: ignore[no-any-return]

    def _embed(self, embedding: nn.Embedding, ids_BT: Tensor, dropout: SequenceDropout) -> Tensor:
        known_BT = ids_BT.masked_fill(ids_BT >= embedding.num_embeddings, UNK)
        return dropout.units(dropout.embed(embedding, known_BT), self.rates.input, "input")

    def log_probabilities(self, decoded: Decoded, memory: Memory, reach: Reach | None = None) -> Tensor:
        """log p (B, T, V or more) of every token at every position, as `Output.log_probabilities` gives it.

        `reach` is the output's of the source, for who decodes it step by step.
        """
        reach = reach or self.output.reach(memory.source)
        return self.output.log_probabilities(decoded.read_BTD, decoded.weights_BTS, memory.source, reach)

    def force(self, targets_BT: Tensor, memory: Memory, state: DecoderState, own: float = 0.0) -> Decoded:
        """Decode with the right tokens before each position (teacher forcing).

        A share `own` of these tokens are not the right ones but drawn from the model's own distribution there, which
        takes one step after another: scheduled sampling, Bengio et al. (2015).
        """
        before_BT = torch.cat([torch.full_like(targets_BT[:, :1], BOS), targets_BT[:, :-1]], dim=1)
        if not own:
            return self.decode(before_BT, memory, state)
        dropout, reach = SequenceDropout(self.rates, self.training), self.output.reach(memory.source)
        steps: list[Decoded] = []
        drawn_B1 = before_BT[:, :1]
        for right_B1 in torch.split(before_BT, 1, dim=1):
            chosen_B1 = torch.where(torch.rand(right_B1.shape, device=right_B1.device) < own, drawn_B1, right_B1)
            steps.append(self.decode(chosen_B1, memory, state, dropout=dropout))
            state = steps[-1].state
            with torch.no_grad():
                p_BV = self.log_probabilities(steps[-1], memory, reach).squeeze(1).exp()
                # As `multinomial`, which would wait for a GPU to look whether these are probabilities.
                drawn_B1 = (p_BV / torch.empty_like(p_BV).exponential_()).argmax(-1, keepdim=True)
        read_BTD, weights_BTS = (
            torch.cat(parts, dim=1) for parts in ([s.read_BTD for s in steps], [s.weights_BTS for s in steps])
        )
        return Decoded(read_BTD, state, weights_BTS)
