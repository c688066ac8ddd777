"""The words of a drawing: what a box is called, from its operator, attributes and shapes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..graph import Graph, Node

_WORDS = {
    "Relu": "ReLU",
    "LeakyRelu": "Leaky ReLU",
    "PRelu": "PReLU",
    "Elu": "ELU",
    "Selu": "SELU",
    "Celu": "CELU",
    "Gelu": "GELU",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "BatchNormalization": "BN",
    "InstanceNormalization": "IN",
    "GroupNormalization": "GN",
    "LayerNormalization": "LayerNorm",
    "Mul": "scale",
    "Div": "scale",
    "Add": "shift",
    "Sub": "shift",
    "Reshape": "reshape",
    "Flatten": "flatten",
    "Squeeze": "reshape",
    "Unsqueeze": "reshape",
    "Transpose": "transpose",
    "QuantizeLinear": "quantised",
    "GlobalAveragePool": "Global average pool",
    "GlobalMaxPool": "Global max pool",
    "MaxPool": "Max pool",
    "AveragePool": "Average pool",
    "Gemm": "Dense",
}
_SILENT = {"Identity", "Cast", "CastLike", "Dropout", "DequantizeLinear"}  # change nothing a reader wants to know
_TAKE_AFFINE = {"BN", "IN", "GN", "LayerNorm", "GELU", "HardSwish", "MatMul", "Gemm", "BatchNormalization"}


def box_title(node: Node, graph: Graph) -> str:
    """ "Conv 3×3 /2", "Depthwise conv 5×5", "Max pool 2×2 /2", "Dense", "Concat" …"""
    op = node.op.rpartition(".")[2]
    if op in ("Conv", "ConvTranspose"):
        return _convolution(op, node, graph)
    if op == "MatMul" and any(_is_constant(name, graph) for name in node.inputs):
        return "Dense"
    if op in ("MaxPool", "AveragePool", "LpPool"):
        if _covers_everything(node, graph):
            return f"Global {_WORDS.get(op, op).lower()}"
        return f"{_WORDS.get(op, op)} {_size(node.attribute('kernel_shape', []))}{_stride(node)}".strip()
    if op == "Resize" or op == "Upsample":
        return _resize(node, graph)
    if op.startswith("Reduce") and op not in ("ReduceL1", "ReduceL2"):
        return _reduction(op, node, graph)
    if op == "Clip":
        return _clip(node, graph)
    return _WORDS.get(op, op) if op not in ("Mul", "Div", "Add", "Sub") else op


def _is_constant(name: str, graph: Graph) -> bool:
    maker = graph.producers.get(name)
    return name in graph.initializers or (maker is not None and maker.op == "Constant")


def _convolution(op: str, node: Node, graph: Graph) -> str:
    weight = graph.shape(node.inputs[1]) if len(node.inputs) > 1 else None
    kernel = node.attribute("kernel_shape") or (list(weight[2:]) if weight else [])
    group = int(node.attribute("group", 1))
    kind = "Conv" if op == "Conv" else "Deconv"
    if group > 1:
        alone = weight is not None and weight[1] == 1
        kind = f"Depthwise {kind.lower()}" if alone else f"Grouped {kind.lower()}"
    dilations = [d for d in node.attribute("dilations", []) if d != 1]
    return f"{kind} {_size(kernel)}{_stride(node)}{f' dil {dilations[0]}' if dilations else ''}".strip()


def _covers_everything(node: Node, graph: Graph) -> bool:
    """Whether a pooling's window is the whole image."""
    shape = graph.shape(node.inputs[0])
    return shape is not None and list(shape[2:]) == list(node.attribute("kernel_shape", []))


def _size(kernel: Sequence[int | None]) -> str:
    return "×".join("?" if side is None else str(side) for side in kernel)


def _stride(node: Node) -> str:
    strides = list(node.attribute("strides", []))
    sign = "↑" if node.op == "ConvTranspose" else "/"
    if not strides or max(strides) == 1:
        return ""
    return f" {sign}{strides[0]}" if len(set(strides)) == 1 else f" {sign}{_size(strides)}"


def _resize(node: Node, graph: Graph) -> str:
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    mode = str(node.attribute("mode", "nearest"))
    if before and after and len(before) == len(after) and before[-1] and after[-1]:
        factor = after[-1] / before[-1]
        return f"Resize ×{factor:.3g} {mode}"
    return f"Resize {mode}"


def _reduction(op: str, node: Node, graph: Graph) -> str:
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    kind = {"ReduceMean": "average", "ReduceMax": "max", "ReduceSum": "sum"}.get(op)
    if kind is None:
        return op
    spatial = before and after and len(before) == 4 and _elements(after) == before[1]
    return f"Global {kind} pool" if spatial else f"Reduce {kind}"


def _elements(shape: Sequence[int | None]) -> int:
    product = 1
    for side in shape[1:]:
        product *= side or 0
    return product


def _clip(node: Node, graph: Graph) -> str:
    limits = [graph.constant(name) if name else None for name in node.inputs[1:3]]
    low, high = (
        [None if limit is None else float(limit.reshape(-1)[0]) for limit in limits]
        if limits
        else [node.attribute("min"), node.attribute("max")]
    )
    return "ReLU6" if (low, high) == (0, 6) else "clip"


def follow_word(words: list[str], lead: str, node: Node, graph: Graph) -> None:
    """Append to `words` what `node`, fused after operator `lead`, adds to the label; nothing where it says nothing."""
    op = node.op.rpartition(".")[2]
    last = words[-1] if words else _WORDS.get(lead, lead) if lead not in _TAKE_AFFINE else lead
    if op in _SILENT or (op in ("Mul", "Div", "Add", "Sub") and last in _TAKE_AFFINE):
        return
    word = _clip(node, graph) if op == "Clip" else _WORDS.get(op, op)
    if word == "quantised" and word in words:
        return
    if words[-1:] == ["scale"] and word == "shift":
        words[-1] = "affine"
    elif words[-2:] == ["reshape", "transpose"] and word == "reshape" and _is_shuffle(node, graph):
        words[-2:] = ["channel shuffle"]
    elif word != last:
        words.append(word)


def _is_shuffle(node: Node, graph: Graph) -> bool:
    """Whether a reshape back from 5 to 4 dimensions ends a channel shuffle."""
    before, after = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
    return before is not None and after is not None and (len(before), len(after)) == (5, 4)


def activation_word(nodes: Sequence[Node]) -> str:
    """What a diamond of arithmetic is: "LayerNorm", "GELU", "HardSwish", "SiLU" …; else the operators it is made of."""
    ops = {node.op for node in nodes}
    if "ReduceMean" in ops:
        return "LayerNorm" if ops & {"Sqrt", "Pow"} else "mean removed"
    if "Erf" in ops:
        return "GELU"
    if ops & {"Clip", "HardSigmoid"} and "Mul" in ops:
        return "HardSwish"
    if "Sigmoid" in ops and "Mul" in ops:
        return "SiLU"
    if {"Softplus", "Tanh"} <= ops:
        return "Mish"
    return " ".join(dict.fromkeys(node.op for node in nodes))


def shape_text(shape: Sequence[int | None] | None) -> str:
    """ "64×56×56": a shape without its batch dimension; "" when the rank is unknown."""
    if shape is None:
        return ""
    sides = shape[1:] if len(shape) > 1 else shape
    return "×".join("?" if side is None else str(side) for side in sides)


def short_name(node: Node) -> str:
    """The layer's name without the operator's own part and without repeated scopes.

    "/layer1/layer1.0/conv1/Conv" -> "layer1.0/conv1"
    """
    parts = [part for part in re.split(r"/+", node.name) if part and part != ":"]
    op = node.op.rpartition(".")[2]
    if len(parts) > 1 and re.fullmatch(rf"{re.escape(op)}(_\d+)?", parts[-1]):
        parts.pop()
    kept: list[str] = []
    for part in parts:
        if kept and part.startswith(kept[-1] + "."):
            kept.pop()
        kept.append(part)
    return "/".join(kept)
