"""Layers with their parameters and weights, and many of them as one network: each reads inputs of its own.

So one run of NCNN answers for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tiny_ncnn import Param, Row, given, noise, raw, tagged

Shape = tuple[int, ...]  # as NCNN has it, outermost first
MAP: Shape = (6, 9, 8)


@dataclass(frozen=True)
class Case:
    """One layer."""

    type: str
    inputs: Sequence[Shape] = (MAP,)
    params: dict[int, Param] = field(default_factory=dict)
    weights: bytes = b""
    tops: int = 1
    shift: float | None = None  # what enters is |x| + shift


def rows_of(cases: Sequence[Case]) -> list[Row]:
    """A network of them, side by side: outputs o0, o1 …, those of a layer with several o0_0, o0_1 …"""
    rows: list[Row] = []
    for number, case in enumerate(cases):
        names = [f"i{number}_{place}" for place in range(len(case.inputs))]
        rows += [given(name, *shape) for name, shape in zip(names, case.inputs, strict=True)]
        if case.shift is not None:
            rows.append(Row("AbsVal", f"abs{number}", names[:1], [f"abs{number}"]))
            rows.append(Row("BinaryOp", f"up{number}", [f"abs{number}"], [f"up{number}"], {1: 1, 2: case.shift}))
            names[0] = f"up{number}"
        tops = [f"o{number}"] if case.tops == 1 else [f"o{number}_{place}" for place in range(case.tops)]
        rows.append(Row(case.type, f"l{number}", names, tops, case.params, case.weights))
    return rows


def _weights(outputs: int, inputs: int, *kernel: int, bias: bool = True, storage: str = "float") -> bytes:
    """Of a convolution or dense layer."""
    return tagged(noise(outputs, inputs, *kernel), storage) + (raw(noise(outputs, seed=1)) if bias else b"")


def _int8(outputs: int, inputs: int, *kernel: int, scales: int, as_float: bool = False) -> bytes:
    """The same with scales; the weights from -127 to 127, or still floats."""
    values = noise(outputs, inputs, *kernel)
    each = np.full(scales, 127 / np.abs(values).max(), np.float32)
    stored = tagged(values) if as_float else tagged(np.rint(values * each[0]), "int8")
    return stored + raw(noise(outputs, seed=1)) + raw(each) + raw(np.array([127 / 1.5]))


def _statistics(count: int) -> bytes:
    """Slope, mean, variance and bias of a BatchNorm."""
    slope, mean, variance, bias = (noise(count, seed=seed) for seed in range(4))
    return raw(slope) + raw(mean) + raw(np.abs(variance) + 0.5) + raw(bias)


def _plain(*kinds: str) -> list[Case]:
    return [Case(kind) for kind in kinds]


ACTIVATIONS = [
    *_plain("AbsVal", "BNLL", "CELU", "Clip", "Dropout", "ELU", "Erf", "GELU", "HardSigmoid", "HardSwish", "Mish"),
    *_plain("ReLU", "SELU", "Shrink", "Sigmoid", "Softmax", "Softplus", "Swish", "TanH", "Threshold"),
    Case("CELU", params={0: 0.5}),
    Case("Clip", params={0: -0.5, 1: 0.25}),
    Case("Dropout", params={0: 0.5}),
    Case("ELU", params={0: 1.5}),
    Case("GELU", params={0: 1}),
    Case("GLU", params={0: 0}),
    Case("GLU", inputs=[(5, 6)], params={0: -1}),
    Case("HardSigmoid", params={0: 0.3, 1: 0.1}),
    Case("HardSwish", params={0: 1 / 6, 1: 0.5}),
    Case("PReLU", params={0: 6}, weights=raw(noise(6))),
    Case("PReLU", params={0: 1}, weights=raw(noise(1))),
    Case("PReLU", inputs=[(7,)], params={0: 7}, weights=raw(noise(7))),
    Case("PReLU", inputs=[(5, 7)], params={0: 5}, weights=raw(noise(5))),
    Case("ReLU", params={0: 0.1}),
    Case("SELU", params={0: 1.2, 1: 0.9}),
    Case("Shrink", params={0: 0.1, 1: 0.3}),
    Case("Softmax", inputs=[(7,)]),
    Case("Softmax", params={0: 1, 1: 1}),
    Case("Softmax", params={0: -1, 1: 1}),
    Case("Softmax", inputs=[(5, 7)], params={0: 1, 1: 1}),
    Case("Threshold", params={0: 0.3}),
]
# BinaryOp: the smaller shape is spread over the larger one in NCNN's own way.
PAIRS: list[list[Shape]] = [
    [MAP, MAP],
    [MAP, (6,)],
    [(8,), MAP],
    [MAP, (6, 9)],
    [MAP, (6, 1, 1)],
    [MAP, (1, 9, 8)],
    [(5, 7), (5,)],
    [(5, 7), (7,)],
    [(7,), (7,)],
    [(7,), (1,)],
    [(2, 3, 4, 5), (2,)],
    [(2, 3, 4, 5), (2, 3)],
    [(2, 3, 4), (2, 3, 4, 5)],
]
ARITHMETIC = [
    *[Case("BinaryOp", inputs=pair, params={0: op}) for op in (0, 1, 3, 7) for pair in PAIRS],
    *[Case("BinaryOp", inputs=[MAP, MAP], params={0: op}) for op in (2, 4, 5, 8)],
    *[Case("BinaryOp", params={0: op, 1: 1, 2: 1.5}) for op in range(6)],
    *[Case("BinaryOp", params={0: op, 1: 1, 2: 1.5}, shift=0.5) for op in (6, 7, 8, 9)],
    *[Case("UnaryOp", params={0: op}) for op in (0, 1, 2, 3, 4, 7, 9, 10, 11, 14, 16, 18, 19)],
    *[Case("UnaryOp", params={0: op}, shift=0.5) for op in (5, 6, 8, 15, 17)],
    *[Case("UnaryOp", inputs=[(50,)], params={0: op}) for op in (20, 22, 23, 24)],
    Case("Bias", params={0: 6}, weights=raw(noise(6))),
    *[Case("Eltwise", inputs=[MAP] * count, params={0: op}) for op in range(3) for count in (2, 3)],
    Case("Eltwise", inputs=[MAP] * 3, params={0: 1, 1: [0.5, -1.0, 2.0]}),
    Case("Exp"),
    Case("Exp", params={0: 2.0, 1: 0.5, 2: 1.0}),
    Case("Log", shift=0.5),
    Case("Log", params={0: 10.0, 1: 2.0, 2: 1.0}, shift=0.5),
    Case("Power", params={0: 2.0, 1: 0.5, 2: 1.0}),
    Case("Scale", params={0: 6}, weights=raw(noise(6))),
    Case("Scale", params={0: 6, 1: 1}, weights=raw(noise(6)) + raw(noise(6, seed=1))),
    Case("Scale", inputs=[(5, 7)], params={0: 5, 1: 1}, weights=raw(noise(5)) + raw(noise(5, seed=1))),
    Case("Scale", inputs=[MAP, (6,)], params={0: -233}),
]
CONVOLUTIONS = [
    *[Case("Convolution", params={0: 4, 1: 3, 4: 1, 5: 1, 6: 216, 9: kind, 10: values},
           weights=_weights(4, 6, 3, 3))
      for kind, values in ((0, []), (1, []), (2, [0.1]), (3, [-0.5, 0.5]), (4, []), (5, []), (6, [0.2, 0.5]))],
    *[Case("Convolution", params={0: 4, 1: 2, 3: 2, 5: 1, 6: 96}, weights=_weights(4, 6, 2, 2, storage=storage))
      for storage in ("again", "half", "table")],
    Case("Convolution", params={0: 4, 1: 3, 11: 2, 2: 2, 12: 1, 3: 1, 13: 2, 4: 2, 15: 0, 14: 1, 16: 3, 6: 144},
         weights=_weights(4, 6, 2, 3, bias=False)),
    *[Case("Convolution", params={0: 3, 1: 3, 3: 2, 4: same, 5: 1, 6: 162}, weights=_weights(3, 6, 3, 3))
      for same in (-233, -234)],
    Case("Convolution", params={0: 3, 1: 3, 4: 1, 18: 0.5, 5: 1, 6: 162}, weights=_weights(3, 6, 3, 3)),
    Case("ConvolutionDepthWise", params={0: 6, 1: 3, 4: 1, 5: 1, 6: 54, 7: 6, 9: 1}, weights=_weights(6, 1, 3, 3)),
    Case("ConvolutionDepthWise", params={0: 4, 1: 3, 5: 1, 6: 108, 7: 2}, weights=_weights(4, 3, 3, 3)),
    Case("Deconvolution", params={0: 4, 1: 3, 3: 2, 4: 1, 5: 1, 6: 216, 9: 1}, weights=_weights(4, 6, 3, 3)),
    Case("Deconvolution", params={0: 4, 1: 3, 11: 2, 3: 2, 13: 3, 18: 1, 19: 2, 6: 144},
         weights=_weights(4, 6, 2, 3, bias=False)),
    *[Case("Deconvolution", params={0: 4, 1: 3, 3: 2, 4: same, 20: 16, 21: 18, 5: 1, 6: 216},
           weights=_weights(4, 6, 3, 3)) for same in (-233, -234)],
    Case("DeconvolutionDepthWise", params={0: 6, 1: 4, 3: 2, 4: 1, 5: 1, 6: 96, 7: 6}, weights=_weights(6, 1, 4, 4)),
    Case("DeconvolutionDepthWise", params={0: 4, 1: 2, 3: 2, 6: 48, 7: 2}, weights=_weights(4, 3, 2, 2, bias=False)),
    Case("Convolution1D", inputs=[(5, 12)], params={0: 4, 1: 3, 3: 2, 4: 1, 5: 1, 6: 60}, weights=_weights(4, 5, 3)),
    Case("ConvolutionDepthWise1D", inputs=[(6, 12)], params={0: 6, 1: 3, 2: 2, 5: 1, 6: 18, 7: 6},
         weights=_weights(6, 1, 3)),
    Case("Deconvolution1D", inputs=[(5, 7)], params={0: 4, 1: 3, 3: 2, 5: 1, 6: 60}, weights=_weights(4, 5, 3)),
    Case("DeconvolutionDepthWise1D", inputs=[(6, 7)], params={0: 6, 1: 3, 3: 2, 6: 18, 7: 6},
         weights=_weights(6, 1, 3, bias=False)),
    Case("DeconvolutionDepthWise3D", inputs=[(4, 3, 4, 5)], params={0: 4, 1: 2, 3: 2, 5: 1, 6: 32, 7: 4},
         weights=_weights(4, 1, 2, 2, 2)),
    Case("Convolution3D", inputs=[(3, 5, 6, 7)], params={0: 4, 1: 3, 11: 2, 21: 1, 3: 2, 4: 1, 5: 1, 6: 72},
         weights=_weights(4, 3, 1, 2, 3)),
    Case("ConvolutionDepthWise3D", inputs=[(4, 5, 6, 7)], params={0: 4, 1: 2, 5: 1, 6: 32, 7: 4},
         weights=_weights(4, 1, 2, 2, 2)),
    Case("Deconvolution3D", inputs=[(3, 4, 5, 3)], params={0: 2, 1: 2, 3: 2, 5: 1, 6: 48},
         weights=_weights(2, 3, 2, 2, 2)),
    Case("Convolution", params={0: 4, 1: 3, 4: 1, 5: 1, 6: 216, 8: 2, 9: 1}, weights=_int8(4, 6, 3, 3, scales=4)),
    Case("Convolution", params={0: 4, 1: 3, 5: 1, 6: 216, 8: 2}, weights=_int8(4, 6, 3, 3, scales=4, as_float=True)),
    Case("ConvolutionDepthWise", params={0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 1}, weights=_int8(6, 1, 3, 3, scales=6)),
    Case("ConvolutionDepthWise", params={0: 6, 1: 3, 5: 1, 6: 54, 7: 6, 8: 2}, weights=_int8(6, 1, 3, 3, scales=1)),
    Case("InnerProduct", inputs=[(20,)], params={0: 5, 1: 1, 2: 100, 8: 2}, weights=_int8(5, 20, scales=5)),
]  # fmt: skip
POOLING = [
    *[Case("Pooling", params={0: kind, 1: 3, 2: 2, 3: pad, 5: mode, 6: include})
      for kind in (0, 1) for pad in (0, 1) for mode in (0, 1) for include in ((0, 1) if kind else (0,))],
    *[Case("Pooling", params={0: kind, 1: 3, 2: 2, 5: mode}) for kind in (0, 1) for mode in (2, 3)],
    Case("Pooling", params={0: 1, 1: 2, 11: 3, 2: 1, 12: 2, 3: 1, 14: 0, 13: 0, 15: 2, 5: 1}),
    *[Case("Pooling", params={0: kind, 4: 1}) for kind in (0, 1)],
    *[Case("Pooling", params={0: kind, 7: 1, 8: wide, 18: high})
      for kind in (0, 1) for wide, high in ((1, 1), (4, 3), (3, 2), (-233, 4))],
    Case("Pooling1D", inputs=[(5, 12)], params={0: 1, 1: 3, 2: 2, 3: 1}),
    Case("Pooling1D", inputs=[(5, 12)], params={0: 0, 7: 1, 8: 5}),
    Case("Pooling1D", inputs=[(5, 12)], params={0: 1, 4: 1}),
    Case("Pooling3D", inputs=[(3, 5, 6, 7)], params={0: 0, 1: 2, 2: 2}),
    Case("Pooling3D", inputs=[(3, 5, 6, 7)], params={0: 1, 4: 1}),
]  # fmt: skip
LINEAR = [
    Case("InnerProduct", inputs=[(20,)], params={0: 5, 1: 1, 2: 100, 9: 1}, weights=_weights(5, 20)),
    Case("InnerProduct", params={0: 5, 2: 2160}, weights=_weights(5, 432, bias=False)),
    Case("InnerProduct", inputs=[(4, 20)], params={0: 5, 1: 1, 2: 100}, weights=_weights(5, 20)),
    Case("MatMul", inputs=[(4, 5), (5, 6)]),
    Case("MatMul", inputs=[(4, 5), (6, 5)], params={0: 1}),
    Case("MatMul", inputs=[(2, 4, 5), (2, 5, 3)]),
    Case("Gemm", inputs=[(4, 5), (5, 6)], params={0: 0.5}),
    Case("Gemm", inputs=[(4, 5)], params={3: 1, 5: 1, 6: 1, 7: 0, 8: 6, 9: 5, 10: 4},
         weights=tagged(noise(6, 5)) + tagged(noise(6))),
    Case("Gemm", inputs=[(4, 5)], params={2: 1, 5: 1, 6: 1, 8: 6, 9: 4, 10: -1, 14: 1}, weights=tagged(noise(4, 6))),
    Case("MultiHeadAttention", inputs=[(5, 8)], params={0: 8, 1: 2, 2: 64},
         weights=b"".join(tagged(noise(8, 8, seed=n)) + raw(noise(8, seed=n)) for n in range(4))),
    Case("MultiHeadAttention", inputs=[(5, 8), (7, 6), (5, 7)], params={0: 8, 1: 2, 2: 64, 3: 6, 4: 6, 5: 1},
         weights=b"".join(tagged(noise(8, width, seed=width)) + raw(noise(8)) for width in (8, 6, 6, 8))),
    Case("SDPA", inputs=[(2, 5, 4), (2, 7, 4), (2, 7, 3)]),
    Case("SDPA", inputs=[(2, 5, 4), (2, 7, 4), (2, 7, 3), (5, 7)], params={5: 1, 6: 0.3}),
]  # fmt: skip
NORMALISATION = [
    Case("BatchNorm", params={0: 6, 1: 1e-5}, weights=_statistics(6)),
    Case("BatchNorm", inputs=[(7,)], params={0: 7}, weights=_statistics(7)),
    Case("InstanceNorm", params={0: 6, 1: 1e-3}, weights=raw(noise(6)) + raw(noise(6, seed=1))),
    Case("InstanceNorm", params={2: 0}),
    Case("GroupNorm", params={0: 2, 1: 6, 2: 1e-3}, weights=raw(noise(6)) + raw(noise(6, seed=1))),
    Case("GroupNorm", params={0: 3, 1: 6, 3: 0}),
    Case("LayerNorm", inputs=[(5, 8)], params={0: 8, 1: 1e-3}, weights=raw(noise(8)) + raw(noise(8, seed=1))),
    Case("LayerNorm", params={0: 72, 1: 1e-3}, weights=raw(noise(72)) + raw(noise(72, seed=1))),
    Case("LayerNorm", params={0: 8, 2: 0}),
    Case("RMSNorm", inputs=[(5, 8)], params={0: 8, 1: 1e-3}, weights=raw(noise(8))),
    *[Case("LRN", params={0: region, 1: side, 2: 0.5, 3: 0.75, 4: 2.0}) for region in (0, 1) for side in (3, 5)],
    *[Case("MVN", params={0: variance, 1: across}) for variance in (0, 1) for across in (0, 1)],
    *[Case("Normalize", params={0: spatial, 1: shared, 3: 1 if shared else 6, 4: channel, 9: mode},
           weights=raw(noise(1 if shared else 6)))
      for spatial, channel in ((0, 1), (1, 0), (1, 1)) for shared in (0, 1) for mode in (0, 1, 2)],
]  # fmt: skip
REDUCTION = [
    *[Case("Reduction", params={0: op, 1: 0, 3: axes, 4: keep, 5: 1, 2: 0.5}, shift=0.1)
      for op in range(11) for axes, keep in (([1, 2], 0), ([0], 1), ([-1], 0))],
    *[Case("Reduction", params={0: op, 1: 1, 4: keep}, shift=0.1) for op in (0, 3, 4) for keep in (0, 1)],
    Case("Reduction", inputs=[(5, 8)], params={0: 3, 1: 0, 3: [1], 5: 1}),
    *[Case("CumulativeSum", params={0: axis}) for axis in (0, 1, -1)],
]  # fmt: skip
RESAMPLING = [
    *[Case("Interp", params={0: kind, 1: high, 2: wide, 6: align})
      for kind in (1, 2, 3) for high, wide in ((2.0, 2.0), (1.5, 2.5)) for align in ((0, 1) if kind > 1 else (0,))],
    *[Case("Interp", params={0: kind, 3: 5, 4: 13}) for kind in (1, 2, 3)],
    Case("Interp", inputs=[(7,)], params={0: 2, 3: 4, 4: 5}),
    Case("Interp", inputs=[(5, 8)], params={0: 2, 4: 13, 3: 1}),
    Case("Interp", inputs=[MAP, (3, 12, 10)], params={0: 2, 5: 1}),
    Case("Interp", inputs=[MAP, (3, 12, 10)], params={0: 1, 9: "1w,1h"}),
]  # fmt: skip
SHAPES = [
    *[Case("Concat", inputs=[MAP, MAP], params={0: axis}) for axis in (0, 1, -1)],
    Case("Concat", inputs=[(5,), (7,)]),
    *[Case("Crop", params=params) for params in (
        {0: 1, 1: 2, 3: 5, 4: 6, 5: 6}, {0: 1, 3: -233, 4: -233, 5: -233, 6: 2, 8: 1}, {2: 1, 3: 8, 4: 9, 5: 3})],
    Case("Crop", inputs=[MAP, (6, 5, 4)], params={0: 1, 1: 2}),
    Case("Crop", params={9: [1, -5], 10: [4, -1], 11: [0, 2]}),
    Case("Crop", params={9: [1, 0, -233], 10: [-233, 5, 4]}),
    Case("Crop", params={19: "1", 20: "//(0h,2)", 21: "1"}),
    Case("DeepCopy"),
    *[Case("ExpandDims", inputs=[(5, 7)], params={3: axes}) for axes in ([0], [1], [-1])],
    *[Case("Flatten", inputs=[shape]) for shape in (MAP, (5, 7), (7,), (2, 3, 4, 5))],
    *[Case("Flip", params={0: axes}) for axes in ([0], [1, 2], [-1])],
    Case("Noop"),
    *[Case("Padding", params={0: 1, 1: 2, 2: 3, 3: 0, 4: kind, 5: 0.5}) for kind in (0, 1, 2)],
    Case("Padding", params={7: 1, 8: 2, 5: 0.5}),
    Case("Padding", inputs=[(7,)], params={2: 3, 3: 1}),
    *[Case("Permute", params={0: order}) for order in range(6)],
    *[Case("Permute", inputs=[(5, 7)], params={0: order}) for order in range(2)],
    *[Case("Permute", inputs=[(2, 3, 4, 5)], params={0: order}) for order in range(24)],
    *[Case("PixelShuffle", inputs=[(8, 3, 5)], params={0: 2, 1: mode}) for mode in (0, 1)],
    *[Case("Reorg", inputs=[(3, 6, 8)], params={0: 2, 1: mode}) for mode in (0, 1)],
    *[Case("Reshape", params=params) for params in (
        {0: -1}, {0: 8, 1: -1}, {0: -1, 1: 6}, {0: 4, 1: 18, 2: 6}, {0: 0, 1: 0, 2: -1}, {0: 2, 1: 9, 11: 4, 2: 6},
        {6: "0w,-1"}, {6: "*(0w,0h),0c"}, {6: "//(0w,2),-1,+(0c,0)"})],
    *[Case("ShuffleChannel", params={0: group, 1: back}) for group in (2, 3) for back in (0, 1)],
    Case("Slice", params={0: [2, -233, -233]}, tops=3),
    Case("Slice", params={0: [3, 5], 1: 2}, tops=2),
    Case("Slice", params={1: 1, 2: [2, -3]}, tops=3),
    Case("Slice", inputs=[(7,)], params={0: [3, -233]}, tops=2),
    *[Case("Squeeze", inputs=[(1, 5, 1)], params=params) for params in ({3: [0]}, {3: [-1]}, {0: 1, 2: 1}, {1: 1})],
    *[Case("Tile", params=params) for params in ({0: 0, 1: 2}, {0: 2, 1: 3}, {2: [2, 1, 3]})],
    Case("Split"),
]  # fmt: skip
BOXES = [
    Case("PriorBox", inputs=[(6, 4, 5), (3, 40, 50)],
         params={0: [10.0, 20.0], 1: [15.0, 30.0], 2: [2.0], 3: 0.3, 5: 0.4, 9: -233, 10: -233, 13: 0.5}),
    Case("PriorBox", inputs=[(6, 4, 5), (3, 40, 50)],
         params={0: [10.0], 2: [2.0, 3.0], 7: 0, 8: 1, 9: -233, 10: -233, 11: 8.0, 12: 9.0, 13: 0.5}),
]  # fmt: skip
FAMILIES: dict[str, list[Case]] = {
    "activations": ACTIVATIONS,
    "arithmetic": ARITHMETIC,
    "convolutions": CONVOLUTIONS,
    "pooling": POOLING,
    "linear": LINEAR,
    "normalisation": NORMALISATION,
    "reduction": REDUCTION,
    "resampling": RESAMPLING,
    "shapes": SHAPES,
    "boxes": BOXES,
}


# ---- drawn at random


def _convolution(draw: np.random.Generator) -> Case:
    axes = int(draw.choice([1, 2, 2, 2, 3]))
    kind = str(draw.choice(["Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise"]))
    groups = int(draw.integers(1, 5)) if "DepthWise" in kind else 1
    inputs, outputs = groups * int(draw.integers(1, 4)), groups * int(draw.integers(1, 4))
    if "DepthWise" in kind and draw.random() < 0.5:
        inputs = outputs = groups
    kernel = draw.integers(1, 5, axes).tolist()
    sides = draw.integers(9, 14, axes).tolist()
    count = outputs * inputs // groups * int(np.prod(kernel))
    params: dict[int, Param] = {0: outputs, 5: int(draw.integers(2)), 6: count, 7: groups}
    for place, keys in enumerate([(1, 2, 3, 4, 15), (11, 12, 13, 14, 16), (21, 22, 23, 24, 17)][:axes]):
        side = kernel[-1 - place]
        steps = (side, *draw.integers(1, 3, 2).tolist(), *draw.integers(0, 3, 2).tolist())
        params.update(zip(keys, steps, strict=True))
    params[9] = int(draw.integers(0, 6))
    params[10] = {2: [0.2], 3: [-0.3, 0.7]}.get(int(params[9]), [])
    storage = str(draw.choice(["float", "half", "table", "again"]))
    weights = _weights(outputs, inputs // groups, *kernel, bias=bool(params[5]), storage=storage)
    return Case(kind + {1: "1D", 2: "", 3: "3D"}[axes], [(inputs, *sides)], params, weights)


def _pooling(draw: np.random.Generator) -> Case:
    axes = int(draw.choice([1, 2, 2, 2, 3]))
    kernel = draw.integers(2, 5, axes).tolist()
    params: dict[int, Param] = {0: int(draw.integers(2)), 5: int(draw.integers(4)), 6: int(draw.integers(2))}
    same = int(params[5]) > 1
    for keys, side in zip([(1, 2, 3, 14), (11, 12, 13, 15), (21, 22, 23, 16)][:axes], kernel, strict=True):
        pads = [0, 0] if same else draw.integers(0, side // 2 + 1, 2).tolist()
        params.update(zip(keys, (side, int(draw.integers(1, min(side, 3) + 1)), *pads), strict=True))
    shape = (3, *draw.integers(6, 13, axes).tolist())
    return Case({1: "Pooling1D", 2: "Pooling", 3: "Pooling3D"}[axes], [shape], params)


def _interp(draw: np.random.Generator) -> Case:
    kind = int(draw.integers(1, 4))
    shape = (2, *draw.integers(4, 12, 2).tolist())
    align = int(draw.integers(2)) if kind > 1 else 0
    return Case("Interp", [shape], {0: kind, 3: int(draw.integers(2, 20)), 4: int(draw.integers(2, 20)), 6: align})


def _binary(draw: np.random.Generator) -> Case:
    pair = PAIRS[int(draw.integers(len(PAIRS)))]
    return Case("BinaryOp", pair[:: int(draw.choice([1, -1]))], {0: int(draw.choice([0, 1, 2, 4, 5, 7]))})


def _reduction(draw: np.random.Generator) -> Case:
    rank = int(draw.integers(1, 5))
    axes = sorted(draw.choice(rank, int(draw.integers(1, rank + 1)), replace=False).tolist())
    params: dict[int, Param] = {0: int(draw.integers(11)), 1: 0, 3: axes, 4: int(draw.integers(2)), 5: 1}
    return Case("Reduction", [tuple(draw.integers(2, 6, rank).tolist())], params, shift=0.5)


def _slicing(draw: np.random.Generator) -> Case:
    rank = int(draw.integers(1, 5))
    shape = tuple(draw.integers(3, 8, rank).tolist())
    axes = sorted(draw.choice(rank, int(draw.integers(1, rank + 1)), replace=False).tolist())
    starts = [int(draw.integers(0, shape[axis] - 1)) for axis in axes]
    ends = [int(draw.integers(start + 1, shape[axis] + 1)) for start, axis in zip(starts, axes, strict=True)]
    starts = [start - shape[axis] if draw.random() < 0.3 else start for start, axis in zip(starts, axes, strict=True)]
    return Case("Crop", [shape], {9: starts, 10: ends, 11: axes})


def _reshape(draw: np.random.Generator) -> Case:
    shape = tuple(draw.choice([2, 3, 4, 6], int(draw.integers(1, 5))).tolist())
    sizes = [int(np.prod(shape))]
    while len(sizes) < draw.integers(1, 5):
        divisors = [number for number in range(1, sizes[-1] + 1) if sizes[-1] % number == 0]
        part = int(draw.choice(divisors))
        sizes[-1:] = [part, sizes[-1] // part]
    sizes[int(draw.integers(len(sizes)))] = -1
    keys = {1: (0,), 2: (0, 1), 3: (0, 1, 2), 4: (0, 1, 11, 2)}[len(sizes)]
    return Case("Reshape", [shape], dict(zip(keys, sizes, strict=True)))


DRAWN: Sequence[Callable[[np.random.Generator], Case]] = (
    *(_convolution, _convolution, _convolution, _pooling, _pooling),
    *(_interp, _binary, _reduction, _slicing, _reshape),
)


def drawn(seed: int, count: int) -> list[Case]:
    """So many cases, the same for the same seed."""
    draw = np.random.default_rng(seed)
    return [DRAWN[int(draw.integers(len(DRAWN)))](draw) for _ in range(count)]
