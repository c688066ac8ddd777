"""Attention and its relatives."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator


@operator("Attention", since=23, several=True)
def attention(
    q: torch.Tensor,  # [N, heads, L, E] or [N, L, heads * E]
    k: torch.Tensor,  # [N, kv_heads, S, E] or [N, S, kv_heads * E]
    v: torch.Tensor,  # [N, kv_heads, S, D] or [N, S, kv_heads * D]
    attn_mask: torch.Tensor | None = None,  # to [N, heads, L, S]; bool: who takes part, float: added
    past_key: torch.Tensor | None = None,
    past_value: torch.Tensor | None = None,
    nonpad_kv_seqlen: torch.Tensor | None = None,  # [N]
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: torch.dtype | None = None,
    n_outputs: int = 1,
) -> tuple[torch.Tensor, ...]:  # like q; all keys; all values; [N, heads, L, S] at the stage that the mode names
    """Scaled dot-product attention (arXiv:1706.03762, eq. 1). A query that no key may answer gives zeros."""
    flat = q.dim() == 3
    if flat:
        q, k, v = _split(q, q_num_heads), _split(k, kv_num_heads), _split(v, kv_num_heads)
    past = 0 if past_key is None else past_key.shape[2]
    if past_key is not None and past_value is not None:
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    present = k, v
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scale = q.shape[3] ** -0.5 if scale is None else scale
    right_window_size = 0 if is_causal else right_window_size
    bias = _bias(q, k, attn_mask, past, nonpad_kv_seqlen, left_window_size, right_window_size)
    plain = bias is None and not softcap and n_outputs < 4
    if plain and softmax_precision in (None, q.dtype) and q.dtype in (torch.float32, torch.float64):
        y = F.scaled_dot_product_attention(q, k, v, scale=scale)
        return (_joined(y) if flat else y, *present)
    y, stages = _weighed(q, k, v, bias, scale, softcap, softmax_precision)
    return (_joined(y) if flat else y, *present, stages[qk_matmul_output_mode])


def _split(x: torch.Tensor, heads: int | None) -> torch.Tensor:  # [N, L, heads * E] -> [N, heads, L, E]
    if heads is None:
        raise InputError("Attention of tensors with 3 axes: expected q_num_heads and kv_num_heads, found none")
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _joined(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


def _bias(
    q: torch.Tensor,
    k: torch.Tensor,
    mask: torch.Tensor | None,
    past: int,
    filled: torch.Tensor | None,  # [N], keys that are no padding
    left: int,
    right: int,
) -> torch.Tensor | None:  # to [N, heads, L, S], added to the logits
    """All that keeps queries from keys; None where nothing does."""
    length, total = q.shape[2], k.shape[2]
    keys = torch.arange(total, device=q.device)
    allowed = [] if filled is None else [keys < filled.reshape(-1, 1, 1, 1)]
    offset = filled.reshape(-1, 1, 1, 1) - length if filled is not None else past
    places = torch.arange(length, device=q.device)[:, None] + offset  # of the queries among the keys
    if left >= 0:
        allowed.append(keys >= places - left)
    if right >= 0:
        allowed.append(keys <= places + right)
    added = None
    if mask is not None:
        is_bool = mask.dtype == torch.bool
        mask = F.pad(mask, (0, total - mask.shape[-1]), value=False if is_bool else -torch.inf)
        if is_bool:
            allowed.append(mask)
        else:
            added = mask
    if not allowed:
        return added
    everywhere = allowed[0]
    for part in allowed[1:]:
        everywhere = everywhere & part
    base = q.new_zeros(()) if added is None else added
    return torch.where(everywhere, base, -torch.inf)


def _weighed(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: torch.Tensor | None,
    scale: float,
    softcap: float,
    precision: torch.dtype | None,
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """The output, and the logits: raw, capped, biased, as probabilities."""
    root = scale**0.5
    raw = (q * root) @ (k * root).transpose(2, 3)
    capped = softcap * torch.tanh(raw / softcap) if softcap else raw
    biased = capped if bias is None else capped + bias
    if bias is None:
        weights = biased.to(precision or biased.dtype).softmax(-1).to(q.dtype)
    else:
        alone = (bias == -torch.inf).all(-1, keepdim=True)  # filled in first too: a softmax of nothing has no gradient
        weights = biased.masked_fill(alone, 0.0).to(precision or biased.dtype).softmax(-1).to(q.dtype)
        weights = weights.masked_fill(alone, 0.0)
    return weights @ v, (raw, capped, biased, weights)


@operator("RotaryEmbedding", since=23)
def rotary_embedding(
    x: torch.Tensor,  # [N, heads, L, E] or [N, L, heads * E]
    cos: torch.Tensor,  # [positions, E / 2], or [N, L, E / 2] without position_ids
    sin: torch.Tensor,
    position_ids: torch.Tensor | None = None,  # [N, L]
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> torch.Tensor:
    """Pairs of features turned by an angle that grows with the position (arXiv:2104.09864, eq. 34)."""
    if x.dim() == 3:
        y = rotary_embedding(
            x.unflatten(2, (num_heads, -1)).transpose(1, 2),
            cos,
            sin,
            position_ids,
            interleaved=interleaved,
            rotary_embedding_dim=rotary_embedding_dim,
        )
        return _joined(y)
    if position_ids is not None:
        cos, sin = cos[position_ids], sin[position_ids]
    cos, sin = cos[:, None], sin[:, None]
    turned = rotary_embedding_dim or x.shape[3]
    pairs, rest = x[..., :turned], x[..., turned:]
    real, imaginary = (pairs[..., 0::2], pairs[..., 1::2]) if interleaved else pairs.chunk(2, -1)
    both = cos * real - sin * imaginary, sin * real + cos * imaginary
    y = torch.stack(both, -1).flatten(-2) if interleaved else torch.cat(both, -1)
    return torch.cat((y, rest), -1)


@operator("TensorScatter", since=24)
def tensor_scatter(
    past: torch.Tensor,  # [N, …, max, …]
    update: torch.Tensor,  # [N, …, L, …]
    write_indices: torch.Tensor | None = None,  # [N]
    *,
    axis: int = -2,
    mode: str = "linear",
) -> torch.Tensor:
    """The update written over the cache, from each sample's own place on."""
    axis = axis % past.dim()
    places = torch.arange(update.shape[axis], device=past.device)[None]
    if write_indices is not None:
        places = places + write_indices[:, None]
    if mode == "circular":
        places = places % past.shape[axis]
    shape = [1] * past.dim()
    shape[0], shape[axis] = places.shape
    return past.scatter(axis, places.reshape(shape).expand(update.shape), update)


@operator("LinearAttention", since=27, several=True)
def linear_attention(
    q: torch.Tensor,  # [N, T, heads * K]
    k: torch.Tensor,  # [N, T, kv_heads * K]
    v: torch.Tensor,  # [N, T, kv_heads * V]
    past: torch.Tensor | None = None,  # [N, kv_heads, K, V]
    decay: torch.Tensor | None = None,  # [N, T, kv_heads * K] or [N, T, kv_heads]
    beta: torch.Tensor | None = None,  # [N, T, kv_heads] or [N, T, 1]
    *,
    kv_num_heads: int,
    q_num_heads: int,
    chunk_size: int = 64,
    scale: float = 0.0,
    update_rule: str = "gated_delta",
) -> tuple[torch.Tensor, torch.Tensor]:  # [N, T, heads * V]; [N, kv_heads, K, V]
    """A state updated token by token (arXiv:2412.06464, eq. 10); rules: linear, gated, delta, gated_delta."""
    wide = torch.promote_types(q.dtype, torch.float32)
    queries = q.to(wide).unflatten(2, (q_num_heads, -1))
    keys, values = (each.to(wide).unflatten(2, (kv_num_heads, -1)) for each in (k, v))
    scale = scale or queries.shape[3] ** -0.5
    state = queries.new_zeros(q.shape[0], kv_num_heads, keys.shape[3], values.shape[3])
    state = state if past is None else past.to(wide)
    forget = (
        None if decay is None or "gated" not in update_rule else decay.to(wide).unflatten(2, (kv_num_heads, -1)).exp()
    )
    outputs = []
    for step in range(q.shape[1]):
        key, value = keys[:, step, :, :, None], values[:, step, :, None, :]
        if forget is not None:
            state = state * forget[:, step, :, :, None]
        if "delta" in update_rule and beta is not None:
            value = beta[:, step, :, None, None] * (value - key.transpose(2, 3) @ state)
        state = state + key * value
        shared = state.repeat_interleave(q_num_heads // kv_num_heads, 1)
        outputs.append(scale * (queries[:, step, :, None, :] @ shared).flatten(1))
    return torch.stack(outputs, 1).to(q.dtype), state.to(q.dtype)
