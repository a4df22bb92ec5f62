"""What units and gates do while the network reads.

N tokens read, B spans, T time, H units of a layer.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unroll.evaluation.inside.reading import Row, inputs_of, pieces, span_batches
from unroll.evaluation.predictors import RecurrentLanguageModel
from unroll.kinds.language_model.network import Trace
from unroll.nn.cells import GRU, LSTM, Cell

PIECE = 128  # steps of a span
LEFT, RIGHT = 0.1, 0.9  # a gate below or above is saturated


@dataclass(frozen=True)
class Saturation:
    """A gate of one layer: the share of tokens at which each unit's is nearly shut (H,), and nearly open (H,)."""

    gate: str
    layer: int
    """Counted from 1."""
    left_H: NDArray[np.float64]
    right_H: NDArray[np.float64]


@dataclass(frozen=True)
class Activity:
    """What was read, and what the network did after each token of it."""

    tokens_N: Row
    activations_NH: NDArray[np.float32]
    """Of the top layer: tanh(c) of an LSTM, h of other cells."""
    saturations: list[Saturation]


def activity(model: RecurrentLanguageModel, rows: Sequence[Row]) -> Activity:
    """Read `rows`, and watch."""
    layers = model.network.layers
    activations: list[NDArray[np.float32]] = []
    counts: defaultdict[tuple[str, int], list[NDArray[np.int64]]] = defaultdict(list)
    with torch.no_grad():
        for batch in span_batches(model, rows, pieces(rows, PIECE)):
            traces, _ = model.network.trace(batch.inputs_BT, batch.state, batch.spelled)
            steps_T = torch.arange(batch.inputs_BT.shape[1], device=model.device)
            real_BT = steps_T < batch.lengths_B.unsqueeze(1)
            activations.append(activation(layers[-1].cell, traces[-1])[real_BT].float().cpu().numpy())
            for number, (layer, trace) in enumerate(zip(layers, traces, strict=True), start=1):
                for gate, value_BTH in gates(layer.cell, trace).items():
                    counts[gate, number].append(saturated(value_BTH[real_BT].cpu().numpy()))
    tokens_N = np.concatenate([inputs_of(row) for row in rows])
    saturations = [Saturation(*key, *np.sum(parts, axis=0) / len(tokens_N)) for key, parts in counts.items()]
    return Activity(tokens_N, np.concatenate(activations), saturations)


def saturated(gate_NH: NDArray[np.floating]) -> NDArray[np.int64]:
    """At how many tokens each unit's gate is nearly shut, and nearly open (2, H)."""
    return np.stack([(gate_NH < LEFT).sum(axis=0), (gate_NH > RIGHT).sum(axis=0)])


def activation(cell: Cell, trace: Trace) -> Tensor:
    """(B, T, H) after each step: tanh(c) of an LSTM, as in Karpathy et al. (2015), h of other cells."""
    if isinstance(cell, LSTM):
        return torch.tanh(cell.norm_cell(torch.stack([c_BH for _, c_BH in trace.states[1:]], dim=1)))
    return torch.stack([after[0] for after in trace.states[1:]], dim=1)


def gates(cell: Cell, trace: Trace) -> dict[str, Tensor]:
    """The gates (B, T, H) at each step, by name; none for cells that have none."""
    # What a gate does in a step depends on nothing but the state before: all steps may be rows of one batch.
    before = tuple(torch.stack(part, dim=1).flatten(0, 1) for part in zip(*trace.states[:-1], strict=True))
    given = cell.inputs(trace.x_BTI).flatten(0, 1), before, cell.weights()[1]
    if isinstance(cell, LSTM):
        i, f, _, o = cell.gates(*given)
        found = {"forget": f, "input": i, "output": o}
    elif isinstance(cell, GRU):
        r, z, _ = cell.gates(*given)
        found = {"reset": r, "update": z}
    else:
        found = {}
    return {name: gate.view(*trace.x_BTI.shape[:2], -1) for name, gate in found.items()}
