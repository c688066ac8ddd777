"""Receptive fields: published numbers, what is global, local or unknown, and where fields lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import published_networks
import pytest
import tiny_models
from onnx import numpy_helper
from onnxray.engine.model import load
from onnxray.engine.structure.graph import Graph
from onnxray.engine.structure.receptive_field import ReceptiveField, receptive_fields


def fields(proto: onnx.ModelProto, axes: tuple[int, ...] = (2, 3)) -> dict[str, ReceptiveField]:
    value = proto.graph.input[0]
    shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    return dict(receptive_fields(Graph(proto, {value.name: shape}), value.name, axes))


def of(body: str, image: str = "float[1,2,16,12] x", opset: int = 18, **constants: object) -> ReceptiveField:
    """The field of y in a graph of one line."""
    proto = tiny_models.model(f'<ir_version: 8, opset_import: ["" : {opset}]> g ({image}) => (y) {{ {body} }}')
    proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    rank = len(proto.graph.input[0].type.tensor_type.shape.dim)
    return fields(proto, tuple(range(2, rank)))["y"]


WEIGHT = np.ones((2, 2, 3, 3), np.float32)


def test_every_layer_of_vgg16() -> None:
    """Size, stride and start by the recurrences r += (k - 1) j, j *= s, p += pad j (Araujo, Norris and Sim 2019,
    doi.org/10.23915/distill.00021, equations 2 and 3); they also publish 212, 32 and 90 for the last pooling."""
    found = fields(published_networks.vgg16())
    size, jump, start = 1, 1, 0
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        for layer in range(1, depth + 1):
            size, start = size + 2 * jump, start - jump
            assert found[f"conv{block}_{layer}"] == ReceptiveField("local", (size,) * 2, (jump,) * 2, (start,) * 2)
        size, jump = size + jump, 2 * jump
        assert found[f"pool{block}"] == ReceptiveField("local", (size,) * 2, (jump,) * 2, (start,) * 2)
    assert found["conv5_3"].size == (196, 196)
    assert found["pool5"] == ReceptiveField("local", (212, 212), (32, 32), (-90, -90))
    assert [found[name].kind for name in ("fc6", "fc7", "fc8")] == ["global"] * 3


@pytest.mark.parametrize(
    ("build", "tensor", "size"),
    [  # the table of Araujo, Norris and Sim 2019; all at stride 32
        (published_networks.alexnet, "pool5", 195),
        (lambda: published_networks.resnet50(stride_last=True), "stage4.2", 483),
        (published_networks.mobilenet_v1, "pointwise13.bn", 315),
    ],
    ids=["alexnet", "resnet50", "mobilenet_v1"],
)
def test_published_sizes(build: Callable[[], onnx.ModelProto], tensor: str, size: int) -> None:
    found = fields(build())[tensor]
    assert (found.size, found.stride) == ((size, size), (32, 32))


def test_lenet(shared: Callable[[str], Path]) -> None:
    """LeCun 1998: 5x5 convolutions and 2x2 subsampling, here on 28 pixels without padding."""
    model = load(shared("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel"))
    rows = {row.name: row for row in model.summary().rows}
    expected = {"conv1": (5, 1), "pool1": (6, 2), "conv2": (14, 2), "pool2": (16, 4)}
    for name, (size, stride) in expected.items():
        assert rows[name].receptive_field == ReceptiveField("local", (size,) * 2, (stride,) * 2, (0, 0))
    assert rows["ip1"].receptive_field == ReceptiveField("global")
    assert [rows[name].params for name in ("conv1", "conv2", "ip1", "ip2")] == [520, 25050, 400500, 5010]
    assert [rows[name].macs for name in ("conv1", "conv2", "ip1", "ip2")] == [288_000, 1_600_000, 400_000, 5_000]


@pytest.mark.parametrize(
    "body",
    [
        "f = Flatten(x) y = Gemm(f, w)",
        "p = GlobalAveragePool(x) s = Sigmoid(p) y = Mul(x, s)",
        "p = AveragePool<kernel_shape=[16,12]>(x) s = Sigmoid(p) y = Mul(x, s)",
        "y = InstanceNormalization(x, g, g)",
        "r = Reshape(x, tokens) s = Softmax<axis=2>(r) y = Reshape(s, grid)",
        "r = Reshape(x, tokens) t = Transpose<perm=[0,2,1]>(r) q = MatMul(t, r) s = Softmax(q) y = MatMul(s, t)",
    ],
    ids=["dense", "squeeze and excite", "pooled whole", "instance norm", "softmax over space", "attention"],
)
def test_what_sees_the_whole_image(body: str) -> None:
    constants = {"w": np.ones((384, 3), np.float32), "g": np.ones(2, np.float32)}
    found = of(body, tokens=np.array([1, 2, 192]), grid=np.array([1, 2, 16, 12]), **constants)
    assert found == ReceptiveField("global")
    assert found.pixels((0,) * len(found_shape(body))) == ((0, 15), (0, 11))


def found_shape(body: str) -> tuple[int, ...]:
    return (1, 3) if "Gemm" in body else (1, 192, 2) if "MatMul" in body else (1, 2, 16, 12)


def test_what_stays_local() -> None:
    assert of("y = Softmax<axis=1>(x)") == ReceptiveField("local", (1, 1), (1, 1), (0, 0))
    assert of("y = LayerNormalization<axis=-1>(t, g) t = Relu(x)", "float[1,4,16,12] x", g=np.ones(12, np.float32))
    assert of("y = Gather<axis=1>(x, i)", i=np.array([1])).size == (1, 1)


def test_global_along_one_axis_only() -> None:
    """A strip: text recognisers pool the height away."""
    found = of("m = ReduceMean(x, axes) y = Add(m, x)", axes=np.array([2]))
    assert found == ReceptiveField("local", (None, 1), (None, 1), (None, 0))
    assert found.pixels((0, 1, 5, 7)) == ((0, 15), (7, 7))


def test_tokens_keep_their_grid() -> None:
    """Flattened to tokens, mixed over channels, made a grid again: as if nothing had happened."""
    body = (
        "c = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w) r = Reshape(c, tokens) t = Transpose<perm=[0,2,1]>(r)"
        " m = MatMul(t, v) b = Transpose<perm=[0,2,1]>(m) g = Reshape(b, grid) y = Conv<pads=[1,1,1,1]>(g, w)"
    )
    shapes = {"tokens": np.array([1, 2, 48]), "grid": np.array([1, 2, 8, 6])}
    found = of(body, w=WEIGHT, v=np.ones((2, 2), np.float32), **shapes)
    assert found == ReceptiveField("local", (7, 7), (2, 2), (-3, -3))


def test_upsampling_and_sub_pixels() -> None:
    """Half a pixel a step; the size is that of the largest phase."""
    up = of("y = ConvTranspose<strides=[2,2]>(x, w)", w=WEIGHT)
    assert up == ReceptiveField("local", (2, 2), (0.5, 0.5), (-1, -1))
    shuffled = of("y = DepthToSpace<blocksize=2>(x)", "float[1,4,16,12] x")
    assert shuffled == ReceptiveField("local", (1, 1), (0.5, 0.5), (0, 0))
    resized = of('y = Resize<mode="linear">(x, , s)', s=np.float32([1, 1, 2, 4]))
    assert (resized.size, resized.stride, resized.start) == ((2, 2), (0.5, 0.25), (-1, -1))


def test_window_attention_is_a_window() -> None:
    """A grid cut into 4x4 windows whose tokens all see each other: 4 pixels, in steps of 4 pixels a window."""
    cut = "c = Reshape(x, s) t = Transpose<perm=[0,2,4,1,3,5]>(c) r = ReduceMean(t, a) y = Squeeze(r, a)"
    found = of(cut, s=np.array([1, 2, 4, 4, 3, 4]), a=np.array([3, 4, 5]))
    assert found == ReceptiveField("local", (4, 4), (4, 4), (0, 0))
    assert found.pixels((0, 1, 2)) == ((4, 7), (8, 11))


def test_channels_can_differ() -> None:
    """After a concatenation each channel keeps its own field; the number told is the largest."""
    body = "a = Conv<pads=[1,1,1,1]>(x, w) c = Concat<axis=1>(x, a) y = Relu(c)"
    found = of(body, w=WEIGHT)
    assert found == ReceptiveField("local", (3, 3), (1, 1), (-1, -1))
    assert found.pixels((0, 1, 5, 5)) == ((5, 5), (5, 5))
    assert found.pixels((0, 2, 5, 5)) == ((4, 6), (4, 6))
    split = of(f"{body.replace('y', 'z')} y, q = Split<axis=1, num_outputs=2>(z)", w=WEIGHT)
    assert split.size == (1, 1)


def test_pixels_end_at_the_border() -> None:
    found = of("y = Conv<pads=[1,1,1,1]>(x, w)", w=WEIGHT)
    assert found.pixels((0, 0, 0, 11)) == ((0, 1), (10, 11))
    padded = of("y = Pad(x, p)", p=np.array([0, 0, 2, 0, 0, 0, 0, 0]))
    assert padded.pixels((0, 0, 1, 3)) is None
    assert padded.pixels((0, 0, 2, 3)) == ((0, 0), (3, 3))


def test_layouts_and_ranks() -> None:
    """Channels last, one and three spatial axes."""
    text = '<ir_version: 8, opset_import: ["" : 18]> g (float[1,16,12,2] x) => (y) { t = Transpose<perm=[0,3,1,2]>(x)'
    proto = tiny_models.model(text + " c = Conv(t, w) y = Transpose<perm=[0,2,3,1]>(c) }")
    proto.graph.initializer.append(numpy_helper.from_array(WEIGHT, "w"))
    assert fields(proto, (1, 2))["y"] == ReceptiveField("local", (3, 3), (1, 1), (0, 0))
    wave = of("y = Conv<dilations=[4]>(x, w)", "float[1,2,40] x", w=np.ones((2, 2, 3), np.float32))
    assert wave == ReceptiveField("local", (9,), (1,), (0,))
    volume = of("y = MaxPool<kernel_shape=[2,3,4], strides=[2,1,4]>(x)", "float[1,2,8,8,8] x")
    assert volume == ReceptiveField("local", (2, 3, 4), (2, 1, 4), (0, 0, 0))


def test_what_does_not_depend_on_the_image() -> None:
    assert of("s = Shape(x) y = Cast<to=1>(s)") == ReceptiveField("none")
    assert of("r = Relu(x) y = Shape(r)").pixels((0,)) is None


@pytest.mark.parametrize(
    "body",
    [
        "y = com.microsoft.SomethingNew(x)",
        "n = NonZero(x) y = Cast<to=1>(n)",
        "y = CumSum(x, a)",
        "c = Cast<to=7>(x) y = GatherElements(x, c)",
    ],
)
def test_what_is_not_known_is_said_to_be_unknown(body: str) -> None:
    """And so is everything after it; there is no number."""
    text = f'<ir_version: 8, opset_import: ["" : 18, "com.microsoft" : 1]> g (float[1,2,4,4] x) => (z) {{ {body}'
    proto = tiny_models.model(text + " z = Relu(y) }")
    proto.graph.initializer.append(numpy_helper.from_array(np.array(2), "a"))
    found = fields(proto)
    assert found["z"] == ReceptiveField("unknown")
    assert found["z"].pixels((0, 0, 0, 0)) is None


def test_a_second_input_is_not_the_image() -> None:
    """Fields are told for one input; what comes from another does not count."""
    found = of("s = Mul(k, k) y = Add(x, s)", "float[1,2,16,12] x, float[1,2,1,1] k")
    assert found == ReceptiveField("local", (1, 1), (1, 1), (0, 0))


def test_quantised_convolutions() -> None:
    """Quantised, integer and dequantised forms see what the float form sees."""
    scale, zero = np.float32(0.5), np.int8(0)
    body = (
        "q = QuantizeLinear(x, s, z) c = QLinearConv<strides=[2,1]>(q, s, z, w, s, z, s, z)"
        " d = DequantizeLinear(c, s, z) f = DequantizeLinear(w, s, z) e = Conv(d, f)"
        " k, t, o = DynamicQuantizeLinear(e) i = ConvInteger(k, w) y = Cast<to=1>(i)"
    )
    found = of(body, s=scale, z=zero, w=WEIGHT.astype(np.int8))
    assert found == ReceptiveField("local", (11, 7), (2, 1), (0, 0))
