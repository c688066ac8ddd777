"""What operators do, as far as cost and receptive fields need it, and which tensors do not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from .graph import Graph, Node


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Every output element depends on the elements at the same (broadcast) place of the inputs, and on nothing else.
ELEMENTWISE = _names(
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr "
    "BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout Elu Equal Erf Exp Floor Gelu "
    "Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min "
    "Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh "
    "Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor "
    "com.microsoft.BiasAdd com.microsoft.BiasGelu com.microsoft.DequantizeLinear com.microsoft.FastGelu "
    "com.microsoft.Gelu com.microsoft.QLinearAdd com.microsoft.QLinearLeakyRelu com.microsoft.QLinearMul "
    "com.microsoft.QLinearSigmoid com.microsoft.QuantizeLinear com.microsoft.QuickGelu"
)
REDUCTIONS = _names(
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
    "ReduceSumSquare ArgMax ArgMin"
)
POOLS = _names("AveragePool LpPool MaxPool com.microsoft.QLinearAveragePool")
GLOBAL_POOLS = _names("GlobalAveragePool GlobalLpPool GlobalMaxPool com.microsoft.QLinearGlobalAveragePool")
SOFTMAXES = _names("Hardmax LogSoftmax Softmax")
NORMALISATIONS = _names(
    "GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization MeanVarianceNormalization "
    "RMSNormalization SimplifiedLayerNormalization com.microsoft.SkipLayerNormalization "
    "com.microsoft.SimplifiedLayerNormalization com.microsoft.SkipSimplifiedLayerNormalization"
)
MOVES = _names(
    "CenterCropPad Compress Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather "
    "GatherElements GatherND MaxUnpool NonMaxSuppression NonZero OneHot Pad RandomNormal RandomNormalLike "
    "RandomUniform RandomUniformLike Range Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice "
    "SpaceToDepth Split Squeeze Tile TopK Transpose Trilu Unique Unsqueeze com.microsoft.QLinearConcat"
)
# Arithmetic, but no multiply-accumulate of two operands that the field counts as MACs.
RESAMPLING = _names(
    "AffineGrid Col2Im CumProd CumSum DynamicQuantizeLinear GridSample MaxRoiPool Resize RoiAlign Upsample"
)

RANDOM = _names("Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike")


def bodies(node: Node) -> Iterator[onnx.GraphProto]:
    """The sub-graphs of an If, Loop or Scan, nested ones included."""
    waiting = [value for value in node.attributes.values() if isinstance(value, onnx.GraphProto)]
    while waiting:
        body = waiting.pop()
        yield body
        waiting.extend(a.g for inner in body.node for a in inner.attribute if a.HasField("g"))
        waiting.extend(g for inner in body.node for a in inner.attribute for g in a.graphs)


def operands(node: Node) -> tuple[str, ...]:
    """Every tensor the node reads: its inputs, and what its sub-graphs read from outside."""
    return tuple(dict.fromkeys(name for name in (*node.inputs, *read_by_bodies(node)) if name))


def read_by_bodies(node: Node) -> tuple[str, ...]:
    """What the node's sub-graphs read from outside."""
    inner = tuple(bodies(node))
    made = {name for body in inner for name in _made_in(body)}
    read: dict[str, None] = {}
    for body in inner:
        used = (*(name for step in body.node for name in step.input), *(value.name for value in body.output))
        read.update(dict.fromkeys(name for name in used if name and name not in made))
    return tuple(read)


def _made_in(body: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in body.input)
    yield from (tensor.name for tensor in body.initializer)
    yield from (name for step in body.node for name in step.output)


def constant_tensors(graph: Graph) -> frozenset[str]:
    """Names of the tensors that are the same for every image: weights, shapes, and what is computed from them only."""
    constant = set(graph.initializers)
    for node in graph.nodes:
        if node.op in RANDOM:
            continue
        if node.op in ("Shape", "Size") or all(name in constant for name in operands(node)):
            constant.update(name for name in node.outputs if name)
    return frozenset(constant)
