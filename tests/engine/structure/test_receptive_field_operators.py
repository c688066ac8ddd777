"""Receptive fields of single operators against finite differences through onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from field_oracle import compare
from onnx import numpy_helper, parser

Constants = dict[str, np.ndarray | list[int]]


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# name: opset, body of the graph that makes y from x [1, 2, 16, 12], constants
CASES: dict[str, tuple[int, str, Constants]] = {
    "linear antialias down": (18, 'y = Resize<mode="linear", antialias=1>(x, , sc)', {"sc": floats(1, 1, 0.5, 0.25)}),
    "linear antialias up": (18, 'y = Resize<mode="linear", antialias=1>(x, , sc)', {"sc": floats(1, 1, 2, 0.5)}),
    "cubic antialias down": (18, 'y = Resize<mode="cubic", antialias=1>(x, , sc)', {"sc": floats(1, 1, 0.5, 0.25)}),
    "cubic without the outside": (
        18,
        'y = Resize<mode="cubic", exclude_outside=1>(x, , sc)',
        {"sc": floats(1, 1, 2, 1.5)},
    ),
    "half_pixel_symmetric": (
        19,
        'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, , sc)',
        {"sc": floats(1, 1, 0.625, 1.25)},
    ),
    "crop and resize": (
        13,
        'y = Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize">(x, roi, , sizes)',
        {"roi": floats(0, 0, 0.25, 0.125, 1, 1, 0.75, 0.875), "sizes": [1, 2, 8, 5]},
    ),
    "resize with axes": (18, 'y = Resize<mode="linear", axes=[3,2]>(x, , sc)', {"sc": floats(2, 0.5)}),
    "resize keeping the aspect ratio": (
        18,
        'y = Resize<mode="nearest", axes=[2,3], keep_aspect_ratio_policy="not_larger">(x, , , sizes)',
        {"sizes": [24, 48]},
    ),
    "upsample 9": (9, 'y = Upsample<mode="linear">(x, sc)', {"sc": floats(1, 1, 2, 3)}),
    "upsample 9 nearest": (9, 'y = Upsample<mode="nearest">(x, sc)', {"sc": floats(1, 1, 2, 3)}),
    "resize 10": (10, 'y = Resize<mode="nearest">(x, sc)', {"sc": floats(1, 1, 2, 0.5)}),
    "resize 10 lin": (10, 'y = Resize<mode="linear">(x, sc)', {"sc": floats(1, 1, 2, 0.5)}),
    "softmax old": (11, "y = Softmax<axis=2>(x)", {}),
    "softmax old 3": (11, "y = Softmax<axis=3>(x)", {}),
    "softmax": (13, "y = Softmax<axis=2>(x)", {}),
    "logsoftmax ch": (13, "y = LogSoftmax<axis=1>(x)", {}),
    "instance normalisation": (17, "y = InstanceNormalization(x, s, b)", {"s": floats(1, 2), "b": floats(0, 1)}),
    "layer normalisation": (17, "y = LayerNormalization<axis=3>(x, s)", {"s": ones(12)}),
    "mean-variance normalisation": (17, "y = MeanVarianceNormalization<axes=[2]>(x)", {}),
    "Lp normalisation": (17, "y = LpNormalization<axis=3>(x)", {}),
    "reduce keep": (17, "y = ReduceSum<keepdims=1>(x, ax)", {"ax": [3]}),
    "reduce drop": (17, "y = ReduceMax<axes=[2], keepdims=0>(x)", {}),
    "reduce all": (17, "y = ReduceMean(x)", {}),
    "argmax": (17, "y = ArgMax<axis=3>(x)", {}),
    "topk": (17, "y, i = TopK<axis=2>(x, k)", {"k": [3]}),
    "global pooling": (17, "y = GlobalMaxPool(x)", {}),
    "Lp pooling": (18, "y = LpPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,0]>(x)", {}),
    "matmul right": (17, "y = MatMul(x, w)", {"w": ones(12, 5)}),
    "matmul left": (17, "y = MatMul(w, x)", {"w": ones(5, 16)}),
    "einsum": (17, 'y = Einsum<equation="nchw,wk->nkhc">(x, w)', {"w": ones(12, 5)}),
    "self product": (17, "t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)", {}),
    "matrix times vector": (17, "y = MatMul(x, w)", {"w": ones(12)}),
    "flatten gemm": (17, "f = Flatten<axis=2>(x) y = Gemm(f, w)", {"w": ones(192, 3)}),
    "gemm transA": (17, "f = Flatten<axis=3>(x) y = Gemm<transA=1>(f, w)", {"w": ones(32, 3)}),
    "tile": (17, "y = Tile(x, r)", {"r": [1, 2, 1, 3]}),
    "expand": (17, "a = ReduceSum(x, ax) y = Expand(a, s)", {"ax": [2], "s": [1, 2, 5, 12]}),
    "gather scalar": (17, "y = Gather<axis=2>(x, i)", {"i": 3}),
    "gather list": (17, "y = Gather<axis=3>(x, i)", {"i": [[3, -1], [0, 0]]}),
    "wrapped padding": (19, 'y = Pad<mode="wrap">(x, p)', {"p": [0, 0, 2, 3, 0, 0, 1, 3]}),
    "padding of some axes": (18, "y = Pad(x, p, , ax)", {"p": [2, 1, 0, 3], "ax": [2, -1]}),
    "group normalisation": (
        21,
        "y = GroupNormalization<num_groups=1>(x, s, b)",
        {"s": floats(1, 2), "b": floats(0, 1)},
    ),
    "space to depth, conv": (17, "a = SpaceToDepth<blocksize=2>(x) y = Conv<group=8>(a, w)", {"w": ones(8, 1, 3, 3)}),
    "window grid": (
        17,
        "a = Reshape(x, s) b = ReduceSum(a, ax) y = Reshape(b, t)",
        {"s": [1, 2, 4, 4, 4, 3], "ax": [2], "t": [1, 2, 4, 12]},
    ),
    "lstm": (
        17,
        'a = ReduceSum<keepdims=0>(x, ax) y, h = LSTM<hidden_size=2, direction="bidirectional">(a, w, r)',
        {"ax": [0], "w": ones(2, 8, 12) / 10, "r": ones(2, 8, 2) / 10},
    ),
    "3-d convolution": (
        17,
        "a = Unsqueeze(x, ax) y = Conv<pads=[0,1,1,0,1,1]>(a, w)",
        {"ax": [1], "w": ones(2, 1, 1, 3, 3)},
    ),
    "1-d convolution": (
        17,
        "a = ReduceSum<keepdims=0>(x, ax) y = Conv<dilations=[2]>(a, w)",
        {"ax": [2], "w": ones(2, 2, 3)},
    ),
    "fused conv": (
        17,
        'a = AveragePool<kernel_shape=[3,3]>(x) y = com.microsoft.FusedConv<activation="Relu">(x, w, b, a)',
        {"w": ones(2, 2, 3, 3), "b": floats(1, 1)},
    ),
    "dynamic weights": (17, "w = AveragePool<kernel_shape=[14,10]>(x) v = Concat<axis=0>(w, w) y = Conv(x, v)", {}),
    "batch to space": (
        17,
        "a = Reshape(x, s)"
        " b = Transpose<perm=[3,5,0,1,2,4]>(a)"
        " c = Reshape(b, t)"
        " d = Conv<pads=[1,1,1,1]>(c, w)"
        " e = Reshape(d, u)"
        " f = Transpose<perm=[2,3,4,0,5,1]>(e)"
        " y = Reshape(f, v)",
        {
            "s": [1, 2, 8, 2, 6, 2],
            "t": [4, 2, 8, 6],
            "w": ones(2, 2, 3, 3),
            "u": [2, 2, 1, 2, 8, 6],
            "v": [1, 2, 16, 12],
        },
    ),
    "unaligned reshape": (17, "y = Reshape(x, s)", {"s": [1, 2, 12, 16]}),
    "unaligned reshape back": (
        17,
        "a = Reshape(x, s) b = Relu(a) y = Reshape(b, t)",
        {"s": [1, 2, 12, 16], "t": [1, 2, 16, 12]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str) -> None:
    opset, body, constants = CASES[name]
    header = f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>'
    proto = parser.parse_model(f"{header} g (float[1,2,16,12] x) => (y) {{ {body} }}")
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    # An index moves only when the largest element changes: that takes many images to show.
    images = 30 if name in ("argmax", "topk") else 3
    assert compare(proto, (1, 2, 16, 12), images=images, changes=(3.0, -0.45))
