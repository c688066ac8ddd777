"""Random PaddlePaddle programs that combine numbers, move them, or compute sizes; see paddle_cases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tiny_paddle

if TYPE_CHECKING:
    from paddle_cases import Case

Array = np.ndarray
_erf = np.vectorize(math.erf)


def _sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def _softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


# Operator, attributes, definition.
ACTIVATIONS: tuple[tuple[str, dict[str, Any], Callable[[Array], Array]], ...] = (
    ("relu", {}, lambda x: np.maximum(x, 0)),
    ("relu6", {"threshold": 6.0}, lambda x: np.clip(x, 0, 6)),
    ("brelu", {"t_min": -1.0, "t_max": 0.5}, lambda x: np.clip(x, -1, 0.5)),
    ("clip", {"min": -0.5, "max": 1.5}, lambda x: np.clip(x, -0.5, 1.5)),
    ("leaky_relu", {"alpha": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    ("elu", {"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    ("celu", {"alpha": 0.7}, lambda x: np.maximum(x, 0) + np.minimum(0.7 * np.expm1(x / 0.7), 0)),
    ("selu", {"scale": 1.1, "alpha": 1.5}, lambda x: 1.1 * np.where(x > 0, x, 1.5 * np.expm1(x))),
    ("hard_sigmoid", {"slope": 0.25, "offset": 0.4}, lambda x: np.clip(0.25 * x + 0.4, 0, 1)),
    ("hard_swish", {"threshold": 6.0, "scale": 6.0, "offset": 3.0}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    ("swish", {"beta": 1.0}, lambda x: x * _sigmoid(x)),
    ("silu", {}, lambda x: x * _sigmoid(x)),
    ("mish", {"threshold": 20.0}, lambda x: x * np.tanh(_softplus(x))),
    ("softplus", {"beta": 2.0, "threshold": 20.0}, lambda x: _softplus(2 * x) / 2),
    ("softsign", {}, lambda x: x / (1 + np.abs(x))),
    ("gelu", {"approximate": False}, lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2),
    ("gelu", {"approximate": True}, lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2),
    ("sigmoid", {}, _sigmoid),
    ("tanh", {}, np.tanh),
    ("exp", {}, np.exp),
    ("abs", {}, np.abs),
    ("square", {}, np.square),
    ("floor", {}, np.floor),
    ("ceil", {}, np.ceil),
    ("erf", {}, _erf),
    ("pow", {"factor": 2.0}, np.square),
    ("scale", {"scale": 2.0, "bias": 0.5, "bias_after_scale": True}, lambda x: 2 * x + 0.5),
    ("scale", {"scale": 2.0, "bias": 0.5, "bias_after_scale": False}, lambda x: 2 * (x + 0.5)),
)
POSITIVE: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("log", np.log),
    ("sqrt", np.sqrt),
    ("rsqrt", lambda x: 1 / np.sqrt(x)),
    ("reciprocal", lambda x: 1 / x),
)


def activation(case: Case) -> None:
    """Some of them, of one image."""
    image = case.image().astype(np.float64)
    for at in case.generator.permutation(len(ACTIVATIONS))[:9]:
        kind, said, definition = ACTIVATIONS[at]
        case.step(kind, {"X": "x"}, {"Out": definition(image)}, **said)


def of_positive(case: Case) -> None:
    """Logarithms and roots."""
    value = case.feed(case.numbers(2, 3, 4, 5, least=0.2))
    kind, definition = case.pick(POSITIVE)
    case.step(kind, {"X": "x"}, {"Out": definition(value)})


def prelu(case: Case) -> None:
    """With each number of slopes."""
    image, mode = case.image(), case.pick(["all", "channel", "element"])
    shape = {"all": (1,), "channel": image.shape[1:2], "element": (1, *image.shape[1:])}[mode]
    slope = case.store(case.numbers(*shape))
    across = slope[:, None, None] if mode == "channel" else slope
    case.step("prelu", {"X": "x", "Alpha": "w"}, {"Out": np.where(image > 0, image, across * image)}, mode=mode)


def softmax(case: Case) -> None:
    """Along any axis; its logarithm, too."""
    image, axis = case.image(), case.integer(-4, 3)
    powers = np.exp(image)
    result = powers / powers.sum(axis, keepdims=True)
    if case.chance(0.5):
        case.step("softmax", {"X": "x"}, {"Out": result}, axis=axis)
    else:
        case.step("log_softmax", {"X": "x"}, {"Out": np.log(result)}, axis=axis)


COMBINED = {
    "elementwise_add": np.add,
    "elementwise_sub": np.subtract,
    "elementwise_mul": np.multiply,
    "elementwise_div": np.divide,
    "elementwise_max": np.maximum,
    "elementwise_min": np.minimum,
    "less_than": np.less,
    "greater_equal": np.greater_equal,
    "not_equal": np.not_equal,
}


def combined(case: Case) -> None:
    """X and a Y that has some of its axes."""
    image, kind = case.image(), case.pick(list(COMBINED))
    first = case.integer(0, 3)
    last = case.integer(first + 1, 4)
    axis = -1 if last == 4 and case.chance(0.5) else first
    value = case.numbers(*image.shape[first:last], least=0.5)
    across = value.reshape(*value.shape, *[1] * (4 - last))
    (case.store if case.chance(0.7) else case.feed)(value, "w")
    case.step(kind, {"X": "x", "Y": "w"}, {"Out": COMBINED[kind](image, across)}, axis=axis)


def matmul(case: Case) -> None:
    """Either turned."""
    older, turned = case.chance(0.4), (case.chance(0.5), case.chance(0.5))
    rows, inner, columns = (case.integer(1, 4) for _ in range(3))
    lead = [case.integer(1, 3) for _ in range(case.integer(0, 2))]
    x = case.feed(case.numbers(*lead, *((inner, rows) if turned[0] else (rows, inner))))
    y = case.numbers(*lead, *((columns, inner) if turned[1] else (inner, columns)))
    (case.store if case.chance(0.5) else case.feed)(y, "w")
    result = (np.swapaxes(x, -1, -2) if turned[0] else x) @ (np.swapaxes(y, -1, -2) if turned[1] else y)
    if older:
        said: dict[str, Any] = {"transpose_X": turned[0], "transpose_Y": turned[1], "alpha": 0.5}
        case.step("matmul", {"X": "x", "Y": "w"}, {"Out": result * 0.5}, **said)
    else:
        case.step("matmul_v2", {"X": "x", "Y": "w"}, {"Out": result}, trans_x=turned[0], trans_y=turned[1])


def product(case: Case) -> None:
    """By a matrix; axes behind the first ones as one."""
    shape = [case.integer(1, 4) for _ in range(case.integer(2, 4))]
    kept = case.integer(1, len(shape) - 1)
    x, weight = case.feed(case.numbers(*shape)), case.store(case.numbers(math.prod(shape[kept:]), 3))
    result = x.reshape(*shape[:kept], -1) @ weight
    if case.chance(0.5):
        case.step("mul", {"X": "x", "Y": "w"}, {"Out": result}, x_num_col_dims=kept, y_num_col_dims=1)
        return
    bias = case.store(case.numbers(3), "b")
    names, said = {"Input": "x", "W": "w", "Bias": "b"}, {"in_num_col_dims": kept, "activation_type": "relu"}
    case.step("fc", names, {"Out": np.maximum(result + bias, 0)}, **said)


REDUCED = {"reduce_sum": np.sum, "reduce_mean": np.mean, "reduce_max": np.max, "reduce_min": np.min}


def reduced(case: Case) -> None:
    """Along some axes or all."""
    image, kind, kept = case.image(), case.pick(list(REDUCED)), case.chance(0.5)
    axes = sorted(case.generator.choice(4, case.integer(1, 3), replace=False).tolist())
    everything = case.chance(0.2)
    result = np.asarray(REDUCED[kind](image, None if everything else tuple(axes), keepdims=kept))
    written = [axis - 4 if case.chance(0.3) else axis for axis in axes]
    case.step(kind, {"X": "x"}, {"Out": result}, dim=written, keep_dim=kept, reduce_all=everything)


def extreme(case: Case) -> None:
    """Where the largest is."""
    image, axis, kept = case.image(), case.integer(0, 3), case.chance(0.5)
    said = {"axis": axis, "keepdims": kept, "flatten": False, "dtype": 3}
    case.step("arg_max", {"X": "x"}, {"Out": image.argmax(axis, keepdims=kept)}, **said)


def largest(case: Case) -> None:
    """And the next ones."""
    value = case.feed(case.numbers(3, 6))
    count = case.integer(1, 6)
    places = np.argsort(-value, 1)[:, :count]
    found = {"Out": np.take_along_axis(value, places, 1), "Indices": places}
    case.step("top_k_v2", {"X": "x"}, found, k=count, axis=-1, largest=True, sorted=True)


def reshaped(case: Case) -> None:
    """To a shape that is written down, with 0 and -1."""
    image = case.image()
    count, channels, rows, columns = image.shape
    target, result = case.pick([
        ([0, -1], (count, -1)),
        ([0, 0, -1], (count, channels, rows * columns)),
        ([-1, channels * rows * columns], (count, -1)),
        ([0, 1, channels, rows, columns], (count, 1, channels, rows, columns)),
    ])  # fmt: skip
    case.step("reshape2", {"X": "x"}, {"Out": image.reshape(result)}, shape=target)


def by_its_own_sizes(case: Case) -> None:
    """The number of images from `shape`, cut out, scaled and joined with others to a shape."""
    image = case.image()
    shape = np.array(image.shape, np.int32)
    case.step("shape", {"Input": "x"}, {"Out": shape})
    case.steps.append(
        tiny_paddle.step(
            "slice", {"Input": "Out0"}, {"Out": "count"}, axes=[0], starts=[0], ends=[1], decrease_axis=[0]
        )
    )
    for name, number in (("all", -1), ("one", 1)):
        said = {"shape": [1], "value": float(number), "dtype": 2}
        case.steps.append(tiny_paddle.step("fill_constant", {}, {"Out": name}, **said))
    names = {"X": "x", "ShapeTensor": ["count", "one", "all"]}
    case.steps.append(tiny_paddle.step("reshape2", names, {"Out": "flat"}, shape=[-1, 1, -1]))
    case.expected["flat"] = image.reshape(len(image), 1, -1)


def axes_moved(case: Case) -> None:
    """Transposed, flattened, squeezed, unsqueezed."""
    image = case.image(channels=case.pick([1, 3]))
    kind = case.integer(0, 4)
    if kind == 0:
        perm = case.generator.permutation(4).tolist()
        case.step("transpose2", {"X": "x"}, {"Out": image.transpose(perm)}, axis=perm)
    elif kind == 1:
        start = case.integer(0, 3)
        stop = case.integer(start, 3)
        shape = (*image.shape[:start], -1, *image.shape[stop + 1 :])
        said = {"start_axis": start, "stop_axis": stop}
        case.step("flatten_contiguous_range", {"X": "x"}, {"Out": image.reshape(shape)}, **said)
    elif kind == 2:
        axis = case.integer(0, 4)
        case.step("flatten2", {"X": "x"}, {"Out": image.reshape(math.prod(image.shape[:axis]), -1)}, axis=axis)
    elif kind == 3:  # an axis that is not of one stays
        result = image[:, 0] if image.shape[1] == 1 else image
        case.step("squeeze2", {"X": "x"}, {"Out": result}, axes=[1])
    else:
        axes = [case.integer(0, 4), case.integer(0, 4)]
        result = image
        for axis in axes:
            result = np.expand_dims(result, axis)
        case.step("unsqueeze2", {"X": "x"}, {"Out": result}, axes=axes)


def joined(case: Case) -> None:
    """Concatenated or stacked."""
    image, axis = case.image(), case.integer(-4, 3)
    if case.chance(0.5):
        other = case.feed(case.numbers(*image.shape), "y")
        case.step("stack", {"X": ["x", "y"]}, {"Y": np.stack([image, other], axis)}, axis=axis)
        return
    shape = list(image.shape)
    shape[axis] = case.integer(1, 3)
    other = (case.store if case.chance(0.4) else case.feed)(case.numbers(*shape), "y")
    case.step("concat", {"X": ["x", "y"]}, {"Out": np.concatenate([image, other], axis)}, axis=axis)


def divided(case: Case) -> None:
    """Into even parts, given ones, or slices."""
    image = case.image(channels=6)
    kind = case.integer(0, 2)
    if kind == 0:
        count = case.pick([2, 3])
        said: dict[str, Any] = {"num": count, "sections": [], "axis": 1}
        case.step("split", {"X": "x"}, {"Out": np.split(image, count, 1)}, **said)
    elif kind == 1:
        said = {"num": 0, "sections": [1, -1, 2], "axis": 1}
        case.step("split", {"X": "x"}, {"Out": np.split(image, [1, 4], 1)}, **said)
    else:
        parts = [image[:, at] for at in range(6)]
        case.step("unstack", {"X": "x"}, {"Y": parts}, axis=1, num=6)


def cut(case: Case) -> None:
    """From starts to ends, with steps, and without axes of one."""
    image = case.image(channels=4)
    start, end, step = case.integer(-4, 1), case.pick([3, 4, 100]), case.integer(1, 3)
    if case.chance(0.5):
        said: dict[str, Any] = {"axes": [1, 2], "starts": [start, 1], "ends": [end, -1], "strides": [step, 1]}
        said.update(infer_flags=[1, 1])
        case.step("strided_slice", {"Input": "x"}, {"Out": image[:, start:end:step, 1:-1]}, **said)
        return
    gone = case.chance(0.5)
    said = {"axes": [1, 3], "starts": [1, 0], "ends": [2, 2], "decrease_axis": [1] if gone else []}
    result = image[:, 1, :, :2] if gone else image[:, 1:2, :, :2]
    case.step("slice", {"Input": "x"}, {"Out": result}, **said)


def bordered(case: Case) -> None:
    """Each form of padding."""
    image, mode = case.image(), case.pick(["constant", "reflect", "edge"])
    top, bottom, left, right = (case.integer(0, 2) for _ in range(4))
    pairs = ((0, 0), (0, 0), (top, bottom), (left, right))
    values = {"constant_values": 1.5} if mode == "constant" else {}
    result = np.pad(image, pairs, mode=mode, **values)  # type: ignore[call-overload]
    if case.chance(0.5):
        said: dict[str, Any] = {"paddings": [top, bottom, left, right], "mode": mode, "pad_value": 1.5}
        case.step("pad2d", {"X": "x"}, {"Out": result}, data_format="NCHW", **said)
        return
    said = {"paddings": [left, right, top, bottom, 0, 0], "value": 1.5, "data_format": "NCDHW"}
    said["mode"] = {"edge": "replicate"}.get(mode, mode)
    case.feeds["x"] = image[:, :, None]
    case.step("pad3d", {"X": "x"}, {"Out": result[:, :, None]}, **said)


def shuffled(case: Case) -> None:
    """Channels as pixels, or side by side with those of other groups."""
    image = case.image(channels=4 * case.integer(1, 2))
    count, channels, rows, columns = image.shape
    if case.chance(0.5):
        blocks = image.reshape(count, channels // 4, 2, 2, rows, columns).transpose(0, 1, 4, 2, 5, 3)
        result = blocks.reshape(count, channels // 4, 2 * rows, 2 * columns)
        case.step("pixel_shuffle", {"X": "x"}, {"Out": result}, upscale_factor=2, data_format="NCHW")
    else:
        result = image.reshape(count, 2, channels // 2, rows, columns).swapaxes(1, 2).reshape(image.shape)
        case.step("shuffle_channel", {"X": "x"}, {"Out": result}, group=2)


def repeated(case: Case) -> None:
    """Along axes of one, or all."""
    value = case.feed(case.numbers(2, 1, 3))
    if case.chance(0.5):
        case.step("expand_v2", {"X": "x"}, {"Out": np.tile(value, (1, 4, 1))}, shape=[-1, 4, 3])
    else:
        times = [case.integer(1, 2) for _ in range(3)]
        case.step("tile", {"X": "x"}, {"Out": np.tile(value, times)}, repeat_times=times)


def picked(case: Case) -> None:
    """Entries by their numbers; either of two; reversed."""
    image, kind = case.image(), case.integer(0, 2)
    if kind == 0:
        axis = case.integer(0, 3)
        places = case.store(case.generator.integers(0, image.shape[axis], 5), "i")
        case.step("gather", {"X": "x", "Index": "i"}, {"Out": image.take(places, axis)}, axis=axis)
    elif kind == 1:
        other = case.feed(case.numbers(*image.shape), "y")
        case.step("less_than", {"X": "x", "Y": "y"}, {"Out": image < other}, axis=-1)
        case.steps.append(tiny_paddle.step("where", {"Condition": "Out0", "X": "x", "Y": "y"}, {"Out": "either"}))
        case.expected["either"] = np.minimum(image, other)
    else:
        axes = [case.integer(0, 3)]
        case.step("flip", {"X": "x"}, {"Out": np.flip(image, axes)}, axis=axes)


def measured(case: Case) -> None:
    """Lengths of vectors."""
    image, axis, order = case.image(), case.integer(0, 3), case.pick([1.0, 2.0])
    if case.chance(0.5):
        result = image / np.sqrt((image**2).sum(axis, keepdims=True) + 1e-10)
        case.step("norm", {"X": "x"}, {"Out": result}, axis=axis, epsilon=1e-10)
    else:
        result = np.linalg.norm(image, order, axis, keepdims=True)
        case.step("p_norm", {"X": "x"}, {"Out": result}, porder=order, axis=axis, keepdim=True, epsilon=1e-12)


def filled(case: Case) -> None:
    """One number in a shape, as many rows as images; added to those."""
    value = case.feed(case.numbers(case.integer(1, 3), 4))
    said = {"shape": [-1, 4], "value": 2.5, "dtype": 5, "input_dim_idx": 0, "output_dim_idx": 0}
    full = np.full(value.shape, 2.5, np.float32)
    case.step("fill_constant_batch_size_like", {"Input": "x"}, {"Out": full}, **said)
    case.steps.append(tiny_paddle.step("sum", {"X": ["x", "Out0", "x"]}, {"Out": "total"}))
    case.expected["total"] = 2 * value + full


MOVEMENTS: dict[str, Callable[[Case], None]] = {
    each.__name__: each
    for each in (
        *(activation, of_positive, prelu, softmax, combined, matmul, product, reduced, extreme, largest),
        *(reshaped, by_its_own_sizes, axes_moved, joined, divided, cut, bordered, shuffled, repeated, picked),
        *(measured, filled),
    )
}
