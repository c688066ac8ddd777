"""Families of operators, and the colour each has in a drawing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A kind of operator: what the legend calls it, a light fill and a strong line colour."""

    label: str
    fill: str
    line: str


FAMILIES: dict[str, Family] = {
    "input": Family("input, output", "#eef0f3", "#4b5563"),
    "convolution": Family("convolution", "#dbe8f7", "#3573b5"),
    "dense": Family("dense, matmul", "#e6dff4", "#7450b5"),
    "pooling": Family("pooling, reduction", "#dcf0e2", "#37895a"),
    "resize": Family("resize", "#d8f0f2", "#23838c"),
    "normalisation": Family("normalisation", "#e3efd2", "#6b8f2c"),
    "activation": Family("activation", "#fde7d5", "#c56a28"),
    "join": Family("join", "#fbf0c9", "#ab8512"),
    "attention": Family("softmax", "#f9dfe9", "#b9487a"),
    "layout": Family("layout", "#f0f0f1", "#8b919b"),
    "recurrent": Family("recurrent", "#ead9ee", "#93439f"),
    "other": Family("other", "#f1ece4", "#937a5b"),
}

_MEMBERS: dict[str, str] = {
    "convolution": "Conv ConvTranspose ConvInteger QLinearConv DeformConv NhwcConv FusedConv",
    "dense": "Gemm MatMul MatMulInteger QLinearMatMul FusedGemm FusedMatMul Einsum DynamicQuantizeMatMul",
    "pooling": "MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearAveragePool "
    "QLinearGlobalAveragePool MaxRoiPool RoiAlign ReduceMean ReduceMax ReduceMin ReduceSum ReduceProd ReduceL1 "
    "ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare ArgMax ArgMin TopK MaxUnpool",
    "resize": "Resize Upsample GridSample DepthToSpace SpaceToDepth Pad Crop CenterCropPad",
    "normalisation": "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization LRN "
    "LpNormalization MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization SkipLayerNormalization",
    "activation": "Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign "
    "ThresholdedRelu Clip Mish Erf Swish Abs Exp Log Neg Sqrt Reciprocal Pow Sin Cos QLinearSigmoid QLinearLeakyRelu",
    "join": "Add Sub Mul Div Sum Max Min Mean Concat Where QLinearAdd QLinearMul QLinearConcat And Or Xor",
    "attention": "Softmax LogSoftmax Hardmax Attention MultiHeadAttention",
    "layout": "Reshape Transpose Flatten Squeeze Unsqueeze Slice Split Gather GatherND GatherElements Expand Tile "
    "Identity Cast CastLike Dropout QuantizeLinear DequantizeLinear DynamicQuantizeLinear Shape Size ConstantOfShape "
    "Constant Range ScatterND ScatterElements ReverseSequence",
    "recurrent": "LSTM GRU RNN",
}

_FAMILY_OF = {op: family for family, ops in _MEMBERS.items() for op in ops.split()}


def family_of(op: str) -> str:
    """The family of an ONNX operator, "other" where it has none; other domains go by the operator's own name."""
    return _FAMILY_OF.get(op.rpartition(".")[2], "other")


def blend(colour: str, other: str, share: float) -> str:
    """`share` of the way from `colour` to `other`, both "#rrggbb".

    >>> blend("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)
