"""Attention: with weights and heads of its own, or plain."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from ..layer_writer import LayerWriter

_FAR = -1e9  # score of what is not attended to


def multi_head_attention(layer: LayerWriter) -> None:
    """softmax(q k / sqrt(size)) v in several heads, each with its own projections (Vaswani et al. 2017)."""
    query, value, key = _query_value_key(layer)
    if any(len(layer.tensors.shape(name)) != 3 for name in (query, value, key)):
        raise layer.error("inputs of more than three axes are not supported")
    if layer.option("use_gate") or layer.option("sliding_window"):
        raise layer.error("use_gate and sliding_window are not supported")
    layer.first = False
    kernel = layer.array("query/kernel")
    heads, per_key = kernel.shape[1], layer.array("key/kernel").shape[1]
    if per_key < 1 or heads % per_key:
        raise layer.error(f"{heads} heads cannot share {per_key} keys")
    q = _projected(layer, "query", query, 1, [0, 2, 1, 3])
    k = _projected(layer, "key", key, heads // per_key, [0, 2, 3, 1])
    v = _projected(layer, "value", value, heads // per_key, [0, 2, 1, 3])
    scale = layer.constant("scale", 1 / math.sqrt(kernel.shape[2]))
    scores = layer.add("scores", "MatMul", [layer.add("query_scaled", "Mul", [q, scale]), k])
    scored = bool(layer.kwargs.pop("return_attention_scores", False))
    # Where no kernel of the backend does it all at once, Keras 3 gives a query that attends to nothing no share.
    zeros = layer.scope.version >= 3 and (scored or bool(layer.option("dropout", 0)))
    shares = _shares(layer, scores, _masks(layer, query, value, key), [1], zeros=zeros)
    turned = layer.add("heads_last", "Transpose", [layer.add("mixed", "MatMul", [shares, v])], perm=[0, 2, 1, 3])
    _output(layer, turned, heads)
    if scored:
        layer.emit("Identity", [shares])
    if layer.type == "MultiHeadAttention" and layer.scope.version >= 3:
        _take_masks(layer, query, value, key)


def _take_masks(layer: LayerWriter, query: str, *others: str) -> None:
    """Keras 3 takes the masks off what it reads here, and puts that of the query on the result."""
    masks = layer.scope.masks
    if query in masks:
        masks[layer.results[0]] = masks[query]
    for name in (query, *others):
        masks.pop(name, None)


def _output(layer: LayerWriter, x: str, heads: int) -> None:
    """The layer's result from x [N, T, heads, size]."""
    kernel = layer.array("output/kernel")
    if kernel.ndim != 3 or kernel.shape[0] != heads:
        raise layer.error(f"expected an output kernel [heads, size, numbers], found {list(kernel.shape)}")
    joined = layer.add("joined", "Reshape", [x, layer.ints("joined_shape", [0, 0, heads * kernel.shape[1]])])
    weight = layer.weight("output/kernel", lambda: kernel.reshape(-1, kernel.shape[2]))
    if not layer.has("output/bias"):
        layer.emit("MatMul", [joined, weight])
        return
    bias = layer.weight("output/bias", lambda: layer.array("output/bias"))
    layer.emit("Add", [layer.add("product", "MatMul", [joined, weight]), bias])


def _query_value_key(layer: LayerWriter) -> tuple[str, str, str]:
    """The three inputs, positional or by name; the key is the value where it is not given."""
    given = list(layer.inputs)
    named = {name: layer.kwargs.pop(name, None) for name in ("query", "value", "key")}
    query = named["query"] or given.pop(0)
    value = named["value"] or given.pop(0)
    return query, value, named["key"] or (given.pop(0) if given else value)


def _projected(layer: LayerWriter, part: str, x: str, times: int, order: list[int]) -> str:
    """x [N, T, D] times a kernel [D, heads, size], as [N, heads, T, size] or in another order.

    Each head is there `times`, for several queries that share a key.
    """
    kernel = layer.array(f"{part}/kernel")
    if kernel.ndim != 3:
        raise layer.error(f"expected a {part} kernel [numbers, heads, size], found {list(kernel.shape)}")
    kernel = np.repeat(kernel, times, axis=1)
    weight = layer.weight(f"{part}/kernel", lambda: kernel.reshape(kernel.shape[0], -1))
    product = layer.add(f"{part}/product", "MatMul", [layer.tensors.last(x), weight])
    if layer.has(f"{part}/bias"):
        bias = layer.weight(f"{part}/bias", lambda: np.repeat(layer.array(f"{part}/bias"), times, axis=0).reshape(-1))
        product = layer.add(f"{part}/biased", "Add", [product, bias])
    shape = layer.ints(f"{part}/shape", [0, 0, *kernel.shape[1:]])
    return layer.add(
        f"{part}/turned", "Transpose", [layer.add(f"{part}/heads", "Reshape", [product, shape])], perm=order
    )


def _masks(layer: LayerWriter, query: str, value: str, key: str) -> list[str]:
    """What says what is attended to, each to be broadcast with [N, queries, keys]."""
    found = []
    for role, name, axis in (("query", query, 2), ("value", value, 1), ("key", key if key != value else "", 1)):
        given = layer.kwargs.pop(f"{role}_mask", None)
        mask = layer.boolean(given) if given else layer.mask(name) if name else None
        if mask is not None:
            found.append(layer.add(f"{role}_mask", "Unsqueeze", [mask, layer.ints(f"{role}_axis", [axis])]))
    given = layer.kwargs.pop("attention_mask", None)
    if given:
        found.append(layer.boolean(given))
    if layer.kwargs.pop("use_causal_mask", False):
        found.append(_causal(layer, query, value))
    return found


def _causal(layer: LayerWriter, query: str, value: str) -> str:
    """[queries, keys]: true up to and with a query's own place."""
    lengths = layer.sizes([layer.tensors.shape(query)[1], layer.tensors.shape(value)[1]])
    return layer.constant("causal", np.tril(np.ones(lengths, bool)), np.bool_)


def _shares(layer: LayerWriter, scores: str, masks: list[str], heads: Sequence[int], *, zeros: bool) -> str:
    """softmax(scores), of what is attended to alone.

    `heads`: axes that the scores have and the masks do not. What attends to nothing gets `zeros`, else the mean.
    """
    if not masks:
        return layer.add("shares", "Softmax", [scores], axis=-1)
    mask = masks[0]
    for number, other in enumerate(masks[1:]):
        mask = layer.add(f"mask_{number}", "And", [mask, other])
    if heads and len(layer.graph.shape(mask)) == 3:
        mask = layer.add("mask_of_heads", "Unsqueeze", [mask, layer.ints("heads", heads)])
    near = layer.add("near", "Where", [mask, scores, layer.constant("far", _FAR)])
    shares = layer.add("shares", "Softmax", [near], axis=-1)
    return layer.add("shares_masked", "Where", [mask, shares, layer.constant("nothing", 0)]) if zeros else shares


def attention(layer: LayerWriter) -> None:
    """softmax(score(q, k)) v: the score a product (Luong et al. 2015) or additive (Bahdanau et al. 2015)."""
    query, value, key = _query_value_key(layer)
    causal = layer.flag("causal") or bool(layer.kwargs.pop("use_causal_mask", False))
    if any(len(layer.tensors.shape(name)) != 3 for name in (query, value, key)):
        raise layer.error("inputs of more than three axes are not supported")
    layer.first = False
    given = list(layer.kwargs.pop("mask", None) or [])
    query_mask, value_mask = (
        layer.boolean(given[index]) if index < len(given) and given[index] else layer.mask(name)
        for index, name in enumerate((query, value))
    )
    additive = layer.type == "AdditiveAttention" or layer.option("score_mode", "dot") == "concat"
    scores = (_sum_score if additive else _product_score)(layer, *(layer.tensors.last(name) for name in (query, key)))
    masks = [_causal(layer, query, value)] if causal else []
    if value_mask is not None:
        masks.append(layer.add("value_mask", "Unsqueeze", [value_mask, layer.ints("value_axis", [1])]))
    operands = [_shares(layer, scores, masks, (), zeros=False), layer.tensors.last(value)]
    if query_mask is None:
        layer.emit("MatMul", operands)
    else:
        numbers = layer.add("query_numbers", "Cast", [query_mask], to=TensorProto.FLOAT)
        wide = layer.add("query_mask", "Unsqueeze", [numbers, layer.ints("query_axis", [2])])
        layer.emit("Mul", [layer.add("mixed", "MatMul", operands), wide])
    if layer.kwargs.pop("return_attention_scores", False):
        layer.emit("Identity", operands[:1])


def _product_score(layer: LayerWriter, query: str, key: str) -> str:
    """scale * q k, [N, queries, keys]."""
    turned = layer.add("key_turned", "Transpose", [key], perm=[0, 2, 1])
    scores = layer.add("scores", "MatMul", [query, turned])
    return layer.add("scaled", "Mul", [scores, _scale(layer)]) if layer.has("scale") else scores


def _scale(layer: LayerWriter) -> str:
    return layer.weight("scale", lambda: layer.array("scale"))


def _sum_score(layer: LayerWriter, query: str, key: str) -> str:
    """The sum of tanh(q + k), scaled before (Attention) or after (AdditiveAttention), [N, queries, keys]."""
    queries = layer.add("queries", "Unsqueeze", [query, layer.ints("query_place", [2])])
    keys = layer.add("keys", "Unsqueeze", [key, layer.ints("key_place", [1])])
    total = layer.add("pairs", "Add", [queries, keys])
    before = layer.type == "Attention"
    if before and layer.has("scale"):
        total = layer.add("pairs_scaled", "Mul", [total, _scale(layer)])
    bent = layer.add("bent", "Tanh", [total])
    if not before and layer.has("scale"):
        bent = layer.add("bent_scaled", "Mul", [bent, _scale(layer)])
    scores = layer.add("sums", "ReduceSum", [bent, layer.ints("sum_axis", [3])], keepdims=0)
    if not before:
        return scores
    return layer.add("scores", "Mul", [scores, layer.weight("score", lambda: layer.array("concat_score_weight"))])


LAYERS = {
    **dict.fromkeys(("AdditiveAttention", "Attention"), attention),
    **dict.fromkeys(("GroupedQueryAttention", "MultiHeadAttention"), multi_head_attention),
}
