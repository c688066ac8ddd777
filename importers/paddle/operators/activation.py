"""Functions of single numbers, and softmax."""

from __future__ import annotations

from functools import partial

from ..operator_writer import OperatorWriter


def plain(op: OperatorWriter, onnx_op: str) -> None:
    """One node without attributes."""
    op.emit(onnx_op, [op.tensor()])


def with_alpha(op: OperatorWriter, onnx_op: str, default: float) -> None:
    """One node whose slope or scale has the same name in both."""
    op.emit(onnx_op, [op.tensor()], alpha=op.attribute("alpha", default))


def selu(op: OperatorWriter) -> None:
    """With the scale and alpha of its paper unless the file says others."""
    alpha, scale = op.attribute("alpha", 1.6732632423543772), op.attribute("scale", 1.0507009873554805)
    op.emit("Selu", [op.tensor()], alpha=alpha, gamma=scale)


def clipped(op: OperatorWriter, low: str, high: str, least: float, most: float) -> None:
    """Between two attributes."""
    x = op.tensor()
    op.emit("Clip", [x, *(op.like(*end, x) for end in _ends(op, low, high, least, most))])


def _ends(op: OperatorWriter, low: str, high: str, least: float, most: float) -> list[tuple[str, float]]:
    ends = (("least", low, least), ("most", high, most))
    return [(role, op.attribute(name, default) if name else default) for role, name, default in ends]


def clip(op: OperatorWriter) -> None:
    """Between two numbers, each an attribute or a tensor of one number."""
    x = op.tensor()
    ends = [
        op.add(f"{side}/scalar", "Squeeze", [op.tensor(side)]) if op.has(side) else op.like(name, number, x)
        for side, name, number in (("Min", "min", op.attribute("min", 0.0)), ("Max", "max", op.attribute("max", 0.0)))
    ]
    op.emit("Clip", [x, *ends])


def hard_sigmoid(op: OperatorWriter) -> None:
    """max(0, min(1, slope x + offset))"""
    op.emit("HardSigmoid", [op.tensor()], alpha=op.attribute("slope", 0.2), beta=op.attribute("offset", 0.5))


def hard_swish(op: OperatorWriter) -> None:
    """x min(max(x + offset, 0), threshold) / scale"""
    x = op.tensor()
    threshold, scale, offset = (
        op.attribute(name, default) for name, default in (("threshold", 6.0), ("scale", 6.0), ("offset", 3.0))
    )
    if (threshold, scale, offset) == (6, 6, 3):
        op.emit("HardSwish", [x])
        return
    if threshold <= 0 or not scale:
        raise op.error(f"its threshold is {threshold} and its scale {scale}; expected numbers above 0")
    gate = op.add("gate", "HardSigmoid", [x], alpha=1 / threshold, beta=offset / threshold)
    gated = op.add("gated", "Mul", [x, gate])
    op.emit("Mul", [gated, op.like("scale", threshold / scale, x)])


def swish(op: OperatorWriter) -> None:
    """x sigmoid(beta x)"""
    x, beta = op.tensor(), op.attribute("beta", 1.0)
    scaled = x if beta == 1 else op.add("scaled", "Mul", [x, op.like("beta", beta, x)])
    op.emit("Mul", [x, op.add("sigmoid", "Sigmoid", [scaled])])


def mish(op: OperatorWriter) -> None:
    """x tanh(softplus(x))"""
    x = op.tensor()
    op.emit("Mul", [x, op.add("tanh", "Tanh", [op.add("softplus", "Softplus", [x])])])


def softplus(op: OperatorWriter) -> None:
    """log(1 + exp(beta x)) / beta. The threshold above which it is x is where both are the same in float32."""
    x, beta = op.tensor(), op.attribute("beta", 1.0)
    if op.attribute("threshold", 20.0) < 15 or beta <= 0:
        raise op.error("its threshold is below 15, or its beta not positive, which changes what it computes")
    if beta == 1:
        op.emit("Softplus", [x])
        return
    factor = op.like("beta", beta, x)
    op.emit("Div", [op.add("softplus", "Softplus", [op.add("scaled", "Mul", [x, factor])]), factor])


def gelu(op: OperatorWriter) -> None:
    """x Φ(x), or its approximation by tanh."""
    x = op.tensor()

    def times(role: str, tensor: str, factor: float) -> str:
        return op.add(role, "Mul", [tensor, op.like(f"{role}/factor", factor, x)])

    if op.attribute("approximate", False):
        cubic = times("cubic", op.add("cube", "Pow", [x, op.like("three", 3, x)]), 0.044715)
        bent = op.add("bent", "Tanh", [times("argument", op.add("sum", "Add", [x, cubic]), 0.7978845608028654)])
    else:
        bent = op.add("bent", "Erf", [times("argument", x, 0.7071067811865476)])
    raised = op.add("raised", "Add", [bent, op.like("one", 1, x)])
    op.emit("Mul", [times("half", x, 0.5), raised])


def prelu(op: OperatorWriter) -> None:
    """A slope for all numbers, for each channel or for each number of an image."""
    op.choice("data_format", "NCHW", "NCHW", "NCL", "NCDHW")
    mode, slope, rank = op.choice("mode", "all", "all", "channel", "element"), op.tensor("Alpha"), len(op.shape())
    if mode != "element":
        target = [1] if mode == "all" else [-1, *[1] * (rank - 2)]
        slope = op.add("slope", "Reshape", [slope, op.int_array("slope/shape", target)])
    op.emit("PRelu", [op.tensor(), slope])


def power(op: OperatorWriter) -> None:
    """To a constant."""
    x = op.tensor()
    if op.has("FactorTensor"):
        raise op.error("its exponent is a tensor, which is not supported")
    op.emit("Pow", [x, op.like("exponent", op.attribute("factor", 1.0), x)])


def square(op: OperatorWriter) -> None:
    """By itself."""
    op.emit("Mul", [op.tensor(), op.tensor()])


def rsqrt(op: OperatorWriter) -> None:
    """1 / sqrt(x)"""
    op.emit("Reciprocal", [op.add("root", "Sqrt", [op.tensor()])])


def softmax(op: OperatorWriter, onnx_op: str) -> None:
    """Along one axis."""
    op.emit(onnx_op, [op.tensor()], axis=op.axis(op.attribute("axis", -1), len(op.shape())))


_PLAIN = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softsign": "Softsign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "floor": "Floor",
    "ceil": "Ceil",
    "reciprocal": "Reciprocal",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "sign": "Sign",
    "logical_not": "Not",
}

OPERATORS = {
    **{kind: partial(plain, onnx_op=onnx_op) for kind, onnx_op in _PLAIN.items()},
    "relu6": partial(clipped, low="", high="threshold", least=0.0, most=6.0),
    "brelu": partial(clipped, low="t_min", high="t_max", least=0.0, most=24.0),
    "leaky_relu": partial(with_alpha, onnx_op="LeakyRelu", default=0.02),
    "elu": partial(with_alpha, onnx_op="Elu", default=1.0),
    "celu": partial(with_alpha, onnx_op="Celu", default=1.0),
    "selu": selu,
    "clip": clip,
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": hard_swish,
    "swish": swish,
    "silu": swish,
    "mish": mish,
    "softplus": softplus,
    "gelu": gelu,
    "prelu": prelu,
    "pow": power,
    "square": square,
    "rsqrt": rsqrt,
    "softmax": partial(softmax, onnx_op="Softmax"),
    "log_softmax": partial(softmax, onnx_op="LogSoftmax"),
}
