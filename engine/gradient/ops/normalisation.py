"""Normalisation layers, and Dropout, which at inference is nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator


@operator("BatchNormalization", since=9, several=True)
def batch_normalization(
    x: torch.Tensor,  # [N, C, …]
    scale: torch.Tensor,  # [C], as the other three
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> tuple[torch.Tensor, ...]:
    """The further outputs are the statistics, which inference leaves as they are."""
    if training_mode:
        raise InputError("BatchNormalization in training mode: export the network for inference")
    if mean.requires_grad or variance.requires_grad:  # torch's own takes the statistics for constants
        shape = (-1, *[1] * (x.dim() - 2))
        scale, bias = scale.reshape(shape), bias.reshape(shape)
        y = _normalised(x, scale, bias, mean.reshape(shape), variance.reshape(shape), epsilon=epsilon)
        return y, mean, variance, mean, variance
    wide = mean.dtype
    y = F.batch_norm(x.to(wide), mean, variance, scale.to(wide), bias.to(wide), False, 0.0, epsilon)
    return y.to(x.dtype), mean, variance, mean, variance


@operator("BatchNormalization", several=True)
def batch_normalization_7(
    x: torch.Tensor,
    scale: torch.Tensor,  # [C]; or [C, …] if not `spatial`: each place has its own
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    spatial: int = 1,
) -> tuple[torch.Tensor, ...]:
    if spatial:
        return batch_normalization(x, scale, bias, mean, variance, epsilon=epsilon)
    return _normalised(x, scale, bias, mean, variance, epsilon=epsilon), mean, variance, mean, variance


def _normalised(
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    *,
    epsilon: float,
) -> torch.Tensor:
    return (x - mean) * (scale * (variance + epsilon).rsqrt()) + bias


@operator("InstanceNormalization")
def instance_normalization(
    x: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor, *, epsilon: float = 1e-5
) -> torch.Tensor:
    return torch.group_norm(x, x.shape[1], scale, bias, epsilon)


@operator("GroupNormalization", since=18)
def group_normalization_18(
    x: torch.Tensor,
    scale: torch.Tensor,  # [num_groups]
    bias: torch.Tensor,  # [num_groups]
    *,
    num_groups: int,
    epsilon: float = 1e-5,
) -> torch.Tensor:
    channels = x.shape[1] // num_groups
    scale, bias = scale.repeat_interleave(channels), bias.repeat_interleave(channels)
    return torch.group_norm(x, num_groups, scale, bias, epsilon)


@operator("GroupNormalization", since=21)
def group_normalization(
    x: torch.Tensor,
    scale: torch.Tensor,  # [C]
    bias: torch.Tensor,  # [C]
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: torch.dtype = torch.float32,
) -> torch.Tensor:
    normal = torch.group_norm(_stashed(x, stash_type), num_groups, None, None, epsilon).to(x.dtype)
    shape = (-1, *[1] * (x.dim() - 2))
    return normal * scale.reshape(shape) + bias.reshape(shape)


def _stashed(x: torch.Tensor, stash_type: torch.dtype) -> torch.Tensor:
    """In the precision that statistics are taken in, which is never below the tensor's own."""
    return x.to(torch.promote_types(x.dtype, stash_type))


@operator("LayerNormalization", since=17, several=True)
def layer_normalization(
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: torch.dtype = torch.float32,
    n_outputs: int = 1,
) -> tuple[torch.Tensor, ...]:  # like x; mean and 1 / deviation, one element an axis that is normalised
    axis = axis % x.dim()
    wide = _stashed(x, stash_type)
    plain = scale.shape == x.shape[axis:] and (bias is None or bias.shape == scale.shape)  # else they broadcast
    if plain and n_outputs == 1 and wide.dtype == x.dtype:
        return (F.layer_norm(x, scale.shape, scale, bias, epsilon),)
    axes = tuple(range(axis, x.dim()))
    mean = wide.mean(axes, keepdim=True)
    centred = wide - mean
    inverse = ((centred * centred).mean(axes, keepdim=True) + epsilon).rsqrt()
    y = (centred * inverse).to(x.dtype) * scale
    return y if bias is None else y + bias, mean, inverse


@operator("RMSNormalization", since=23)
def rms_normalization(
    x: torch.Tensor,
    scale: torch.Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: torch.dtype = torch.float32,
) -> torch.Tensor:
    """arXiv:1910.07467, eq. 4."""
    wide = _stashed(x, stash_type)
    axes = tuple(range(axis % x.dim(), x.dim()))
    return (wide * ((wide * wide).mean(axes, keepdim=True) + epsilon).rsqrt()).to(x.dtype) * scale


@operator("LRN")
def local_response_normalization(
    x: torch.Tensor,  # [N, C, …]
    *,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    bias: float = 1.0,
) -> torch.Tensor:
    """Each channel divided by the power of its neighbours in the same place."""
    channels = torch.arange(x.shape[1], device=x.device)
    distance = channels - channels[:, None]
    neighbours = (distance >= -((size - 1) // 2)) & (distance <= size // 2)
    means = ((neighbours.to(x.dtype) / size) @ (x * x).flatten(2)).reshape(x.shape)  # faster than a pool of channels
    scale = bias + alpha * means
    if beta == 0.75:
        root = scale.rsqrt()
        return x * (root * root.sqrt())
    return x / scale**beta


@operator("LpNormalization")
def lp_normalization(x: torch.Tensor, *, axis: int = -1, p: int = 2) -> torch.Tensor:
    """What is zero throughout stays zero."""
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return x / torch.where(norm == 0, 1.0, norm)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(x: torch.Tensor, *, axes: Sequence[int] = (0, 2, 3)) -> torch.Tensor:
    axes = tuple(axes)
    centred = x - x.mean(axes, keepdim=True)
    # The root of the mean square as a norm, as a norm's gradient is zero where there is no variance.
    norm = torch.linalg.vector_norm(centred, 2, axes, keepdim=True)
    return centred / (norm * (norm.numel() / x.numel()) ** 0.5 + 1e-9)


@operator("Dropout", since=12, several=True)
def dropout(
    x: torch.Tensor,
    ratio: torch.Tensor | None = None,
    training_mode: torch.Tensor | None = None,
    *,
    seed: int = 0,
    n_outputs: int = 1,
) -> tuple[torch.Tensor, ...]:  # x; all true
    dropped = ratio is None or bool(ratio)
    if training_mode is not None and dropped and bool(training_mode):
        raise InputError("Dropout in training mode: export the network for inference")
    return (x,) if n_outputs == 1 else (x, torch.ones_like(x, dtype=torch.bool))


@operator("Dropout", since=10, several=True)
def dropout_10(x: torch.Tensor, *, ratio: float = 0.5, n_outputs: int = 1) -> tuple[torch.Tensor, ...]:
    return dropout(x, n_outputs=n_outputs)


@operator("Dropout", several=True)
def dropout_7(x: torch.Tensor, *, ratio: float = 0.5, n_outputs: int = 1) -> tuple[torch.Tensor, ...]:
    """Its mask has the type of x."""
    return (x,) if n_outputs == 1 else (x, torch.ones_like(x))
