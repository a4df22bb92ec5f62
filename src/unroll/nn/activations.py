"""Activations of Elman and Jordan cells, and the recurrent start that suits each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unroll.nn.settings import OutputActivationName


def crelu(z: Tensor) -> Tensor:
    """[relu(z), relu(-z)], twice as wide as `z`. Shang et al. (2016)."""
    return torch.cat([torch.relu(z), torch.relu(-z)], dim=-1)


ACTIVATIONS: dict[OutputActivationName, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "relu6": F.relu6,
    "crelu": crelu,
    "elu": F.elu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "sigmoid": torch.sigmoid,
    "linear": lambda z: z,
}

# The derivative of each activation in terms of its result; that of crelu needs both halves of it.
SLOPES: dict[OutputActivationName, Callable[[Tensor], Tensor]] = {
    "tanh": lambda h: 1 - h * h,
    "relu": lambda h: (h > 0).to(h.dtype),
    "relu6": lambda h: ((h > 0) & (h < 6)).to(h.dtype),
    "elu": lambda h: h.clamp(max=0) + 1,
    "softplus": lambda h: -torch.expm1(-h),
    "softsign": lambda h: (1 - h.abs()).square(),
    "sigmoid": lambda h: h * (1 - h),
    "linear": torch.ones_like,
}


def before(activation: OutputActivationName, width: int) -> int:
    """Units that `activation` turns into `width` units."""
    return width // 2 if activation == "crelu" else width


@torch.no_grad()
def start_recurrence(w_hh: Tensor, activation: OutputActivationName) -> None:
    """First recurrent weights (units, width) that keep a state as long as the activation can.

    relu, relu6: the identity, so that a positive state stays (Le et al., 2015). crelu: [I, -I], the same for any
    state. sigmoid: orthogonal, times 4, since its slope at zero is 1/4. Others have slope 1 or grow to it: orthogonal.
    """
    units = w_hh.shape[0]
    if activation in ("relu", "relu6"):
        nn.init.eye_(w_hh)
    elif activation == "crelu" and w_hh.shape[1] == 2 * units:
        w_hh.copy_(torch.cat([torch.eye(units), -torch.eye(units)], dim=1))
    else:
        nn.init.orthogonal_(w_hh, gain=4.0 if activation == "sigmoid" else 1.0)
