"""Attention: with weights and heads of its own, or plain."""

from __future__ import annotations

import math

import numpy as np

from ..layer_writer import LayerWriter


def multi_head_attention(layer: LayerWriter) -> None:
    """softmax(q k / sqrt(size)) v in several heads, each with its own projections (Vaswani et al. 2017)."""
    query, value, key = _query_value_key(layer)
    if any(len(layer.tensors.shape(name)) != 3 for name in (query, value, key)):
        raise layer.error("inputs of more than three axes are not supported")
    layer.first = False
    heads = layer.array("query/kernel").shape[1]
    q = _projected(layer, "query", query, [0, 2, 1, 3])
    k = _projected(layer, "key", key, [0, 2, 3, 1])
    v = _projected(layer, "value", value, [0, 2, 1, 3])
    scale = layer.constant("scale", 1 / math.sqrt(layer.array("query/kernel").shape[2]))
    scores = layer.add("scores", "MatMul", [layer.add("query_scaled", "Mul", [q, scale]), k])
    mixed = layer.add("mixed", "MatMul", [layer.add("shares", "Softmax", [scores], axis=-1), v])
    turned = layer.add("heads_last", "Transpose", [mixed], perm=[0, 2, 1, 3])
    output = layer.array("output/kernel")
    if output.ndim != 3 or output.shape[0] != heads:
        raise layer.error(f"expected an output kernel [heads, size, numbers], found {list(output.shape)}")
    joined = layer.add("joined", "Reshape", [turned, layer.ints("joined_shape", [0, 0, heads * output.shape[1]])])
    weight = layer.weight("output/kernel", lambda: output.reshape(-1, output.shape[2]))
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


def _projected(layer: LayerWriter, part: str, x: str, order: list[int]) -> str:
    """x [N, T, D] times a kernel [D, heads, size], as [N, heads, T, size] or in another order."""
    kernel = layer.array(f"{part}/kernel")
    if kernel.ndim != 3:
        raise layer.error(f"expected a {part} kernel [numbers, heads, size], found {list(kernel.shape)}")
    weight = layer.weight(f"{part}/kernel", lambda: kernel.reshape(kernel.shape[0], -1))
    product = layer.add(f"{part}/product", "MatMul", [layer.tensors.last(x), weight])
    if layer.has(f"{part}/bias"):
        bias = layer.weight(f"{part}/bias", lambda: layer.array(f"{part}/bias").reshape(-1))
        product = layer.add(f"{part}/biased", "Add", [product, bias])
    shape = layer.ints(f"{part}/shape", [0, 0, *kernel.shape[1:]])
    return layer.add(
        f"{part}/turned", "Transpose", [layer.add(f"{part}/heads", "Reshape", [product, shape])], perm=order
    )


def attention(layer: LayerWriter) -> None:
    """softmax(scale * q k) v (Luong et al. 2015), without weights but a scale."""
    query, value, key = _query_value_key(layer)
    if layer.option("score_mode", "dot") != "dot" or layer.flag("causal"):
        raise layer.error("only the score_mode dot without causal is supported")
    if any(len(layer.tensors.shape(name)) != 3 for name in (query, value, key)):
        raise layer.error("inputs of more than three axes are not supported")
    layer.first = False
    turned = layer.add("key_turned", "Transpose", [layer.tensors.last(key)], perm=[0, 2, 1])
    scores = layer.add("scores", "MatMul", [layer.tensors.last(query), turned])
    if layer.has("scale"):
        scale = layer.weight("scale", lambda: np.reshape(layer.array("scale"), ()))
        scores = layer.add("scaled", "Mul", [scores, scale])
    layer.emit("MatMul", [layer.add("shares", "Softmax", [scores], axis=-1), layer.tensors.last(value)])


LAYERS = {"Attention": attention, "MultiHeadAttention": multi_head_attention}
