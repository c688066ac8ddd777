"""Random networks for the receptive-field oracle: a seeded walk over the operators that deal with space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

OPSET = 18


class Builder:
    """A growing graph whose tensors' shapes are always known."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.random = np.random.default_rng(seed)
        self.shapes: dict[str, tuple[int, ...]] = {"image": shape}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        """What has been built so far; the last tensor is the output."""
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shapes["image"])
        output = onnx.ValueInfoProto(name=self.nodes[-1].output[0])
        graph = helper.make_graph(self.nodes, "random", [image], [output], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)

    def weight(self, *shape: int) -> str:
        """A new positive weight."""
        fan = max(int(np.prod(shape[1:])), 1)
        values = (self.random.uniform(0.5, 1.5, shape) / fan).astype(np.float32)
        return self.constant(values)

    def constant(self, values: np.ndarray) -> str:
        """A new initializer."""
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, op: str, inputs: list[str], outputs: int = 1, **attributes: object) -> str | None:
        """Add a node and infer its shapes; None and nothing added when a result would be empty or too large."""
        names = [f"t{len(self.nodes)}_{op}_{place}" for place in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        try:
            inferred = shape_inference.infer_shapes(self.model(), strict_mode=True, data_prop=True).graph
            shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.value_info}
            shapes |= {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.output}
        except shape_inference.InferenceError:
            shapes = {}
        if any(min(shapes.get(name, (0,))) < 1 or np.prod(shapes[name]) > 40_000 for name in names):
            self.nodes.pop()
            return None
        self.shapes.update({name: shapes[name] for name in names})
        return names[0]

    def whole(self, low: int, high: int) -> int:
        """A random whole number, both ends included."""
        return int(self.random.integers(low, high + 1))

    def pick(self, *choices: object) -> object:
        """One of the choices."""
        return choices[self.whole(0, len(choices) - 1)]


def convolution(b: Builder, x: str) -> str | None:
    channels = b.shapes[x][1]
    group = int(b.pick(1, 1, channels, 2 if channels % 2 == 0 else 1))  # type: ignore[call-overload]
    kernel = [b.whole(1, 4), b.whole(1, 4)]
    attributes: dict[str, object] = {"group": group, "strides": [b.whole(1, 3), b.whole(1, 2)]}
    if b.whole(0, 3) == 0:
        attributes["auto_pad"] = b.pick("SAME_UPPER", "SAME_LOWER", "VALID")
    else:
        attributes |= {"dilations": [b.whole(1, 2), b.whole(1, 3)], "pads": [b.whole(0, 3) for _ in range(4)]}
    weight = b.weight(group * b.whole(1, 3), channels // group, *kernel)
    return b.add("Conv", [x, weight], **attributes)


def transposed_convolution(b: Builder, x: str) -> str | None:
    channels = b.shapes[x][1]
    group = int(b.pick(1, channels))  # type: ignore[call-overload]
    strides = [b.whole(1, 3), b.whole(1, 3)]
    attributes: dict[str, object] = {"group": group, "strides": strides, "dilations": [b.whole(1, 2), 1]}
    if b.whole(0, 2) == 0:
        attributes["auto_pad"] = b.pick("SAME_UPPER", "SAME_LOWER")
        attributes["dilations"] = [1, 1]
    else:
        attributes["pads"] = [b.whole(0, 1) for _ in range(4)]
        attributes["output_padding"] = [b.whole(0, stride - 1) for stride in strides]
    return b.add("ConvTranspose", [x, b.weight(channels, b.whole(1, 2), b.whole(1, 4), b.whole(1, 4))], **attributes)


def pooling(b: Builder, x: str) -> str | None:
    kernel = [b.whole(1, 4), b.whole(1, 4)]
    pads = [b.whole(0, (size - 1) // 2) for size in (*kernel, *kernel)]
    ceil = b.whole(0, 1)
    # A window that starts behind the end is left out by onnxruntime, but counted by onnx's shape inference.
    strides = [b.whole(1, min(3, size) if ceil else 3) for size in kernel]
    attributes: dict[str, object] = {"kernel_shape": kernel, "pads": pads, "strides": strides, "ceil_mode": ceil}
    if b.whole(0, 1):
        return b.add("AveragePool", [x], **attributes)
    return b.add("MaxPool", [x], dilations=[b.whole(1, 2), 1], **attributes)


def resizing(b: Builder, x: str) -> str | None:
    mode = b.pick("nearest", "linear", "cubic")
    place = b.pick("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    attributes: dict[str, object] = {"mode": mode, "coordinate_transformation_mode": place}
    if mode == "nearest":
        attributes["nearest_mode"] = b.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    scales = [1.0, 1.0, float(b.pick(2.0, 1.5, 0.5, 3.0)), float(b.pick(2.0, 1.0, 0.5, 2.5))]  # type: ignore[arg-type]
    if b.whole(0, 1):
        return b.add("Resize", [x, "", b.constant(np.array(scales, np.float32))], **attributes)
    if place == "align_corners":
        sizes = [*b.shapes[x][:2], *(b.whole(2, 2 * size + 1) for size in b.shapes[x][2:])]
    else:  # onnxruntime rounds other ratios to float32, and then sees 0.0000002 of a neighbour where there is none
        sizes = [*b.shapes[x][:2], *(2 * size if b.whole(0, 1) else -(-size // 2) for size in b.shapes[x][2:])]
        if any(size % 2 and new < size for size, new in zip(b.shapes[x], sizes, strict=True)):
            return None
    return b.add("Resize", [x, "", "", b.constant(np.array(sizes, np.int64))], **attributes)


def depth_to_space(b: Builder, x: str) -> str | None:
    wide = b.add("Conv", [x, b.weight(4 * b.whole(1, 2), b.shapes[x][1], 1, 1)])
    return wide and b.add("DepthToSpace", [wide], blocksize=2, mode=b.pick("DCR", "CRD"))


def space_to_depth(b: Builder, x: str) -> str | None:
    height, width = b.shapes[x][2:]
    return b.add("SpaceToDepth", [x], blocksize=2) if height % 2 == width % 2 == 0 else None


def channel_shuffle(b: Builder, x: str) -> str | None:
    n, c, h, w = b.shapes[x]
    if c % 2:
        return None
    split = b.add("Reshape", [x, b.constant(np.array([n, 2, c // 2, h, w]))])
    swapped = b.add("Transpose", [split or x], perm=[0, 2, 1, 3, 4])
    return b.add("Reshape", [swapped or x, b.constant(np.array([n, c, h, w]))])


def tokens(b: Builder, x: str) -> str | None:
    """To a row of tokens, through a dense layer, and back to the grid."""
    n, c, h, w = b.shapes[x]
    flat = b.add("Reshape", [x, b.constant(np.array([n, c, h * w]))]) or x
    turned = b.add("Transpose", [flat], perm=[0, 2, 1]) or x
    dense = b.add("MatMul", [turned, b.weight(c, c)]) or x
    back = b.add("Transpose", [dense], perm=[0, 2, 1]) or x
    return b.add("Reshape", [back, b.constant(np.array([n, c, h, w]))])


def window_mean(b: Builder, x: str) -> str | None:
    """What window attention does: the grid is cut into windows and every element sees its whole window."""
    n, c, h, w = b.shapes[x]
    if h % 2 or w % 3:
        return None
    cut = b.add("Reshape", [x, b.constant(np.array([n, c, h // 2, 2, w // 3, 3]))]) or x
    grouped = b.add("Transpose", [cut], perm=[0, 2, 4, 1, 3, 5]) or x
    flat = b.add("Reshape", [grouped, b.constant(np.array([n * (h // 2) * (w // 3), c, 6]))]) or x
    mixed = b.add("MatMul", [flat, b.weight(6, 6)]) or x
    cut_again = b.add("Reshape", [mixed, b.constant(np.array([n, h // 2, w // 3, c, 2, 3]))]) or x
    back = b.add("Transpose", [cut_again], perm=[0, 3, 1, 4, 2, 5]) or x
    return b.add("Reshape", [back, b.constant(np.array([n, c, h, w]))])


def slicing(b: Builder, x: str) -> str | None:
    steps = [int(b.pick(1, 2, -1)), int(b.pick(1, 3))]  # type: ignore[call-overload]
    starts = [b.whole(0, 2) if steps[0] > 0 else -1 - b.whole(0, 1), b.whole(0, 2)]
    ends = [2**31 if steps[0] > 0 else -(2**31), -1]
    ints = [b.constant(np.array(values)) for values in (starts, ends, [2, 3], steps)]
    return b.add("Slice", [x, *ints])


def padding(b: Builder, x: str) -> str | None:
    mode = b.pick("constant", "edge", "reflect") if min(b.shapes[x][2:]) > 2 else "constant"
    pads = [0, b.whole(0, 1) if mode == "constant" else 0, b.whole(0, 2), b.whole(0, 2)]
    return b.add("Pad", [x, b.constant(np.array([*pads, *pads[:3], b.whole(0, 2)]))], mode=mode)


def transposing(b: Builder, x: str) -> str | None:
    return b.add("Transpose", [x], perm=[0, 1, 3, 2])


def half_the_channels(b: Builder, x: str) -> str | None:
    channels = b.shapes[x][1]
    if channels < 2:
        return None
    sizes = b.constant(np.array([channels // 2, channels - channels // 2]))
    first = b.add("Split", [x, sizes], outputs=2, axis=1)
    return first and str(b.pick(first, first[:-1] + "1"))


def gathering(b: Builder, x: str) -> str | None:
    channels = b.shapes[x][1]
    return b.add("Gather", [x, b.constant(b.random.permutation(channels))], axis=1)


def gate(b: Builder, x: str) -> str | None:
    """Squeeze and excite: from here on everything sees the whole image."""
    pooled = b.add(
        "GlobalAveragePool", [x]
    )  # added, not multiplied: a zero of the padding times anything shows nothing
    return pooled and b.add("Add", [x, pooled])


def strip(b: Builder, x: str) -> str | None:
    """Global along one axis only."""
    mean = b.add("ReduceMean", [x, b.constant(np.array([b.whole(2, 3)]))])
    return mean and b.add("Add", [x, mean])


def activation(b: Builder, x: str) -> str | None:
    return b.add("PRelu", [x, b.weight(b.shapes[x][1], 1, 1)])


def join(b: Builder, x: str) -> str | None:
    """An element-wise join with any earlier tensor of the same shape, cropped to the smaller one if need be."""
    shape = b.shapes[x]
    others = [name for name, other in b.shapes.items() if len(other) == 4 and other[1] == shape[1] and name != x]
    if not others:
        return None
    other = others[b.whole(0, len(others) - 1)]
    common = np.minimum(shape[2:], b.shapes[other][2:])
    cropped = [_crop(b, name, common) for name in (x, other)]
    return b.add("Add", [name or x for name in cropped])


def concat(b: Builder, x: str) -> str | None:
    """Beside, below or behind any earlier tensor that fits."""
    axis = b.whole(1, 3)
    rest = [place for place in range(4) if place != axis]
    others = [
        name
        for name, other in b.shapes.items()
        if len(other) == 4 and all(other[place] == b.shapes[x][place] for place in rest)
    ]
    return b.add("Concat", [x, others[b.whole(0, len(others) - 1)]], axis=axis)


def _crop(b: Builder, x: str, sizes: np.ndarray) -> str | None:
    if tuple(sizes) == b.shapes[x][2:]:
        return x
    ends = b.constant(np.array(sizes, np.int64))
    return b.add("Slice", [x, b.constant(np.array([0, 0])), ends, b.constant(np.array([2, 3]))])


STEPS: tuple[Callable[[Builder, str], str | None], ...] = (
    *(convolution, convolution, convolution, transposed_convolution, pooling, pooling, resizing, resizing),
    *(depth_to_space, space_to_depth, channel_shuffle, tokens, window_mean, slicing, padding, transposing),
    *(half_the_channels, gathering, gate, strip, activation, join, join, concat, concat),
)


def random_network(seed: int, shape: tuple[int, ...] = (1, 2, 14, 12), length: int = 7) -> onnx.ModelProto:
    """A network of about `length` blocks; each goes on from a recent tensor."""
    builder = Builder(seed, shape)
    current = "image"
    while len(builder.nodes) < length:
        step = STEPS[builder.whole(0, len(STEPS) - 1)]
        if step is gate and builder.whole(0, 2):
            continue
        current = step(builder, current) or current
    return builder.model()
