"""One step of a language model as a graph of tensor operations, for programs that have no unroll: `torch.export`.

B rows side by side, V vocabulary. The graph takes token ids (B,) and the state's tensors (B, width), and gives
log-probabilities (B, V) of the next token and the state's tensors after the step.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unroll.errors import UserError
from unroll.kinds.language_model.network import LanguageModel

GRAPH = "step.pt2"


class Step(nn.Module):
    """log p(next token | tokens before) and the state after, from a token and the state before it."""

    def __init__(self, network: LanguageModel) -> None:
        super().__init__()
        self.network = network
        self.widths = [layer.cell.widths() for layer in network.layers]

    def start(self, rows: int) -> list[Tensor]:
        """The state before the first token, which is `</s>`: zeros."""
        return [torch.zeros(rows, width) for widths in self.widths for width in widths]

    def forward(self, tokens_B: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """`state` has the tensors of all layers one after the other, the lowest layer's first."""
        left = iter(state)
        layers = tuple(tuple(next(left) for _ in widths) for widths in self.widths)
        traces, read_B1D = self.network.trace(tokens_B.unsqueeze(1), layers)
        logp_BV = self.network.output.log_probabilities(read_B1D.squeeze(1))
        return logp_BV, [part for trace in traces for part in trace.states[-1]]


def write_graph(predictor: Any, path: Path) -> None:
    """Write the step of a recurrent language model to `path`, for any number of rows.

    Raises `UserError` for other models, and for those that spell words that they do not know.
    """
    network = getattr(predictor, "network", None)
    if not isinstance(network, LanguageModel) or network.spelling is not None:
        raise UserError("--graph: is for recurrent language models whose vocabulary is closed")
    step = Step(network.to("cpu").eval())
    rows = torch.export.Dim("rows", min=1)
    state = step.start(2)
    shapes = {"tokens_B": {0: rows}, "state": [{0: rows} for _ in state]}
    with torch.no_grad():
        graph = torch.export.export(step, (torch.zeros(2, dtype=torch.long), state), dynamic_shapes=shapes)
    torch.export.save(graph, path)
