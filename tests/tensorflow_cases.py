"""Random TensorFlow networks: an image or a matrix, then a few operators that fit what the one before made."""

from __future__ import annotations

import numpy as np
import tensorflow_references as references
from tensorflow_graphs import Net
from tensorflow_movement_cases import MOVEMENTS

_SAME = ("VALID", "SAME")


def draw(seed: int) -> tuple[Net, list[str]]:
    """A network and its outputs."""
    net = Net(np.random.default_rng(seed))
    if net.chance(0.75):
        shape = [net.integer(1, 2), net.integer(3, 8), net.integer(3, 8), net.integer(1, 5)]
    else:
        shape = [net.integer(1, 5) for _ in range(net.integer(1, 5))]
    name = net.input(net.numbers(*shape), "image")
    outputs = []
    for _ in range(net.integer(1, 5)):
        name = step(net, name)
        if net.chance(0.1):
            outputs.append(name)
    if net.chance(0.3):
        name = net.add("Identity", [name], net.values[name])
    return net, list(dict.fromkeys([*outputs, name]))


def step(net: Net, name: str) -> str:
    """One more operator."""
    value = net.values[name]
    if value.dtype != np.float32:
        return net.add("Cast", [name], value.astype(np.float32), SrcT=_kind(value), DstT="FLOAT32")
    if value.ndim == 4 and net.chance(0.6):
        return net.pick(IMAGES)(net, name)
    return net.pick([*ANY, *MOVEMENTS])(net, name)


def _kind(value: np.ndarray) -> str:
    return value.dtype.name.upper()


def _window(net: Net, sides: tuple[int, ...], dilated: bool = True) -> tuple[list[int], list[int], list[int], str]:
    """Kernel, strides, dilations and padding that fit."""
    kernel = [net.integer(1, min(3, side)) for side in sides]
    strides, apart = [net.integer(1, 2)] * 2, [1, 1]
    padding = net.pick(_SAME)
    if dilated and strides == [1, 1] and net.chance(0.3):
        apart = [net.integer(1, 2)] * 2
        if padding == "VALID" and any((k - 1) * a + 1 > s for k, a, s in zip(kernel, apart, sides, strict=True)):
            apart = [1, 1]
    return kernel, strides, apart, padding


def convolution(net: Net, name: str) -> str:
    """Conv2D with a bias."""
    image = net.values[name]
    kernel, strides, apart, padding = _window(net, image.shape[1:3])
    explicit = apart == [1, 1] and net.chance(0.2)
    count = net.integer(1, 4)
    weights = net.numbers(*kernel, image.shape[3], count)
    pads = references.pads_of(image.shape[1:3], kernel, strides, apart, padding == "SAME")
    more = {}
    if explicit:
        pads = [(net.integer(0, 2), net.integer(0, 2)) for _ in range(2)]
        padding, more = "EXPLICIT", {"explicit_paddings": [0, 0, *pads[0], *pads[1], 0, 0]}
    made = net.add(
        "Conv2D", [name, net.constant(weights)], references.conv2d(image, weights, strides, apart, pads),
        strides=[1, *strides, 1], dilations=[1, *apart, 1], padding=padding, data_format="NHWC", **more,
    )  # fmt: skip
    return bias(net, made) if net.chance() else made


def bias(net: Net, name: str) -> str:
    """BiasAdd."""
    number = net.numbers(net.values[name].shape[-1])
    return net.add("BiasAdd", [name, net.constant(number)], net.values[name] + number)


def depthwise(net: Net, name: str) -> str:
    """DepthwiseConv2dNative."""
    image = net.values[name]
    kernel, strides, apart, padding = _window(net, image.shape[1:3])
    weights = net.numbers(*kernel, image.shape[3], net.integer(1, 2))
    pads = references.pads_of(image.shape[1:3], kernel, strides, apart, padding == "SAME")
    value = references.depthwise(image, weights, strides, apart, pads)
    return net.add(
        "DepthwiseConv2dNative", [name, net.constant(weights)], value,
        strides=[1, *strides, 1], dilations=[1, *apart, 1], padding=padding, data_format="NHWC",
    )  # fmt: skip


def transposed(net: Net, name: str) -> str:
    """Conv2DBackpropInput of any size that its convolution leads back from."""
    image = net.values[name]
    kernel, strides, _, padding = _window(net, image.shape[1:3], dilated=False)
    size, start = [], []
    for side, reach, stride in zip(image.shape[1:3], kernel, strides, strict=True):
        if padding == "SAME":
            result = (side - 1) * stride + net.integer(1, stride)
            start.append(max((side - 1) * stride + reach - result, 0) // 2)
        else:
            result = (side - 1) * stride + reach + net.integer(0, stride - 1)
            start.append(0)
        size.append(result)
    count = net.integer(1, 3)
    weights = net.numbers(*kernel, count, image.shape[3])
    sizes = net.ints([image.shape[0], *size, count])
    return net.add(
        "Conv2DBackpropInput", [sizes, net.constant(weights), name],
        references.transposed(image, weights, strides, size, start),
        T="FLOAT32", strides=[1, *strides, 1], padding=padding, data_format="NHWC",
    )  # fmt: skip


def dilated(net: Net, name: str) -> str:
    """A convolution between SpaceToBatchND and BatchToSpaceND, or these two alone."""
    image = net.values[name]
    blocks = [net.integer(1, 2), net.integer(1, 3)]
    kernel = [net.integer(1, 2), net.integer(1, 2)]
    pads = []
    for side, block, size in zip(image.shape[1:3], blocks, kernel, strict=True):
        before = net.integer(0, 2)
        rest = -(side + before) % block
        least = block * size  # so that every part holds a window
        while side + before + rest < least:
            rest += block
        pads.append((before, rest))
    spread = net.add(
        "SpaceToBatchND", [name, net.ints(blocks), net.ints(pads)], references.space_to_batch(image, blocks, pads),
        Tblock_shape="INT32", Tpaddings="INT32",
    )  # fmt: skip
    if net.chance(0.8):
        weights = net.numbers(*kernel, image.shape[3], net.integer(1, 3))
        made = references.conv2d(net.values[spread], weights, (1, 1), (1, 1), [(0, 0), (0, 0)])
        spread = net.add(
            "Conv2D", [spread, net.constant(weights)], made, strides=[1, 1, 1, 1], padding="VALID", data_format="NHWC"
        )
    sides = [side * block for side, block in zip(net.values[spread].shape[1:3], blocks, strict=True)]
    crops = [(net.integer(0, min(1, side - 1)), 0) for side in sides]
    found = references.batch_to_space(net.values[spread], blocks, crops)
    return net.add(
        "BatchToSpaceND", [spread, net.ints(blocks), net.ints(crops)], found, Tblock_shape="INT32", Tcrops="INT32"
    )


def pool(net: Net, name: str) -> str:
    """MaxPool or AvgPool."""
    image = net.values[name]
    kernel, strides, _, padding = _window(net, image.shape[1:3], dilated=False)
    pads = references.pads_of(image.shape[1:3], kernel, strides, (1, 1), padding == "SAME")
    kind = net.pick(("MaxPool", "AvgPool"))
    return net.add(
        kind, [name], references.pool(image, kernel, strides, pads, kind == "AvgPool"),
        ksize=[1, *kernel, 1], strides=[1, *strides, 1], padding=padding, data_format="NHWC",
    )  # fmt: skip


def batch_norm(net: Net, name: str) -> str:
    """FusedBatchNorm of any version."""
    image = net.values[name]
    scale, offset, mean = (net.numbers(image.shape[3]) for _ in range(3))
    variance = np.abs(net.numbers(image.shape[3])) + np.float32(0.1)
    epsilon = net.pick((0.001, 0.0001))
    kind = net.pick(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"))
    more = {} if kind == "FusedBatchNorm" else {"U": "FLOAT32"}
    value = (image - mean) / np.sqrt(variance + np.float32(epsilon)) * scale + offset
    inputs = [name, *map(net.constant, (scale, offset, mean, variance))]
    return net.add(
        kind, inputs, value.astype(np.float32), epsilon=epsilon, is_training=False, data_format="NHWC", **more
    )


def resize(net: Net, name: str) -> str:
    """ResizeBilinear or ResizeNearestNeighbor."""
    image = net.values[name]
    size = [net.integer(1, 9), net.integer(1, 9)]
    corners, centres = net.pick([(False, False), (True, False), (False, True)])
    kind = net.pick(("ResizeBilinear", "ResizeNearestNeighbor"))
    value = references.resize(image, size, corners, centres, kind == "ResizeNearestNeighbor")
    return net.add(kind, [name, net.ints(size)], value, align_corners=corners, half_pixel_centers=centres)


def blocks(net: Net, name: str) -> str:
    """DepthToSpace or SpaceToDepth, where the sizes divide."""
    image = net.values[name]
    count, rows, columns, channels = image.shape
    if channels % 4 == 0:
        cut = image.reshape(count, rows, columns, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
        value = cut.reshape(count, rows * 2, columns * 2, channels // 4)
        return net.add("DepthToSpace", [name], value, block_size=2, data_format="NHWC")
    if rows % 2 == columns % 2 == 0:
        cut = image.reshape(count, rows // 2, 2, columns // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
        value = cut.reshape(count, rows // 2, columns // 2, channels * 4)
        return net.add("SpaceToDepth", [name], value, block_size=2, data_format="NHWC")
    return bias(net, name)


def local_response(net: Net, name: str) -> str:
    """LRN."""
    options = {"bias": net.pick((1.0, 2.0)), "alpha": net.pick((0.5, 0.01)), "beta": net.pick((0.5, 0.75))}
    radius = net.integer(0, 3)
    value = references.local_response(net.values[name], radius, **options)
    return net.add("LRN", [name], value, depth_radius=radius, **options)


def unary(net: Net, name: str) -> str:
    """A function of one number."""
    value = net.values[name]
    if net.chance(0.25):
        kind = net.pick(list(references.POSITIVE))
        positive = net.add("Abs", [name], np.abs(value))
        higher = net.add("AddV2", [positive, net.constant(0.5)], np.abs(value) + np.float32(0.5))
        return net.add(kind, [higher], references.POSITIVE[kind](net.values[higher]).astype(np.float32))
    kind = net.pick(list(references.UNARY))
    if "Softmax" in kind and value.ndim == 0:
        kind = "Tanh"
    if kind in ("Exp", "Expm1", "Softplus", "Square"):  # of numbers that do not grow without end
        name = net.add("Tanh", [name], np.tanh(value))
    return net.add(kind, [name], references.UNARY[kind](net.values[name]).astype(np.float32))


def binary(net: Net, name: str) -> str:
    """With a constant of a shape that broadcasts, or with itself in another form."""
    value = net.values[name]
    kind = net.pick(list(references.BINARY))
    if net.chance(0.3):
        other = net.add("Tanh", [name], np.tanh(value))
    else:
        shape = [net.pick((1, side)) for side in value.shape][net.integer(0, value.ndim) :]
        other = net.constant(net.numbers(*shape))
    pair = [name, other] if net.chance() else [other, name]
    return net.add(kind, pair, references.BINARY[kind](*(net.values[side] for side in pair)).astype(np.float32))


def compared(net: Net, name: str) -> str:
    """A comparison, and one of two values by it."""
    value = net.values[name]
    kind = net.pick(list(references.COMPARED))
    limit = net.constant(net.numbers(*value.shape[-1:]) if value.ndim else 0.5)
    truth = net.add(kind, [name, limit], references.COMPARED[kind](value, net.values[limit]))
    if net.chance(0.3):
        truth = net.add("LogicalNot", [truth], ~net.values[truth])
    if net.chance():
        return truth
    other = net.constant(net.numbers(*value.shape))
    found = np.where(net.values[truth], value, net.values[other])
    return net.add(net.pick(("Select", "SelectV2")), [truth, name, other], found, T="FLOAT32")


def reduced(net: Net, name: str) -> str:
    """Some axes summed up, averaged, compared."""
    value = net.values[name]
    kind = net.pick(list(references.REDUCED))
    axes = sorted({net.integer(0, value.ndim - 1) for _ in range(net.integer(1, 2))}) if value.ndim else []
    written = [axis - value.ndim if net.chance(0.3) else axis for axis in axes]
    keep = net.chance()
    found = references.REDUCED[kind](value, axis=tuple(axes), keepdims=keep)
    return net.add(kind, [name, net.ints(written)], found.astype(np.float32), keep_dims=keep, Tidx="INT32")


def matmul(net: Net, name: str) -> str:
    """A dense layer behind a flattening whose size is computed from shapes, as Keras writes it."""
    value = net.values[name]
    if value.ndim != 2:
        name = _flatten(net, name)
    rows = net.values[name]
    turned = net.chance(0.3)
    weights = net.numbers(rows.shape[1], net.integer(1, 4))
    stored = net.constant(weights.T if turned else weights)
    made = net.add("MatMul", [name, stored], rows @ weights, transpose_a=False, transpose_b=turned)
    return bias(net, made) if net.chance() else made


def _flatten(net: Net, name: str) -> str:
    value = net.values[name]
    if value.ndim == 0:
        return net.add("Reshape", [name, net.ints([1, 1])], value.reshape(1, 1))
    shape = net.add("Shape", [name], np.array(value.shape, np.int32), out_type="INT32")
    masks = {
        f"{kind}_mask": int(kind == "shrink_axis") for kind in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    count = net.add(
        "StridedSlice",
        [shape, net.ints([0]), net.ints([1]), net.ints([1])],
        np.int32(value.shape[0]),
        Index="INT32",
        **masks,
    )
    both = np.array([value.shape[0], -1], np.int32)
    packed = net.add("Pack", [count, net.ints(-1)], both, N=2, axis=0)
    return net.add("Reshape", [name, packed], value.reshape(value.shape[0], -1))


def index_of_largest(net: Net, name: str) -> str:
    """ArgMax."""
    value = net.values[name]
    axis = net.integer(0, max(value.ndim - 1, 0))
    if value.ndim == 0:
        return unary(net, name)
    kind = net.pick(("INT32", "INT64"))
    found = value.argmax(axis).astype(kind.lower())
    return net.add("ArgMax", [name, net.ints(axis)], found, Tidx="INT32", output_type=kind)


IMAGES = (
    *(convolution, convolution, depthwise, transposed, dilated, pool, batch_norm, resize, blocks, local_response, bias),
)
ANY = (unary, unary, binary, binary, compared, reduced, matmul, index_of_largest)
