"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from . import operator
from .unsigned import in_int64

_LARGEST = 3.4028234663852886e38  # of float32: the bounds that stand for none
_LINEAR_FROM = 40.0  # log(1 + exp(x)) is x there, to float64's last digit


@operator("Relu")
def relu(x: torch.Tensor) -> torch.Tensor:
    return F.relu(x)


@operator("LeakyRelu")
def leaky_relu(x: torch.Tensor, *, alpha: float = 0.01) -> torch.Tensor:
    return F.leaky_relu(x, alpha)


@operator("PRelu", since=7)
@in_int64
def prelu(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """`slope` is broadcast to `x`; mostly it is one number, or one a channel."""
    a_channel = x.dim() > 1 and slope.dim() == x.dim() - 1 and slope.numel() == slope.shape[0] == x.shape[1]
    if x.is_floating_point() and (slope.numel() == 1 or a_channel):
        return F.prelu(x, slope.flatten())
    return x.clamp(min=0) + slope * x.clamp(max=0)


@operator("ThresholdedRelu")
def thresholded_relu(x: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    return F.threshold(x, alpha, 0.0)


@operator("Elu")
def elu(x: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    return F.elu(x, alpha)


@operator("Celu")
def celu(x: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    return F.celu(x, alpha)


@operator("Selu")
def selu(
    x: torch.Tensor, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875
) -> torch.Tensor:
    return gamma * F.elu(x, alpha)


@operator("Sigmoid")
def sigmoid(x: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(x)


@operator("HardSigmoid")
def hard_sigmoid(x: torch.Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> torch.Tensor:
    if beta == 0.5 and abs(alpha * 6 - 1) < 1e-6:
        return F.hardsigmoid(x)
    return F.hardtanh(alpha * x + beta, 0.0, 1.0)


@operator("HardSwish")
def hard_swish(x: torch.Tensor) -> torch.Tensor:
    return F.hardswish(x)


@operator("Swish")
def swish(x: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    return F.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


@operator("SwiGLU")
def swiglu(gate: torch.Tensor, value: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    return swish(gate, alpha=alpha) * value


@operator("Gelu")
def gelu(x: torch.Tensor, *, approximate: str = "none") -> torch.Tensor:
    return F.gelu(x, approximate=approximate)


@operator("Mish")
def mish(x: torch.Tensor) -> torch.Tensor:
    return F.mish(x)


@operator("Tanh")
def tanh(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x)


@operator("Softplus")
def softplus(x: torch.Tensor) -> torch.Tensor:
    return F.softplus(x, threshold=_LINEAR_FROM)


@operator("Softsign")
def softsign(x: torch.Tensor) -> torch.Tensor:
    return F.softsign(x)


@operator("Shrink")
@in_int64
def shrink(x: torch.Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> torch.Tensor:
    shrunk = torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, 0))
    return shrunk.to(x.dtype)


# -- bounds ---


@operator("Clip", since=11)
@in_int64
def clip(x: torch.Tensor, low: torch.Tensor | None = None, high: torch.Tensor | None = None) -> torch.Tensor:
    """Where the bounds cross, `high` holds."""
    bounds = [bound for bound in (low, high) if bound is not None]
    if any(bound.requires_grad or bound.numel() != 1 for bound in bounds):
        return torch.clamp(x, low, high)
    return _clip(x, *(None if bound is None else bound.item() for bound in (low, high)))


@operator("Clip")
def clip_by_attributes(x: torch.Tensor, *, min: float = -_LARGEST, max: float = _LARGEST) -> torch.Tensor:
    return _clip(x, min if min > -_LARGEST else None, max if max < _LARGEST else None)


def _clip(x: torch.Tensor, low: float | None, high: float | None) -> torch.Tensor:
    if low is None and high is None:
        return x
    if x.is_floating_point() and low == 0 and high is None:
        return F.relu(x)
    if x.is_floating_point() and low is not None and high is not None and low < high:
        return F.hardtanh(x, low, high)  # clamp, but its gradient is one kernel instead of four
    return torch.clamp(x, low, high)


# -- over an axis ---


@operator("Softmax", since=13)
def softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    return x.softmax(axis)


@operator("LogSoftmax", since=13)
def log_softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    return x.log_softmax(axis)


@operator("Hardmax", since=13)
def hardmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
    """1 at the first maximum."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1)


@operator("Softmax")
def softmax_flattened(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    return _flattened(softmax, x, axis)


@operator("LogSoftmax")
def log_softmax_flattened(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    return _flattened(log_softmax, x, axis)


@operator("Hardmax")
def hardmax_flattened(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    return _flattened(hardmax, x, axis)


def _flattened(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, axis: int) -> torch.Tensor:
    """Before opset 13 everything from `axis` on is one dimension."""
    return function(x.flatten(axis)).reshape(x.shape)
