"""Matrix products: dense layers, products of blobs, attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..layer_writer import LayerWriter
from ..quantised import quantise_input, read_scales, real_weights
from .activation import activated


def inner_product(layer: LayerWriter) -> None:
    """[num_output, inputs] weights and a bias, on all numbers of the input, or on each row that is as long."""
    outputs, count = layer.whole(0), layer.whole(2)
    if outputs < 1 or count < 1 or count % outputs:
        raise layer.error(f"{count} weights do not make {outputs} outputs")
    weights = layer.stored(outputs, count // outputs)
    bias = layer.raw(outputs) if layer.whole(1) else None
    scales = read_scales(layer, outputs)
    kernel = real_weights(layer, weights, scales)
    shape = layer.blob_shape()
    if len(shape) == 2 and shape[1] == count // outputs:
        rows = quantise_input(layer, layer.inputs[0], scales)
        _rows(layer, rows, [layer.constant("weights", kernel.T)], bias)
        return
    flat = layer.inputs[0] if len(shape) == 1 else layer.add("flat", "Flatten", layer.inputs, axis=1)
    inputs = [quantise_input(layer, flat, scales), layer.constant("weights", kernel)]
    if bias is not None:
        inputs.append(layer.constant("bias", bias))
    activated(layer, "Gemm", inputs, transB=1)


def _rows(layer: LayerWriter, rows: str, weights: list[str], bias: object) -> None:
    if bias is None:
        activated(layer, "MatMul", [rows, *weights])
    else:
        product = layer.add("product", "MatMul", [rows, *weights])
        activated(layer, "Add", [product, layer.constant("bias", bias)])


def matmul(layer: LayerWriter) -> None:
    """Of matrices, or as many of them as the outer axes say."""
    ranks = [len(layer.blob_shape(place)) for place in (0, 1)]
    if min(ranks) < 2:
        raise layer.error(f"expected two matrices, found inputs of {ranks[0]} and {ranks[1]} dimensions")
    tensors = layer.inputs[:2]
    small = ranks.index(min(ranks))
    if ranks[0] != ranks[1]:
        axes = layer.ints("axes", list(range(1, 1 + max(ranks) - min(ranks))))
        tensors[small] = layer.add("wider", "Unsqueeze", [tensors[small], axes])
    if layer.whole(0):
        tensors[1] = _transposed(layer, "turned", tensors[1])
    layer.emit("MatMul", tensors)


def _transposed(layer: LayerWriter, role: str, tensor: str) -> str:
    rank = len(layer.graph.shape(tensor))
    return layer.add(role, "Transpose", [tensor], perm=[*range(rank - 2), rank - 1, rank - 2])


def gemm(layer: LayerWriter) -> None:
    """(A B + C * beta) * alpha, of matrices that the file has or other layers make."""
    if layer.whole(18):
        raise layer.error("its matrices are quantised, which onnxray cannot translate")
    if layer.whole(11):
        raise layer.error("its result has its axes apart (output_N1M), which onnxray cannot translate")
    rows, columns, inner = layer.whole(7), layer.whole(8), layer.whole(9)
    given = iter(layer.inputs)
    operands = []
    for role, constant, turned, shape in (
        ("a", layer.whole(4), layer.whole(2), (rows, inner)),
        ("b", layer.whole(5), layer.whole(3), (inner, columns)),
    ):
        stored = layer.tagged(*(shape[::-1] if turned else shape)) if constant else None
        if stored is not None:
            operands.append(layer.constant(role, (stored.T if turned else stored)[None]))
            continue
        tensor = next(given, None)
        if tensor is None or len(layer.graph.shape(tensor)) != 3:
            raise layer.error("expected matrices to multiply")
        operands.append(_transposed(layer, f"{role}_turned", tensor) if turned else tensor)
    product = layer.add("product", "MatMul", operands)
    added = _added(layer, next(given, None), rows, columns)
    if added is not None:
        beta = layer.number(1, 1.0)
        if beta != 1:
            added = layer.add("beta_c", "Mul", [added, layer.constant("beta", beta)])
        product = layer.add("sum", "Add", [product, added])
    alpha = layer.number(0, 1.0)
    if alpha != 1:
        product = layer.add("alpha_sum", "Mul", [product, layer.constant("alpha", alpha)])
    if layer.whole(14):
        layer.emit("Transpose", [product], perm=[0, 2, 1])
    else:
        layer.emit("Identity", [product])


def _added(layer: LayerWriter, tensor: str | None, rows: int, columns: int) -> str | None:
    """C, with the axes of the product; None where there is none."""
    if layer.whole(6):
        kind = layer.whole(10)
        if kind == -1:
            return None
        shapes = {0: (1,), 1: (rows, 1), 2: (rows, 1), 3: (rows, columns), 4: (1, columns)}
        return layer.constant("c", layer.tagged(*layer.choice(10, shapes, "broadcast of C")))
    if tensor is None:
        return None
    if len(layer.graph.shape(tensor)) != 3:
        raise layer.error("adds a blob that is not a matrix, which onnxray cannot translate")
    return tensor


def attention(layer: LayerWriter) -> None:
    """Multi-head attention: queries, keys and values [rows, …] from one, two or three blobs, and maybe a mask."""
    _check_plain(layer)
    width, heads = layer.whole(0), layer.whole(1, 1)
    if width < 1 or heads < 1 or width % heads or layer.whole(2) < width or layer.whole(2) % width:
        raise layer.error(f"cannot make {heads} heads of a width of {width}")
    entering, each = layer.whole(2) // width, width // heads
    sources = layer.inputs[:-1] if layer.whole(5) else layer.inputs
    if not sources or any(len(layer.graph.shape(tensor)) != 3 for tensor in sources):
        raise layer.error("expected blobs of two dimensions")
    sources = [*sources, *[sources[-1]] * (3 - len(sources))][:3]
    widths = (entering, layer.whole(3, width), layer.whole(4, width))
    parts = []
    for role, tensor, inputs in zip(("query", "key", "value"), sources, widths, strict=True):
        projected = _dense(layer, role, tensor, inputs, width)
        split = layer.add(f"{role}_split", "Reshape", [projected, layer.ints(f"{role}_heads", [0, -1, heads, each])])
        parts.append(layer.add(f"{role}_by_head", "Transpose", [split], perm=[0, 2, 1, 3]))
    weighted = layer.add("weighted", "MatMul", _shares_and_values(layer, parts, layer.number(6, 1 / math.sqrt(each))))
    mixed = layer.add("mixed", "Transpose", [weighted], perm=[0, 2, 1, 3])
    joined = layer.add("joined", "Reshape", [mixed, layer.ints("joined_shape", [0, -1, width])])
    kernel = layer.constant("output_weights", layer.tagged(entering, width).T)
    product = layer.add("output_product", "MatMul", [joined, kernel])
    layer.emit("Add", [product, layer.constant("output_bias", layer.raw(entering))])


def dot_product_attention(layer: LayerWriter) -> None:
    """Attention of queries, keys and values [heads, rows, …] that other layers make."""
    _check_plain(layer)
    shapes = [layer.blob_shape(place) for place in range(3)]
    if any(len(shape) != 3 or shape[0] != shapes[0][0] for shape in shapes):
        raise layer.error(f"expected blobs of as many heads each, found {list(map(list, shapes))}")
    scale = layer.number(6) or 1 / math.sqrt(layer.sizes(shapes[0][2:])[0])
    layer.emit("MatMul", _shares_and_values(layer, layer.inputs[:3], scale))


def _check_plain(layer: LayerWriter) -> None:
    if layer.whole(18) or layer.whole(7):
        raise layer.error("it is quantised or keeps keys and values, which onnxray cannot translate")


def _shares_and_values(layer: LayerWriter, parts: Sequence[str], scale: float) -> list[str]:
    """How much each query takes of each value, [N, heads, queries, values], and the values.

    `parts`: queries, keys and values [N, heads, rows, …]. The last blob is a mask where parameter 5 says so.
    """
    query, key, value = parts
    score = layer.add("score", "MatMul", [query, _transposed(layer, "key_turned", key)])
    score = layer.add("scaled", "Mul", [score, layer.constant("scale", scale)])
    if layer.whole(5):
        mask = layer.inputs[-1]
        if len(layer.graph.shape(mask)) == 3:
            mask = layer.add("mask_of_all", "Unsqueeze", [mask, layer.ints("head_axis", [1])])
        score = layer.add("masked", "Add", [score, mask])
    return [layer.add("share", "Softmax", [score], axis=-1), value]


def _dense(layer: LayerWriter, role: str, tensor: str, inputs: int, outputs: int) -> str:
    kernel = layer.constant(f"{role}_weights", layer.tagged(outputs, inputs).T)
    product = layer.add(f"{role}_product", "MatMul", [tensor, kernel])
    return layer.add(role, "Add", [product, layer.constant(f"{role}_bias", layer.raw(outputs))])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "Gemm": gemm,
    "InnerProduct": inner_product,
    "MatMul": matmul,
    "MultiHeadAttention": attention,
    "SDPA": dot_product_attention,
}
