"""Random Core ML layers that have no windows, with what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from coreml_cases import Case, Draw

Array = np.ndarray


def per_channel(values: Array) -> Array:
    return values.reshape(-1, 1, 1)


# ---- functions of each number


def activation(draw: Draw) -> Case:
    x, alpha, beta = draw.numbers(2, 3, 2, 4), 0.3, 1.7
    slopes, slopes2 = draw.numbers(3), draw.numbers(draw.pick([1, 3]))
    softplus = np.log1p(np.exp(per_channel(slopes2) * x)) * per_channel(slopes)
    name, param, y = draw.pick(
        [
            ("linear", {"alpha": alpha, "beta": beta}, alpha * x + beta),
            ("ReLU", {}, x.clip(0)),
            ("leakyReLU", {"alpha": alpha}, np.where(x < 0, alpha * x, x)),
            ("thresholdedReLU", {"alpha": alpha}, np.where(x >= np.float32(alpha), x, 0)),
            ("PReLU", {"alpha": slopes}, np.where(x < 0, per_channel(slopes) * x, x)),
            ("tanh", {}, np.tanh(x)),
            ("scaledTanh", {"alpha": alpha, "beta": beta}, alpha * np.tanh(beta * x)),
            ("sigmoid", {}, 1 / (1 + np.exp(-x))),
            ("sigmoidHard", {"alpha": alpha, "beta": 0.5}, (alpha * x + 0.5).clip(0, 1)),
            ("ELU", {"alpha": alpha}, np.where(x < 0, alpha * (np.exp(x) - 1), x)),
            ("softsign", {}, x / (1 + np.abs(x))),
            ("softplus", {}, np.log1p(np.exp(x))),
            ("parametricSoftplus", {"alpha": slopes, "beta": slopes2}, softplus),
        ]
    )
    return Case("activation", {name: param}, [x], [y], True)


def unary(draw: Draw) -> Case:
    x, kind = np.abs(draw.numbers(2, 3, 2, 2)) + 0.5, draw.integer(0, 7)
    scale, shift, alpha = draw.pick([0.0, 2.0]), draw.pick([0.0, 0.25]), 1.5
    z = x * (scale or 1) + shift
    epsilon = draw.pick([0.0, 0.5])
    kept = z + (epsilon or 1e-6)
    found = (np.sqrt(z), 1 / np.sqrt(kept), 1 / kept, z**alpha, np.exp(z), np.log(z), np.abs(z), np.maximum(z, alpha))
    param = {"type": kind, "scale": scale, "shift": shift, "alpha": alpha, "epsilon": epsilon}
    return Case("unary", param, [x], [found[kind]], True)


def function(draw: Draw) -> Case:
    x = draw.random.uniform(-0.9, 0.9, draw.sizes(draw.integer(1, 5))).astype(np.float32)
    big = 1 + np.abs(x)
    spread = 10 * x
    erf = np.vectorize(math.erf)
    cube = np.sqrt(2 / np.pi) * (spread + 0.044715 * spread.astype(np.float64) ** 3)
    kind, param, x, y = draw.pick(
        [
            *((name, {}, x, getattr(np, name)(x)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp2")),
            ("asin", {}, x, np.arcsin(x)),
            ("acos", {}, x, np.arccos(x)),
            ("atan", {}, x, np.arctan(x)),
            ("asinh", {}, x, np.arcsinh(x)),
            ("acosh", {}, big, np.arccosh(big)),
            ("atanh", {}, x, np.arctanh(x)),
            ("ceil", {}, spread, np.ceil(spread)),
            ("floor", {}, spread, np.floor(spread)),
            ("round", {}, spread, np.round(spread)),
            ("sign", {}, spread, np.sign(spread)),
            ("erf", {}, spread, erf(spread)),
            ("copy", {}, x, x),
            ("clip", {"minVal": -3.0, "maxVal": 2.0}, spread, spread.clip(-3, 2)),
            (
                "clampedReLU",
                {"alpha": 0.5, "beta": 2.0},
                spread,
                np.minimum(2, np.where(spread < 0, spread / 2, spread)),
            ),
            ("gelu", {"mode": 0}, spread, spread * (1 + erf(spread / np.sqrt(2))) / 2),
            ("gelu", {"mode": 1}, spread, spread * (1 + np.tanh(cube)) / 2),
            ("gelu", {"mode": 2}, spread, spread / (1 + np.exp(-1.702 * spread.astype(np.float64)))),
        ]
    )
    return Case(kind, param, [x], [y])


# ---- several inputs


def together(draw: Draw) -> Case:
    """The layers of the first versions: any number of inputs, some of one pixel or one channel."""
    kind = draw.pick(["add", "multiply", "max", "min", "average"])
    shapes = [(2, 3, 2, 4), draw.pick([(2, 3, 1, 1), (2, 1, 2, 4), (2, 3, 2, 4)]), (2, 3, 2, 4)]
    xs = [draw.numbers(*shape) for shape in shapes[: draw.integer(2, 3)]]
    whole = [np.broadcast_to(x, shapes[0]) for x in xs]
    if kind in ("add", "multiply") and draw.chance():
        y = xs[0] + np.float32(0.7) if kind == "add" else xs[0] * np.float32(0.7)
        return Case(kind, {"alpha": 0.7}, xs[:1], [y], True)
    found = {"add": np.sum, "multiply": np.prod, "max": np.max, "min": np.min, "average": np.mean}[kind](whole, axis=0)
    return Case(kind, {}, xs, [found], True)


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "addBroadcastable": np.add, "subtractBroadcastable": np.subtract, "multiplyBroadcastable": np.multiply,
    "divideBroadcastable": np.divide, "maxBroadcastable": np.maximum, "minBroadcastable": np.minimum,
    "powBroadcastable": lambda a, b: np.abs(a) ** b, "floorDivBroadcastable": np.floor_divide,
    "modBroadcastable": np.mod, "equal": np.equal, "notEqual": np.not_equal, "lessThan": np.less,
    "lessEqual": np.less_equal, "greaterThan": np.greater, "greaterEqual": np.greater_equal,
    "logicalAnd": np.logical_and, "logicalOr": np.logical_or, "logicalXor": np.logical_xor,
}  # fmt: skip


def binary(draw: Draw) -> Case:
    kind = draw.pick(list(BINARY))
    shape = draw.sizes(draw.integer(1, 4))
    other = tuple(size if draw.chance() else 1 for size in shape)[draw.integer(0, len(shape) - 1) :]
    a, b = (draw.random.integers(-3, 4, size).astype(np.float32) for size in (shape, other))
    if kind in ("divideBroadcastable", "floorDivBroadcastable", "modBroadcastable"):
        b = b + np.float32(0.5)
    if kind == "powBroadcastable":
        a = np.abs(a) + np.float32(0.5)
    return Case(kind, {}, [a, b], [BINARY[kind](a, b).astype(np.float32)])


def compared_with_a_number(draw: Draw) -> Case:
    kind = draw.pick(["equal", "notEqual", "lessThan", "lessEqual", "greaterThan", "greaterEqual"])
    x = draw.random.integers(-2, 3, (3, 4)).astype(np.float32)
    return Case(kind, {"alpha": 1.0}, [x], [BINARY[kind](x, 1.0).astype(np.float32)])


def chosen(draw: Draw) -> Case:
    which, a, b = draw.random.integers(0, 2, (3, 1)).astype(np.float32), draw.numbers(3, 4), draw.numbers(1, 4)
    if draw.chance():
        return Case("logicalNot", {}, [which], [1 - which])
    return Case("whereBroadcastable", {}, [which, a, b], [np.where(which != 0, a, b)])


def learned(draw: Draw) -> Case:
    """Scale and bias, of every shape they may have."""
    x = draw.numbers(2, 3, 2, 4)
    shapes = [draw.pick([(1,), (3,), (1, 2, 4), (3, 2, 4)]) for _ in range(2)]
    stored = [draw.numbers(*shape) for shape in shapes]
    spread = [each.reshape(-1, 1, 1) if each.ndim == 1 else each for each in stored]
    if draw.chance():
        return Case("bias", {"shape": shapes[0], "bias": stored[0]}, [x], [x + spread[0]], True)
    param: dict[str, Any] = {"shapeScale": shapes[0], "scale": stored[0]}
    if draw.chance():
        return Case("scale", param, [x], [x * spread[0]], True)
    param |= {"hasBias": True, "shapeBias": shapes[1], "bias": stored[1]}
    return Case("scale", param, [x], [x * spread[0] + spread[1]], True)


def dot(draw: Draw) -> Case:
    a, b, cosine = draw.numbers(2, 5, 1, 1), draw.numbers(2, 5, 1, 1), draw.chance()
    y = (a * b).sum(1, keepdims=True)
    if cosine:
        y = y / np.sqrt((a**2).sum(1, keepdims=True) * (b**2).sum(1, keepdims=True))
    return Case("dot", {"cosineSimilarity": cosine}, [a, b], [y], True)


# ---- matrices


def inner_product(draw: Draw) -> Case:
    shape = draw.sizes(draw.integer(1, 4), 2, 4)
    width = math.prod(shape[1:]) if len(shape) == 4 else shape[-1]
    x, w, bias = draw.numbers(*shape), draw.numbers(5, width), draw.numbers(5) if draw.chance() else None
    rows = x.reshape(len(x), -1) if len(shape) == 4 else x
    y = rows @ w.T + (0 if bias is None else bias)
    param = {"inputChannels": width, "outputChannels": 5, "weights": w}
    more = {} if bias is None else {"hasBias": True, "bias": bias}
    return Case("innerProduct", {**param, **more}, [x], [y], len(shape) == 4)


def matmul(draw: Draw) -> Case:
    if draw.chance():
        x, w, bias = draw.numbers(*draw.sizes(draw.integer(1, 3)), 4), draw.numbers(4, 3), draw.numbers(3)
        sizes = {"weightMatrixFirstDimension": 4, "weightMatrixSecondDimension": 3, "hasBias": True}
        columns = np.ascontiguousarray(w.T)  # one column after another
        return Case("batchedMatmul", {**sizes, "weights": columns, "bias": bias}, [x], [x @ w + bias])
    a, b = draw.numbers(2, 3, 4), draw.numbers(draw.pick([1, 2]), 4, 5)
    flags = draw.chance(), draw.chance()
    given = [np.ascontiguousarray(m.swapaxes(1, 2)) if flag else m for m, flag in zip((a, b), flags, strict=True)]
    return Case("batchedMatmul", {"transposeA": flags[0], "transposeB": flags[1]}, given, [a @ b])


def lookup(draw: Draw) -> Case:
    if draw.chance():
        x, axis = draw.numbers(*draw.sizes(3, 2)), draw.integer(-3, 2)
        index = draw.random.integers(-x.shape[axis], x.shape[axis], draw.sizes(draw.integer(1, 2))).astype(np.float32)
        return Case("gather", {"axis": axis}, [x, index], [np.take(x, index.astype(int), axis)])
    index = draw.random.integers(0, 7, (*draw.sizes(draw.integer(1, 3)), 1)).astype(np.float32)
    table, bias = draw.numbers(4, 7), draw.numbers(4)
    y = table.T[index[..., 0].astype(int)]
    param: dict[str, Any] = {"vocabSize": 7, "embeddingSize": 4, "weights": table}
    if draw.chance():
        param, y = {**param, "hasBias": True, "bias": bias}, y + bias
    return Case("embeddingND", param, [index], [y])


# ---- normalisation


def batchnorm(draw: Draw) -> Case:
    rank = draw.integer(3, 5)
    x = draw.numbers(*draw.sizes(rank - 3), 3, 4, 2)
    gamma, beta, mean, variance = draw.numbers(3), draw.numbers(3), draw.numbers(3), draw.numbers(3) ** 2
    epsilon, instance = draw.pick([0.0, 0.1]), rank == 4 and draw.chance()
    middle, spread = per_channel(mean), per_channel(variance)
    if instance:
        middle, spread = x.mean((-2, -1), keepdims=True), x.var((-2, -1), keepdims=True)
    y = (x - middle) / np.sqrt(spread + (epsilon or 1e-5)) * per_channel(gamma) + per_channel(beta)
    param = {"channels": 3, "epsilon": epsilon, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    flags = {"computeMeanVar": True, "instanceNormalization": True} if instance else {}
    return Case("batchnorm", {**param, **flags}, [x], [y], rank == 4)


def normalised(draw: Draw) -> Case:
    x, kind = draw.numbers(2, 3, 4, 2), draw.pick(["mvn", "l2normalize", "softmax", "lrn"])
    if kind == "mvn":
        across, divided = draw.chance(), draw.chance()
        axes = (1, 2, 3) if across else (2, 3)
        y = x - x.mean(axes, keepdims=True)
        y = y / np.sqrt(x.var(axes, keepdims=True) + 0.1) if divided else y
        return Case(kind, {"acrossChannels": across, "normalizeVariance": divided, "epsilon": 0.1}, [x], [y], True)
    if kind == "l2normalize":
        return Case(kind, {"epsilon": 0.1}, [x], [x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 0.1)], True)
    if kind == "softmax":
        return Case(kind, {}, [x], [np.exp(x) / np.exp(x).sum(1, keepdims=True)], True)
    size, k = draw.pick([1, 3, 5]), draw.pick([0.0, 2.0])
    squares = np.pad(x**2, [(0, 0), (size // 2,) * 2, (0, 0), (0, 0)])
    near = sum(squares[:, at : at + 3] for at in range(size))
    y = x / ((k or 1) + 0.5 / size * near) ** 0.75
    return Case(kind, {"localSize": size, "alpha": 0.5, "beta": 0.75, "k": k}, [x], [y], True)


def normalised_nd(draw: Draw) -> Case:
    x = draw.numbers(*draw.sizes(draw.integer(1, 4), 2))
    if draw.chance():
        axis = draw.integer(-x.ndim, x.ndim - 1)
        return Case("softmaxND", {"axis": axis}, [x], [np.exp(x) / np.exp(x).sum(axis, keepdims=True)])
    count = draw.integer(1, x.ndim)
    shape, axes = x.shape[-count:], tuple(range(-count, 0))
    gamma, beta = draw.numbers(*shape), draw.numbers(*shape)
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 0.1) * gamma + beta
    return Case("layerNormalization", {"normalizedShape": shape, "eps": 0.1, "gamma": gamma, "beta": beta}, [x], [y])


# ---- reduction


REDUCED: dict[str, Callable[..., Array]] = {
    "Sum": np.sum, "Mean": np.mean, "Prod": np.prod, "Max": np.max, "Min": np.min,
    "L1": lambda x, **more: np.abs(x).sum(**more), "L2": lambda x, **more: np.sqrt((x**2).sum(**more)),
    "SumSquare": lambda x, **more: (x**2).sum(**more), "LogSum": lambda x, **more: np.log(x.sum(**more)),
    "LogSumExp": lambda x, **more: np.log(np.exp(x).sum(**more)),
}  # fmt: skip


def reduced(draw: Draw) -> Case:
    name, x = draw.pick(list(REDUCED)), np.abs(draw.numbers(*draw.sizes(draw.integer(1, 4)))) + np.float32(0.1)
    keep, everything = draw.chance(), draw.chance()
    axes = [axis for axis in range(x.ndim) if draw.chance()] or [0]
    along = tuple(range(x.ndim)) if everything else tuple(axes)
    y = np.atleast_1d(REDUCED[name](x, axis=along, keepdims=keep))
    given = [axis - x.ndim if draw.chance() else axis for axis in axes]
    return Case(f"reduce{name}", {"axes": given, "keepDims": keep, "reduceAll": everything}, [x], [y])


def reduced_of_the_first_versions(draw: Draw) -> Case:
    x, mode, over = np.abs(draw.numbers(2, 3, 4, 5)) + np.float32(0.1), draw.integer(0, 9), draw.integer(0, 4)
    axes = ((1, 2, 3), (2, 3), (1,), (2,), (3,))[over]
    if mode == 9 and len(axes) > 1:
        axes, over = (1,), 2
    names = ("Sum", "Mean", "Prod", "", "SumSquare", "L1", "L2", "Max", "Min", "")
    if mode == 3:
        y = np.log(x + 0.1).sum(axis=axes, keepdims=True)
    elif mode == 9:
        y = x.argmax(axis=axes[0], keepdims=True).astype(np.float32)
    else:
        y = REDUCED[names[mode]](x, axis=axes, keepdims=True)
    return Case("reduce", {"mode": mode, "axis": over, "epsilon": 0.1}, [x], [y], True)


def places(draw: Draw) -> Case:
    x = draw.random.permutation(60).reshape(3, 4, 5).astype(np.float32)
    axis = draw.integer(-3, 2)
    if draw.chance():
        kind, gone = draw.pick(["argMax", "argMin"]), draw.chance()
        y = (x.argmax if kind == "argMax" else x.argmin)(axis, keepdims=not gone).astype(np.float32)
        return Case(kind, {"axis": axis, "removeDim": gone}, [x], [y])
    count, bottom = draw.integer(1, 3), draw.chance()
    order = np.argsort(x if bottom else -x, axis).take(range(count), axis)
    return Case(
        "topK",
        {"axis": axis, "K": count, "useBottomK": bottom},
        [x],
        [np.take_along_axis(x, order, axis), order.astype(np.float32)],
    )


MORE: dict[str, Callable[[Draw], Case]] = {
    "activation": activation,
    "unary": unary,
    "function": function,
    "together": together,
    "binary": binary,
    "compared with a number": compared_with_a_number,
    "chosen": chosen,
    "learned": learned,
    "dot": dot,
    "innerProduct": inner_product,
    "batchedMatmul": matmul,
    "lookup": lookup,
    "batchnorm": batchnorm,
    "normalised": normalised,
    "normalised nd": normalised_nd,
    "reduced": reduced,
    "reduced of the first versions": reduced_of_the_first_versions,
    "places": places,
}
