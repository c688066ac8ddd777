"""TensorFlow operators one by one, against their definition in NumPy; and TensorFlow, where a Python has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow_references as references
from tensorflow_graphs import Net
from tensorflow_runs import TENSORFLOW, disagreement, run_ours, run_tensorflow, write_for_tensorflow

F32, I32 = "FLOAT32", "INT32"
CASES: dict[str, Callable[[Net], object]] = {}


def case(function: Callable[[Net], object]) -> Callable[[Net], object]:
    """One of the cases: it writes a graph and returns its output, or several."""
    CASES[function.__name__] = function
    return function


def _image(net: Net, *shape: int) -> str:
    return net.input(net.numbers(*(shape or (2, 5, 6, 4))), "x")


@case
def three_dimensional_convolution(net: Net) -> str:
    x, w = _image(net, 1, 4, 5, 3, 2), net.numbers(2, 3, 1, 2, 3)
    value = np.zeros((1, 2, 3, 2, 3), np.float32)
    padded = np.pad(net.values[x], [(0, 0), (0, 0), (1, 1), (0, 0), (0, 0)])
    for d, h, v in np.ndindex(2, 3, 2):
        part = padded[:, 2 * d : 2 * d + 2, 2 * h : 2 * h + 3, 2 * v : 2 * v + 1]
        value[:, d, h, v] = np.einsum("ndhwi,dhwio->no", part, w)
    return net.add("Conv3D", [x, net.constant(w)], value, strides=[1, 2, 2, 2, 1], padding="SAME", data_format="NDHWC")


@case
def three_dimensional_transposed_convolution(net: Net) -> str:
    x, w = _image(net, 1, 2, 3, 2, 3), net.numbers(2, 2, 1, 4, 3)
    value = np.zeros((1, 4, 6, 2, 4), np.float32)
    for d, h, v in np.ndindex(2, 3, 2):
        value[:, 2 * d : 2 * d + 2, 2 * h : 2 * h + 2, v : v + 1] += np.einsum(
            "ni,dhwoi->ndhwo", net.values[x][:, d, h, v], w
        )
    inputs = [net.ints(value.shape), net.constant(w), x]
    form = {"padding": "VALID", "data_format": "NDHWC"}
    return net.add("Conv3DBackpropInputV2", inputs, value, T=F32, Tshape=I32, strides=[1, 2, 2, 1, 1], **form)


@case
def three_dimensional_pooling(net: Net) -> tuple[str, str]:
    x = _image(net, 1, 4, 4, 6, 2)
    cells = net.values[x].reshape(1, 2, 2, 2, 2, 3, 2, 2)
    options = {"ksize": [1, 2, 2, 2, 1], "strides": [1, 2, 2, 2, 1], "padding": "VALID", "data_format": "NDHWC"}
    return (
        net.add("MaxPool3D", [x], cells.max((2, 4, 6)), **options),
        net.add("AvgPool3D", [x], cells.mean((2, 4, 6)), **options),
    )


@case
def grouped_convolution(net: Net) -> str:
    x, w = _image(net), net.numbers(3, 3, 2, 6)
    pads = references.pads_of((5, 6), (3, 3), (1, 1), (1, 1), True)
    value = references.conv2d(net.values[x], w, (1, 1), (1, 1), pads)
    return net.add("Conv2D", [x, net.constant(w)], value, strides=[1, 1, 1, 1], padding="SAME", data_format="NHWC")


def oldest_largest(net: Net) -> list[str]:
    """TensorFlow has forgotten it."""
    x = _image(net, 3, 4)
    order = np.argsort(-net.values[x])[:, :2]
    return net.add_many("TopK", [x], [np.take_along_axis(net.values[x], order, 1), order.astype(np.int32)], T=F32, k=2)


def oldest_batch_normalisation(net: Net) -> tuple[str, str]:
    """TensorFlow has forgotten it."""
    x = _image(net)
    mean, offset, scale = (net.numbers(4) for _ in range(3))
    variance = np.abs(net.numbers(4)) + 1
    normal = (net.values[x] - mean) / np.sqrt(variance + np.float32(0.01))
    inputs = [x, *map(net.constant, (mean, variance, offset, scale))]
    kind, options = "BatchNormWithGlobalNormalization", {"variance_epsilon": 0.01}
    return (
        net.add(kind, inputs, normal * scale + offset, scale_after_normalization=True, **options),
        net.add(kind, inputs, normal + offset, scale_after_normalization=False, **options),
    )


@case
def products_of_matrices(net: Net) -> tuple[str, ...]:
    a, b = _image(net, 2, 3, 4), net.input(net.numbers(2, 5, 4), "y")
    value = net.values[a] @ net.values[b].swapaxes(1, 2)
    return (
        net.add("BatchMatMulV2", [a, b], value, adj_x=False, adj_y=True),
        net.add("BatchMatMul", [b, a], value.swapaxes(1, 2), adj_x=False, adj_y=True),
        net.add("BatchMatMulV3", [a, b], value, Ta=F32, Tb=F32, Tout=F32, adj_x=False, adj_y=True),
        net.add("Einsum", [a, b], value, N=2, equation="nik,njk->nij"),
    )


@case
def fake_quantisation(net: Net) -> tuple[str, ...]:
    x = _image(net)

    def rounded(low: float, high: float, bits: int, narrow: bool) -> np.ndarray:
        least, most = int(narrow), 2**bits - 1
        scale = (high - low) / (most - least)
        zero = np.clip(np.floor(least - low / scale + 0.5), least, most)
        steps = np.floor(np.clip(net.values[x] / scale + zero, least, most) + 0.5)
        return ((steps - zero) * scale).astype(np.float32)

    def of_inputs(low: float, high: float, bits: int, narrow: bool) -> str:
        inputs = [x, net.constant(low), net.constant(high)]
        value = rounded(low, high, bits, narrow)
        return net.add("FakeQuantWithMinMaxVars", inputs, value, num_bits=bits, narrow_range=narrow)

    fixed = net.add("FakeQuantWithMinMaxArgs", [x], rounded(-1, 1.5, 8, False), min=-1.0, max=1.5, num_bits=8)
    return (fixed, of_inputs(-0.7, 1.3, 8, True), of_inputs(0, 2, 4, False), of_inputs(-1.1, 0.9, 16, False))


@case
def one_hot(net: Net) -> tuple[str, str]:
    x = net.input(np.array([[0, 2, -1], [3, 1, 7]], np.int32), "x")
    there = np.arange(4) == net.values[x][..., None]
    inputs = [x, net.ints(4), net.constant(2.0), net.constant(-1.0)]
    value = np.where(there, 2, -1).astype(np.float32)
    return (
        net.add("OneHot", inputs, value, T=F32, TI=I32, axis=-1),
        net.add("OneHot", inputs, value.transpose(0, 2, 1), T=F32, TI=I32, axis=1),
    )


@case
def running_sums(net: Net) -> tuple[str, str]:
    x = _image(net)
    value = net.values[x]
    exclusive = np.cumsum(value[:, ::-1], 1)[:, ::-1] - value
    return (
        net.add("Cumsum", [x, net.ints(2)], np.cumsum(value, 2), exclusive=False, reverse=False, Tidx=I32),
        net.add("Cumsum", [x, net.ints(1)], exclusive, exclusive=True, reverse=True, Tidx=I32),
    )


@case
def whole_number_arithmetic(net: Net) -> tuple[str, ...]:
    x = net.input(np.array([-7, -3, 0, 5, 8], np.int32), "x")
    y = net.constant([2, -2, 3, -3, 4], np.int32)
    a, b = net.values[x], net.values[y]
    truncated = np.trunc(a / b).astype(np.int32)
    return (
        net.add("FloorDiv", [x, y], a // b),
        net.add("FloorMod", [x, y], a % b),
        net.add("Div", [x, y], truncated),
        net.add("TruncateDiv", [x, y], truncated),
        net.add("Mod", [x, y], a - truncated * b),
        net.add("TruncateMod", [x, y], a - truncated * b),
        net.add("Maximum", [x, y], np.maximum(a, b)),
        net.add("Pow", [x, net.ints(2)], a * a),
    )


@case
def real_divisions(net: Net) -> tuple[str, ...]:
    x = _image(net, 2, 5)
    y = net.constant([2.0, 0.0, -0.5, 1.5, -3.0])
    a, b = net.values[x], net.values[y]
    safe = np.where(b == 0, 1, b)
    z = net.constant(safe)
    return (
        net.add("DivNoNan", [x, y], np.where(b == 0, 0, a / safe)),
        net.add("MulNoNan", [x, y], a * b),
        net.add("RealDiv", [x, z], a / safe),
        net.add("FloorDiv", [x, z], a // safe),
        net.add("FloorMod", [x, z], a % safe),
        net.add("ClipByValue", [x, net.constant(-0.5), net.constant(0.25)], np.clip(a, -0.5, 0.25)),
        net.add("AddN", [x, x, x], 3 * a, N=3),
    )


@case
def truth(net: Net) -> tuple[str, ...]:
    x = net.input(np.array([[1.0, np.nan, np.inf], [-np.inf, 0.0, 2.0]], np.float32), "x")
    value = net.values[x]
    finite = net.add("IsFinite", [x], np.isfinite(value))
    nan = net.add("IsNan", [x], np.isnan(value))
    infinite = net.add("IsInf", [x], np.isinf(value))
    either = net.add("LogicalOr", [nan, infinite], ~np.isfinite(value), T="BOOL")
    both = net.add("LogicalAnd", [either, nan], np.isnan(value), T="BOOL")
    some = net.add("Any", [nan, net.ints([1])], np.isnan(value).any(1), T="BOOL", keep_dims=False, Tidx=I32)
    every = net.add("All", [finite, net.ints([0])], np.isfinite(value).all(0), T="BOOL", keep_dims=False, Tidx=I32)
    return finite, both, some, every


@case
def rows_selected(net: Net) -> str:
    x = _image(net, 3, 2, 2)
    decision = net.constant([True, False, True], bool)
    other = net.constant(np.zeros((3, 2, 2)))
    value = np.where(np.array([True, False, True])[:, None, None], net.values[x], 0).astype(np.float32)
    return net.add("Select", [decision, x, other], value, T=F32)


@case
def cubic_resizing(net: Net) -> tuple[str, ...]:
    x = _image(net, 1, 6, 5, 3)
    made = []
    for corners, centres, size in ((False, False, (9, 4)), (True, False, (3, 11)), (False, True, (12, 7))):
        value = net.values[x].astype(np.float64)
        for axis, new in enumerate(size, start=1):
            value = np.moveaxis(_cubic(np.moveaxis(value, axis, 0), new, corners, centres), 0, axis)
        options = {"align_corners": corners, "half_pixel_centers": centres}
        made.append(net.add("ResizeBicubic", [x, net.ints(size)], value.astype(np.float32), **options))
    return tuple(made)


def _cubic(value: np.ndarray, size: int, corners: bool, centres: bool) -> np.ndarray:
    """Along the first axis; Keys' kernel at places rounded to a 1024th."""
    side, bend = len(value), -0.5 if centres else -0.75
    result = np.zeros((size, *value.shape[1:]))
    for place in range(size):
        at = (
            (place + 0.5) * side / size - 0.5
            if centres
            else place * (side - 1) / (size - 1)
            if corners
            else place * side / size
        )
        whole = int(np.floor(at))
        part, total = round((at - whole) * 1024) / 1024, 0.0
        for near in range(whole - 1, whole + 3):
            if centres and not 0 <= near < side:
                continue
            far = abs(part - (near - whole))
            inner, outer = (
                ((bend + 2) * far - (bend + 3)) * far * far + 1,
                ((far - 5) * far + 8) * bend * far - 4 * bend,
            )
            weight = inner if far <= 1 else outer
            total += weight
            result[place] += weight * value[min(max(near, 0), side - 1)]
        result[place] /= total if centres else 1
    return result


@case
def resizing_of_bytes(net: Net) -> str:
    x = net.input(net.random.integers(0, 256, (1, 3, 4, 3)).astype(np.uint8), "x")
    value = references.resize(net.values[x].astype(np.float32), (6, 5), False, False, False)
    return net.add("ResizeBilinear", [x, net.ints([6, 5])], value, align_corners=False, half_pixel_centers=False)


@case
def what_is_made_of_shapes(net: Net) -> tuple[str, ...]:
    x = _image(net, 2, 3, 4)
    shape = net.add("Shape", [x], np.array([2, 3, 4], np.int64), out_type="INT64")
    count = net.add("Size", [x], np.int32(24), out_type=I32)
    rank = net.add("Rank", [x], np.int32(3))
    steps = net.add("Range", [net.ints(0), count, net.ints(5)], np.arange(0, 24, 5, dtype=np.int32), Tidx=I32)
    ones = net.add("OnesLike", [x], np.ones((2, 3, 4), np.float32))
    filled = net.add(
        "Fill", [steps, net.constant(2.0)], np.zeros((0, 5, 10, 15, 20), np.float32), T=F32, index_type=I32
    )
    wide = net.add("BroadcastTo", [rank, net.ints([2, 2])], np.full((2, 2), 3, np.int32), Tidx=I32)
    both = net.add_many("ShapeN", [x, filled], [np.int32([2, 3, 4]), np.int32([0, 5, 10, 15, 20])], T=F32, N=2)
    zeros = net.add("ZerosLike", [x], np.zeros((2, 3, 4), np.float32))
    shared = net.add("BroadcastArgs", [net.ints([3, 1]), net.ints([2, 1, 4])], np.int32([2, 3, 4]))
    bits = net.add("Cast", [shape], np.array([2, 3, 4], np.float32), SrcT="INT64", DstT=F32)
    return shape, steps, ones, wide, bits, filled, *both, zeros, shared


@case
def picking(net: Net) -> tuple[str, ...]:
    x = _image(net, 3, 4, 2)
    value = net.values[x]
    places = net.constant([[0, 1], [2, 3]], np.int32)
    rows = net.constant([2, 0], np.int64)
    joined = net.add("Concat", [net.ints(1), x, x], np.concatenate([value, value], 1), T=F32, N=2)
    return (
        net.add("GatherNd", [x, places], value[[0, 2], [1, 3]], Tparams=F32, Tindices=I32),
        net.add("Gather", [x, rows], value[[2, 0]], Tparams=F32, Tindices="INT64"),
        net.add("ArgMin", [x, net.ints(-1)], value.argmin(-1), Tidx=I32, output_type="INT64"),
        net.add("EuclideanNorm", [x, net.ints([0])], np.linalg.norm(value, axis=0), keep_dims=False, Tidx=I32),
        joined,
    )


@case
def hyperbolic(net: Net) -> tuple[str, ...]:
    x = net.input(net.random.uniform(-0.9, 0.9, (2, 3)).astype(np.float32), "x")
    value = net.values[x]
    higher = net.add("AddV2", [x, net.constant(2.0)], value + 2)
    acosh = net.add("Acosh", [higher], np.arccosh(value + 2))
    biased = net.add("BiasAddV1", [x, net.constant([1.0, 2.0, 3.0])], value + np.float32([1, 2, 3]))
    functions = {
        "Acos": np.arccos, "Asin": np.arcsin, "Atanh": np.arctanh, "Sinh": np.sinh, "Cosh": np.cosh, "Tan": np.tan,
        "LeakyRelu": lambda v: np.where(v > 0, v, np.float32(0.3) * v), "CheckNumerics": lambda v: v,
    }  # fmt: skip
    more = {"LeakyRelu": {"alpha": 0.3}, "CheckNumerics": {"message": "no"}}
    made = [net.add(kind, [x], function(value), **more.get(kind, {})) for kind, function in functions.items()]
    return acosh, biased, *made


def channels_first(net: Net) -> str:
    """TensorFlow itself has no such kernels on a CPU: NumPy alone says what is right."""
    x, w = _image(net, 2, 4, 6, 6), net.numbers(3, 3, 4, 8)
    last = net.values[x].transpose(0, 2, 3, 1)
    made = references.conv2d(last, w, (1, 1), (1, 1), [(0, 0), (0, 0)])
    form = {"data_format": "NCHW"}
    y = net.add("Conv2D", [x, net.constant(w)], made, strides=[1, 1, 1, 1], padding="VALID", **form)
    bias, scale, mean = (net.numbers(8) for _ in range(3))
    made = made + bias
    y = net.add("BiasAdd", [y, net.constant(bias)], made, **form)
    made = (made - mean) / np.sqrt(np.float32(1.001)) * scale + bias
    constants = map(net.constant, (scale, bias, mean, np.ones(8)))
    y = net.add("FusedBatchNormV3", [y, *constants], made, epsilon=0.001, is_training=False, U=F32, **form)
    made = references.pool(made, (2, 2), (2, 2), [(0, 0), (0, 0)], True)
    y = net.add("AvgPool", [y], made, ksize=[1, 1, 2, 2], strides=[1, 1, 2, 2], padding="VALID", **form)
    blocks = made.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(2, 4, 4, 2)
    return net.add("DepthToSpace", [y], blocks.transpose(0, 3, 1, 2), block_size=2, **form)


def _written(folder: Path, number: int, function: Callable[[Net], object]) -> tuple[Path, Net, list[str]]:
    net = Net()
    made = function(net)
    outputs = [made] if isinstance(made, str) else list(made)  # type: ignore[call-overload]
    path = folder / f"{number}.pb"
    path.write_bytes(net.bytes())
    return path, net, outputs


@pytest.mark.parametrize(
    "function",
    [*CASES.values(), channels_first, oldest_batch_normalisation, oldest_largest],
    ids=lambda function: function.__name__,
)
def test_operators_are_what_they_are_defined_to_be(tmp_path: Path, function: Callable[[Net], object]) -> None:
    path, net, outputs = _written(tmp_path, 0, function)
    found = run_ours(path, outputs, net.feeds)
    wrong = {name: disagreement(net.values[name], ours) for name, ours in zip(outputs, found, strict=True)}
    assert not any(wrong.values()), wrong


@pytest.mark.skipif(not TENSORFLOW, reason="ONNXRAY_TENSORFLOW_PYTHON names no Python that has TensorFlow")
def test_operators_are_what_tensorflow_computes(tmp_path: Path) -> None:
    results = []
    for number, function in enumerate(CASES.values()):
        path, net, outputs = _written(tmp_path, number, function)
        write_for_tensorflow(path, outputs, net.feeds)
        results.append((outputs, run_ours(path, outputs, net.feeds)))
    theirs = run_tensorflow(tmp_path, len(results))
    wrong = []
    for name, (outputs, ours), found in zip(CASES, results, theirs, strict=True):
        reasons = [found] if isinstance(found, str) else map(disagreement, found, ours)
        wrong += [f"{name} {output}: {reason}" for output, reason in zip(outputs, reasons, strict=False) if reason]
    assert not wrong, "\n".join(wrong)
