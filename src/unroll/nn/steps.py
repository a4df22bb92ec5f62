"""All steps of a cell as one differentiable operation, its gradient written by hand.

What `Cell.tick` says, faster on a CPU: autograd keeps and walks a dozen small tensors a step; here each backward factor
that does not depend on the gradient from later steps is computed for all steps at once, and so are the gradients
of the weights. Time comes first, so that a step is one piece of memory.

B batch, T time, H hidden size, O output size, G gates (3H). `real_TB1` is false where a row has ended; its state
stays there. Each function returns the states after every step, in the type of the weights: under autocast products
alone are narrower.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from unroll.nn.activations import ACTIVATIONS, SLOPES
from unroll.nn.precision import add_product, in_stated_types, plus_product, product, product_type
from unroll.nn.settings import OutputActivationName

aten = torch.ops.aten


def elman_steps(
    a_TBH: Tensor, h_BH: Tensor, u_HH: Tensor, activation: OutputActivationName, real_TB1: Tensor | None
) -> Tensor:
    """h' = σ(a + U h): states (T, B, H)."""
    return _Elman.apply(a_TBH, h_BH, u_HH, activation, real_TB1)  # type: ignore[no-any-return, no-untyped-call]


def jordan_steps(
    a_TBH: Tensor,
    y_BO: Tensor,
    u_HO: Tensor,
    v_OH: Tensor,
    d_O: Tensor,
    activations: tuple[OutputActivationName, OutputActivationName],
    real_TB1: Tensor | None,
) -> Tensor:
    """h' = σ_h(a + U y), y' = σ_y(V h' + d): outputs (T, B, O)."""
    return _Jordan.apply(a_TBH, y_BO, u_HO, v_OH, d_O, activations, real_TB1)  # type: ignore[no-any-return, no-untyped-call]


def gru_steps(a_TBG: Tensor, h_BH: Tensor, u_GH: Tensor, b_G: Tensor, c_G: Tensor, real_TB1: Tensor | None) -> Tensor:
    """r, z = σ(a + b + U h + c); n = tanh(a + b + r (U h + c)); h' = (1 - z) n + z h: states (T, B, H)."""
    return _GRU.apply(a_TBG, h_BH, u_GH, b_G, c_G, real_TB1)  # type: ignore[no-any-return, no-untyped-call]


def _frozen(new: Tensor, old: Tensor, real_TB1: Tensor | None, t: int) -> Tensor:
    return new if real_TB1 is None else torch.where(real_TB1[t], new, old)


def _back(grad_TBH: Tensor, real_TB1: Tensor | None, through: Callable[[Tensor, Tensor, int], Tensor]) -> Tensor:
    """Walk the gradient of the states (T, B, H) back to that of the one before them, which is returned.

    `through` takes the gradient that one step's result sends back and the gradient of the state before from elsewhere;
    it returns the whole gradient of that state.
    """
    grads = _from_elsewhere(grad_TBH)
    d_BH = grads[-1]
    for t in range(len(grads) - 2, -1, -1):
        kept_BH = grads[t] if real_TB1 is None else grads[t] + d_BH.masked_fill(real_TB1[t], 0)
        d_BH = through(d_BH, kept_BH, t)
    return d_BH


def _from_elsewhere(grad_TBH: Tensor) -> tuple[Tensor, ...]:
    """The gradient of each state but for what later ones send back, and of the first one, which nothing else has."""
    return torch.zeros_like(grad_TBH[0]), *grad_TBH.unbind(0)


def _masked(slopes_TBH: Tensor, real_TB1: Tensor | None) -> Tensor:
    return slopes_TBH if real_TB1 is None else slopes_TBH * real_TB1


class _Elman(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a_TBH: Tensor, h_BH: Tensor, u_HH: Tensor, activation: OutputActivationName, real_TB1: Tensor | None
    ) -> Tensor:
        u_HH = u_HH.to(product_type(a_TBH))
        act, u_t = ACTIVATIONS[activation], u_HH.t().contiguous()
        states = [h_BH.to(a_TBH.dtype)]
        for t, a_BH in enumerate(a_TBH.unbind(0)):
            states.append(_frozen(act(plus_product(a_BH, states[-1], u_t)), states[-1], real_TB1, t))
        h_TBH = torch.stack(states)
        ctx.save_for_backward(h_TBH, u_HH, real_TB1)
        ctx.activation = activation
        return h_TBH[1:]

    @staticmethod
    @once_differentiable
    @in_stated_types
    def backward(ctx: Any, grad_TBH: Tensor) -> tuple[Tensor | None, ...]:
        h_TBH, u_HH, real_TB1 = ctx.saved_tensors
        slopes_TBH = _masked(SLOPES[ctx.activation](h_TBH[1:]), real_TB1)
        d_TBH = torch.empty_like(slopes_TBH)

        def through(d_BH: Tensor, kept_BH: Tensor, t: int) -> Tensor:
            return plus_product(kept_BH, torch.mul(d_BH, slopes_TBH[t], out=d_TBH[t]), u_HH)

        first_BH = _back(grad_TBH, real_TB1, through)
        grad_u = product(d_TBH.flatten(0, 1).t(), h_TBH[:-1].flatten(0, 1), u_HH.dtype)
        return d_TBH, first_BH, grad_u, None, None


class _Jordan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        a_TBH: Tensor,
        y_BO: Tensor,
        u_HO: Tensor,
        v_OH: Tensor,
        d_O: Tensor,
        activations: tuple[OutputActivationName, OutputActivationName],
        real_TB1: Tensor | None,
    ) -> Tensor:
        act, output_act = (ACTIVATIONS[name] for name in activations)
        u_HO, v_OH = (weights.to(product_type(a_TBH)) for weights in (u_HO, v_OH))
        u_t, v_t = u_HO.t().contiguous(), v_OH.t().contiguous()
        hidden, outputs = [], [y_BO.to(a_TBH.dtype)]
        for t, a_BH in enumerate(a_TBH.unbind(0)):
            hidden.append(act(plus_product(a_BH, outputs[-1], u_t)))
            outputs.append(_frozen(output_act(plus_product(d_O, hidden[-1], v_t)), outputs[-1], real_TB1, t))
        h_TBH, y_TBO = torch.stack(hidden), torch.stack(outputs)
        ctx.save_for_backward(h_TBH, y_TBO, u_HO, v_OH, real_TB1)
        ctx.activations = activations
        return y_TBO[1:]

    @staticmethod
    @once_differentiable
    @in_stated_types
    def backward(ctx: Any, grad_TBO: Tensor) -> tuple[Tensor | None, ...]:
        h_TBH, y_TBO, u_HO, v_OH, real_TB1 = ctx.saved_tensors
        activation, output_activation = ctx.activations
        slopes_TBH = SLOPES[activation](h_TBH)
        output_slopes_TBO = _masked(SLOPES[output_activation](y_TBO[1:]), real_TB1)
        d_TBH, e_TBO = torch.empty_like(slopes_TBH), torch.empty_like(output_slopes_TBO)

        def through(d_BO: Tensor, kept_BO: Tensor, t: int) -> Tensor:
            d_BH = product(torch.mul(d_BO, output_slopes_TBO[t], out=e_TBO[t]), v_OH, v_OH.dtype)
            return plus_product(kept_BO, torch.mul(d_BH, slopes_TBH[t], out=d_TBH[t]), u_HO)

        first_BO = _back(grad_TBO, real_TB1, through)
        d_NH, e_NO = d_TBH.flatten(0, 1), e_TBO.flatten(0, 1)
        grad_u = product(d_NH.t(), y_TBO[:-1].flatten(0, 1), u_HO.dtype)
        grad_v = product(e_NO.t(), h_TBH.flatten(0, 1), v_OH.dtype)
        return d_TBH, first_BO, grad_u, grad_v, e_NO.sum(0), None, None


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a_TBG: Tensor, h_BH: Tensor, u_GH: Tensor, b_G: Tensor, c_G: Tensor, real_TB1: Tensor | None
    ) -> Tensor:
        T, B, H = a_TBG.shape[0], *h_BH.shape
        u_GH = u_GH.to(product_type(u_GH))
        u_rz, u_n = u_GH[: 2 * H].t().contiguous(), u_GH[2 * H :].t().contiguous()
        rz_TBG, a_TBH = a_TBG[..., : 2 * H] + (b_G + c_G)[: 2 * H], a_TBG[..., 2 * H :] + b_G[2 * H :]
        h_TBH = a_TBH.new_empty(T + 1, B, H)
        n_TBH, un_TBH = a_TBH.new_empty(2, T, B, H)
        h_TBH[0], un_TBH[:] = h_BH, c_G[2 * H :]
        states, un, n = h_TBH.unbind(0), un_TBH.unbind(0), n_TBH.unbind(0)
        for t, (a_BH, rz_BG) in enumerate(zip(a_TBH.unbind(0), rz_TBG.unbind(0), strict=True)):
            r, z = add_product(rz_BG, states[t], u_rz).sigmoid_().chunk(2, dim=1)
            if real_TB1 is not None:
                z.masked_fill_(~real_TB1[t], 1)  # then the state stays to the bit, and no gradient comes from here
            add_product(un[t], states[t], u_n)
            torch.addcmul(a_BH, r, un[t], out=n[t]).tanh_()
            torch.lerp(n[t], states[t], z, out=states[t + 1])
        ctx.save_for_backward(h_TBH, rz_TBG, un_TBH, n_TBH, u_GH)
        return h_TBH[1:]

    @staticmethod
    @once_differentiable
    @in_stated_types
    def backward(ctx: Any, grad_TBH: Tensor) -> tuple[Tensor | None, ...]:
        h_TBH, rz_TBG, un_TBH, n_TBH, u_GH = ctx.saved_tensors
        T, B, H = n_TBH.shape
        f_TBG, fn_TBH = _gru_factors(h_TBH[:-1], rz_TBG, un_TBH, n_TBH)
        d_TBH = torch.empty_like(h_TBH)
        d, zs, factors = d_TBH.unbind(0), rz_TBG[..., H:].unbind(0), f_TBG.view(T, B, 3, H).unbind(0)
        grads = _from_elsewhere(grad_TBH)
        d[T].copy_(grads[T])
        for t in range(T - 1, -1, -1):
            gates_B3H = factors[t].mul_(d[t + 1].unsqueeze(1))
            add_product(torch.addcmul(grads[t], d[t + 1], zs[t], out=d[t]), gates_B3H.view(B, 3 * H), u_GH)
        f_NG = f_TBG.flatten(0, 1)
        grad_u, grad_c = product(f_NG.t(), h_TBH[:-1].flatten(0, 1), u_GH.dtype), f_NG.sum(0)
        grad_n = torch.mul(d_TBH[1:], fn_TBH, out=f_TBG[..., 2 * H :]).sum((0, 1))
        return f_TBG, d_TBH[0], grad_u, torch.cat([grad_c[: 2 * H], grad_n]), grad_c, None


def _gru_factors(h_TBH: Tensor, rz_TBG: Tensor, un_TBH: Tensor, n_TBH: Tensor) -> tuple[Tensor, Tensor]:
    """What the gradient of h' is multiplied by to become that of the inputs of r, z and of U h + c in n; of that of n.

    `h_TBH` are the states before each step.
    """
    r, z = rz_TBG.chunk(2, dim=2)
    f_TBG = n_TBH.new_empty(*n_TBH.shape[:2], 3 * n_TBH.shape[2])
    fr, fz, fu = f_TBG.chunk(3, dim=2)
    fn_TBH = aten.tanh_backward(1 - z, n_TBH)
    torch.mul(fn_TBH, r, out=fu)
    aten.sigmoid_backward.grad_input(fn_TBH * un_TBH, r, grad_input=fr)
    aten.sigmoid_backward.grad_input(h_TBH - n_TBH, z, grad_input=fz)
    return f_TBG, fn_TBH
