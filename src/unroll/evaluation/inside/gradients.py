"""How far back the loss of one token reaches: its gradient with respect to earlier hidden states.

B spans, T time, O output of the top layer, D what the output layer reads.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unroll.evaluation.inside.lags import Lags
from unroll.evaluation.inside.reading import Row, SpanBatch, span_batches, spans_before
from unroll.evaluation.predictors import RecurrentLanguageModel
from unroll.kinds.language_model.network import LanguageModel

PLACES = 128  # whose loss is followed back
FARTHEST = 128  # lag


def gradients_by_lag(model: RecurrentLanguageModel, rows: Sequence[Row], lags: int) -> Lags:
    """‖∂ loss_t / ∂ h_(t-k)‖ for k = 0 ... `lags`, over places t spread evenly over `rows`.

    h is what the top layer hands on at a step (of an LSTM o tanh(c), not c). Before the first state that is followed
    the state is carried on from the start of the row. Fewer lags if no place has so many steps before it.
    """
    length = min(lags, FARTHEST) + 1
    norms = [
        by_lag(gradient_norms(model.network, batch), batch.lengths_B, length)
        for batch in span_batches(model, rows, spans_before(rows, PLACES, length))
    ]
    norms_NK = np.concatenate(norms)
    return Lags.of(norms_NK[:, ~np.isnan(norms_NK).all(axis=0)])


def gradient_norms(network: LanguageModel, batch: SpanBatch) -> Tensor:
    """Norms (B, T) of the gradient, with respect to the top layer's h at each step, of the loss at each span's end.

    What the characters of a spelled token cost is left out of its loss.
    """
    traces, read_BTD = network.trace(batch.inputs_BT, batch.state, batch.spelled)
    outputs = [after[0] for after in traces[-1].states[1:]]
    rows = torch.arange(len(batch.lengths_B), device=batch.lengths_B.device)
    last_B = batch.lengths_B - 1
    logits_BV = network.output(read_BTD[rows, last_B])
    # A sum over spans: none of them depends on the state of another.
    nats = F.cross_entropy(logits_BV, network.closed(batch.targets_BT[rows, last_B]), reduction="sum")
    return torch.stack([gradient_BO.norm(dim=-1) for gradient_BO in torch.autograd.grad(nats, outputs)], dim=1)


def by_lag(norms_BT: Tensor, lengths_B: Tensor, lags: int) -> NDArray[np.float64]:
    """Norms (B, K) at lags 0 ... K - 1 before each span's end, NaN where the span has begun."""
    norms, lengths = norms_BT.double().cpu().numpy(), lengths_B.cpu().numpy()
    found_BK = np.full((len(norms), lags), np.nan)
    for row, length, found in zip(norms, lengths, found_BK, strict=True):
        found[:length] = row[:length][::-1]
    return found_BK
