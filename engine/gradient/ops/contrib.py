"""onnxruntime's own operators on real numbers (com.microsoft), as its optimiser writes them: activations, fusions.

What they mean is said in onnxruntime's docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator
from .convolution import conv
from .linear import gemm

MICROSOFT = "com.microsoft"

_ACTIVATIONS: dict[str, Callable[..., torch.Tensor]] = {  # called with x and the node's parameters
    "Relu": F.relu,
    "Tanh": torch.tanh,
    "Sigmoid": torch.sigmoid,
    "LeakyRelu": F.leaky_relu,
    "Elu": F.elu,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Clip": torch.clamp,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: (alpha * x + beta).clamp(0, 1),
}


def activated(x: torch.Tensor, activation: str, parameters: Sequence[float | None]) -> torch.Tensor:
    if not activation:
        return x
    if activation not in _ACTIVATIONS:
        raise InputError(f"the fused activation {activation} is not known; known: {', '.join(sorted(_ACTIVATIONS))}")
    return _ACTIVATIONS[activation](x, *(entry for entry in parameters if entry is not None))


# -- activations ---


@operator("Gelu", domain=MICROSOFT)
def gelu(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x)


@operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.gelu(x + bias)


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(x: torch.Tensor, *, alpha: float = 1.702) -> torch.Tensor:
    return x * torch.sigmoid(alpha * x)


# -- products with what follows them ---


@operator("FusedConv", domain=MICROSOFT)
def fused_conv(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None = None,
    z: torch.Tensor | None = None,  # added before the activation
    *,
    activation: str = "",
    activation_params: Sequence[float] = (),
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    y = conv(x, w, b, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)
    return activated(y if z is None else y + z, activation, activation_params)


@operator("FusedGemm", domain=MICROSOFT)
def fused_gemm(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor | None = None,
    *,
    activation: str = "",
    activation_alpha: float | None = None,
    activation_beta: float | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> torch.Tensor:
    y = gemm(a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return activated(y, activation, (activation_alpha, activation_beta))


@operator("FusedMatMul", domain=MICROSOFT)
@operator("TransposeMatMul", domain=MICROSOFT)
def fused_matmul(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,  # the first axis comes last but one before all else
    transBatchB: int = 0,
) -> torch.Tensor:
    left, right = _matrices(a, transA, transBatchA), _matrices(b, transB, transBatchB)
    return alpha * (left @ right)


def _matrices(x: torch.Tensor, transposed: int, batch: int) -> torch.Tensor:
    x = x.movedim(0, -2) if batch else x
    return x.mT if transposed and x.dim() > 1 else x


# -- layer normalisation ---


@operator("SkipLayerNormalization", domain=MICROSOFT, several=True)
def skip_layer_normalization(
    x: torch.Tensor,  # [N, tokens, D]
    skip: torch.Tensor,
    gamma: torch.Tensor,  # [D]
    beta: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[torch.Tensor | None, ...]:
    total = x + skip if bias is None else x + skip + bias
    return F.layer_norm(total, gamma.shape, gamma, beta, epsilon), None, None, total


@operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT, several=True)
def skip_simplified_layer_normalization(
    x: torch.Tensor,
    skip: torch.Tensor,
    gamma: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[torch.Tensor | None, ...]:
    total = x + skip if bias is None else x + skip + bias
    return F.rms_norm(total, gamma.shape, gamma, epsilon), None, None, total


# -- attention ---


@operator("Attention", domain=MICROSOFT, several=True)
def attention(
    x: torch.Tensor,  # [N, tokens, D]
    weights: torch.Tensor,  # [D, Q + K + V]
    bias: torch.Tensor | None = None,  # [Q + K + V]
    mask: torch.Tensor | None = None,
    past: torch.Tensor | None = None,
    attention_bias: torch.Tensor | None = None,  # that broadcasts on [N, heads, tokens, tokens]
    past_length: torch.Tensor | None = None,
    *,
    num_heads: int,
    scale: float | None = None,
    qkv_hidden_sizes: Sequence[int] | None = None,
    unidirectional: int = 0,
) -> tuple[torch.Tensor, ...]:
    if mask is not None or past is not None:
        raise InputError("com.microsoft.Attention with a mask or a past: only that of images is known, without either")
    joined = x @ weights if bias is None else x @ weights + bias
    sizes = list(qkv_hidden_sizes or [joined.shape[-1] // 3] * 3)
    query, key, value = joined.split(sizes, -1)
    return (_attended(query, key, value, num_heads, scale, attention_bias, bool(unidirectional)),)


@operator("MultiHeadAttention", domain=MICROSOFT, several=True)
def multi_head_attention(
    query: torch.Tensor,  # [N, tokens, Q]
    key: torch.Tensor | None = None,  # [N, others, Q]
    value: torch.Tensor | None = None,  # [N, others, V]
    bias: torch.Tensor | None = None,  # [Q + Q + V]
    mask: torch.Tensor | None = None,
    attention_bias: torch.Tensor | None = None,
    *past: torch.Tensor | None,
    num_heads: int,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[torch.Tensor, ...]:
    if key is None or value is None or key.dim() != 3 or mask is not None or any(entry is not None for entry in past):
        raise InputError("com.microsoft.MultiHeadAttention: packed inputs, masks and pasts are not known")
    if bias is not None:
        parts = bias.split([query.shape[-1], key.shape[-1], value.shape[-1]])
        query, key, value = query + parts[0], key + parts[1], value + parts[2]
    return (_attended(query, key, value, num_heads, scale, attention_bias, bool(unidirectional)),)


def _attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    scale: float | None,
    bias: torch.Tensor | None,
    causal: bool,
) -> torch.Tensor:  # [N, tokens, V]
    query, key, value = (entry.unflatten(-1, (heads, -1)).transpose(1, 2) for entry in (query, key, value))
    mixed = F.scaled_dot_product_attention(query, key, value, bias, is_causal=causal, scale=scale or None)
    return mixed.transpose(1, 2).flatten(2)
