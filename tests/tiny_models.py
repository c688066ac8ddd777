"""Small models written as ONNX text, with answers known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper, parser

# Two convolutions and a pooling, 1x1x8x8 in, 3 classes out.
# conv1: 2*1*3*3+2 = 20 parameters, 8*8*2*9 = 1152 MACs; fc: 3*32+3 = 99 parameters, 96 MACs.
CONV_NET = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[batch, 1, 8, 8] image) => (float[batch, 3] scores)
<float[2, 1, 3, 3] conv1_w, float[2] conv1_b, float[3, 32] fc_w, float[3] fc_b>
{
    conv1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, conv1_w, conv1_b)
    relu1 = Relu (conv1)
    pool1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu1)
    flat = Flatten (pool1)
    logits = Gemm <transB = 1> (flat, fc_w, fc_b)
    scores = Softmax (logits)
}
"""

# Everything that a slice must survive: a constant branch, a shape, a tensor with images in its second axis, a scalar.
ODD_NET = """
<ir_version: 8, opset_import: ["" : 17]>
odd (float[N, 2, 4, 4] image) => (float[N, 32] scores)
<float[2, 2, 1, 1] w, float[2] bias>
{
    stored = Mul (bias, bias)
    conv = Conv (image, w, bias)
    active = Relu (conv)
    axes_swapped = Transpose <perm = [1, 0, 2, 3]> (active)
    back = Transpose <perm = [1, 0, 2, 3]> (axes_swapped)
    size = Shape <start = 1> (back)
    rows = Constant <value = int64[2] {-1, 4}> ()
    tall = Reshape (back, rows)
    flat = Flatten (back)
    scores = Add (flat, flat)
}
"""


def model(text: str = CONV_NET, seed: int = 0) -> onnx.ModelProto:
    """Parse ONNX text; what it declares in <…> and no node makes becomes a weight of seeded random values."""
    proto = parser.parse_model(text)
    generator = np.random.default_rng(seed)
    made = {name for node in proto.graph.node for name in node.output}
    declared = [value for value in proto.graph.value_info if value.name not in made]
    for value in declared:
        tensor = value.type.tensor_type
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        values = generator.normal(size=shape).astype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values), value.name))
        proto.graph.value_info.remove(value)
    return proto


def save(path: Path, text: str = CONV_NET, seed: int = 0) -> Path:
    """Write `model(text, seed)` to `path` and return it."""
    onnx.save(model(text, seed), path)
    return path
