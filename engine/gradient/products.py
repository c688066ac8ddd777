"""Matrix products joined with what is around them: a bias, or the softmax between the two of attention."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from .constants import Constants
from .kinds import kind, only_user


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:  # [..., K], [K, M], [M]
    """x @ weight + bias as one product of two matrices, whatever x's strides are."""
    rows = torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight)
    return rows.reshape(*x.shape[:-1], -1)


def attention(
    query: torch.Tensor,  # [..., T, D], scaled
    turned_key: torch.Tensor,  # [..., D, S], scaled
    value: torch.Tensor,  # [..., S, E]
    bias: torch.Tensor | None = None,  # [H, T, S], [T, S] or with leading ones
) -> torch.Tensor:  # [..., T, E]
    """softmax(query @ turned_key + bias) @ value, in torch's own function where the shapes allow it."""
    shapes = [tensor.shape[:-2] for tensor in (query, turned_key, value)]
    if query.dim() < 3 or shapes[0] != shapes[1] or shapes[0] != shapes[2]:  # broadcast
        scores = query @ turned_key
        return (scores if bias is None else scores + bias).softmax(-1) @ value
    heads = query.shape[-3]
    q, k, v = (part.reshape(-1, heads, *part.shape[-2:]) for part in (query, turned_key.transpose(-1, -2), value))
    mask = None if bias is None else bias.reshape(1, *_last_three(bias)).expand(1, heads, -1, -1)
    made = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    return made.reshape(*query.shape[:-1], -1)


def _last_three(bias: torch.Tensor) -> tuple[int, ...]:
    return (1,) * max(0, 3 - bias.dim()) + tuple(bias.shape[-3:])


# -- where they are ---


def join_bias(product: fx.Node, constants: Constants, ruled: Collection[fx.Node]) -> None:
    """MatMul by a stored matrix and the Add of a stored bias behind it."""
    weight, behind = constants.value(product.args[1]), only_user(product)
    if weight is None or weight.dim() != 2 or behind is None or behind in ruled or kind(behind) != "Add":
        return
    other = behind.args[1] if behind.args[0] is product else behind.args[0]
    bias = constants.value(other)
    if bias is not None and bias.shape == weight.shape[1:] and weight.is_floating_point():
        _put(behind, linear, (*product.args, other))
        product.graph.erase_node(product)


def join_attention(last: fx.Node, constants: Constants, ruled: Collection[fx.Node]) -> None:
    """MatMul, perhaps the Add of a stored bias, Softmax over the last axis, MatMul."""
    softmax = last.args[0]
    if not isinstance(softmax, fx.Node) or kind(softmax) != "Softmax" or softmax.kwargs.get("axis", -1) != -1:
        return
    scores: Any = softmax.args[0]
    bias, chain = None, [softmax]
    if isinstance(scores, fx.Node) and kind(scores) == "Add":
        chain.append(scores)
        scores, bias = _bias_last(scores, constants)
    if not isinstance(scores, fx.Node) or kind(scores) != "MatMul" or not _plain_bias(constants.value(bias)):
        return
    chain.append(scores)
    if any(only_user(node) is None or node in ruled for node in chain):
        return
    _put(last, attention, (*scores.args, last.args[1], *([] if bias is None else [bias])))
    for node in chain:
        node.graph.erase_node(node)


def _bias_last(add: fx.Node, constants: Constants) -> tuple[Any, Any]:
    first, second = add.args
    return (second, first) if constants.value(first) is not None else (first, second)


def _plain_bias(bias: torch.Tensor | None) -> bool:
    return bias is None or (bias.dim() >= 2 and bias.shape[:-3].numel() == 1 and bool(bias.isfinite().all()))


def _put(last: fx.Node, function: Callable[..., torch.Tensor], arguments: tuple[Any, ...]) -> None:
    """One node in place of several that end in `last`."""
    with last.graph.inserting_before(last):
        joined = last.graph.create_node("call_function", function, arguments, {}, last.name)
    last.replace_all_uses_with(joined)
    last.graph.erase_node(last)
