"""Relevance through fused and quantised operators is that of the layers of real numbers that they stand for.

A network of small whole numbers: all its values lie on levels, so that quantising it, one operator after the other by
hand, changes no value, and the relevance of the network of real numbers is what must come out, to rounding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
from onnx import numpy_helper
from onnxray.engine.gradient.relevance import RELEVANCE_RULES
from onnxray.engine.methods.attribution import Attribution
from onnxray.engine.methods.deconvnet import deconvnet
from onnxray.engine.methods.deep_lift import deep_lift
from onnxray.engine.methods.guided_backprop import guided_backprop
from onnxray.engine.methods.lrp import RULES, lrp
from onnxray.engine.model import Model
from onnxray.engine.targets import ClassScore
from onnxray.importers.errors import InputError
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from quantised_networks import QUANTISERS, quantise, residual_net
from tiny_residual import relative

Array = np.ndarray
PICTURES = np.random.default_rng(2).integers(0, 4, (4, 8, 8, 1), dtype=np.uint8)

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
REAL = (
    HEADER
    + """
whole (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] w1, float[4] b1, float[4, 4, 3, 3] w2, float[4] b2, float[8, 8, 1, 1] w3, float[8] b3,
 float[4, 8] w4, float[4] b4, float[4, 3] w5, float two = {2}>
{
    conv1 = Conv <pads = [1, 1, 1, 1]> (image, w1, b1)
    relu1 = Relu (conv1)
    pool1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu1)
    conv2 = Conv <pads = [1, 1, 1, 1]> (pool1, w2, b2)
    relu2 = Relu (conv2)
    sum = Add (relu2, pool1)
    twice = Mul (sum, two)
    both = Concat <axis = 1> (twice, pool1)
    means = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (both)
    conv3 = Conv (means, w3, b3)
    leaky = LeakyRelu <alpha = 0.5> (conv3)
    all = GlobalAveragePool (leaky)
    flat = Flatten (all)
    hidden = Gemm <transB = 1> (flat, w4, b4)
    scores = MatMul (hidden, w5)
}
"""
)
SHARES = {"w1": 0.5, "w2": 0.1, "w3": 0.12, "w4": 0.5, "w5": 0.7}  # of the weights that are not 0
# Levels are (real / scale + zero point): what has a Relu behind it has it in its levels, as quantisers do.
LEVELS = {
    "image": (1.0, 3),
    "conv1": (1.0, 0),
    "conv2": (0.5, 0),
    "sum": (0.5, 0),
    "two": (0.5, 0),
    "twice": (1.0, 2),
    "both": (0.5, 1),
    "means": (0.25, 0),
    "conv3": (0.25, 128),
    "leaky": (0.125, 120),
    "all": (0.03125, 128),
    "hidden": (0.03125, 128),
    "scores": (0.03125, 128),
}
WEIGHT_SCALE = 0.5
PAIRS = {  # what QuantizeLinear and DequantizeLinear come behind
    "relu1": "conv1",
    "relu2": "conv2",
    **{name: name for name in ("sum", "twice", "both", "means", "conv3", "leaky", "all", "hidden", "scores")},
}
OPERATORS = (
    HEADER
    + """
whole (float[N, 1, 8, 8] image) => (float[N, 3] scores)
{
    image_q = QuantizeLinear (image, image_s, image_z)
    relu1_q = QLinearConv <pads = [1, 1, 1, 1]> (image_q, image_s, image_z, w1_q, w_s, w_z, conv1_s, conv1_z, b1_q)
    pool1_q = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu1_q)
    relu2_q = QLinearConv <pads = [1, 1, 1, 1]> (pool1_q, conv1_s, conv1_z, w2_q, w_s, w_z, conv2_s, conv2_z, b2_q)
    sum_q = com.microsoft.QLinearAdd (relu2_q, conv2_s, conv2_z, pool1_q, conv1_s, conv1_z, sum_s, sum_z)
    twice_q = com.microsoft.QLinearMul (sum_q, sum_s, sum_z, two_q, two_s, two_z, twice_s, twice_z)
    both_q = com.microsoft.QLinearConcat <axis = 1>
        (both_s, both_z, twice_q, twice_s, twice_z, pool1_q, conv1_s, conv1_z)
    means_q = com.microsoft.QLinearAveragePool <kernel_shape = [2, 2], strides = [2, 2]>
        (both_q, both_s, both_z, means_s, means_z)
    conv3_q = QLinearConv (means_q, means_s, means_z, w3_q, w_s, w_z, conv3_s, conv3_z, b3_q)
    leaky_q = com.microsoft.QLinearLeakyRelu <alpha = 0.5> (conv3_q, conv3_s, conv3_z, leaky_s, leaky_z)
    all_q = com.microsoft.QLinearGlobalAveragePool (leaky_q, leaky_s, leaky_z, all_s, all_z)
    flat_q = Flatten (all_q)
    hidden_q = com.microsoft.QGemm <transB = 1>
        (flat_q, all_s, all_z, w4_q, w_s, w_z, b4_q, hidden_s, hidden_z)
    scores_q = QLinearMatMul (hidden_q, hidden_s, hidden_z, w5_q, w_s, w_z, scores_s, scores_z)
    scores = DequantizeLinear (scores_q, scores_s, scores_z)
}
"""
)


def real() -> onnx.ModelProto:
    """REAL with whole numbers for weights."""
    proto, generator = tiny_models.model(REAL), np.random.default_rng(76)  # whose values all have a level
    for tensor in proto.graph.initializer:
        shape = tuple(tensor.dims)
        if tensor.name in SHARES:
            values = generator.choice([-1, 1], shape) * (generator.random(shape) < SHARES[tensor.name])
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
        elif shape:
            tensor.CopyFrom(numpy_helper.from_array(generator.integers(-1, 2, shape).astype(np.float32), tensor.name))
    return proto


def loaded(proto: onnx.ModelProto) -> Model:
    model = Model(proto, Path("whole.onnx"))
    model.spec = model.spec.override("test", mean=(0.0,), channel_order="GREY", resize="stretch")
    return model


def in_pairs() -> onnx.ModelProto:
    """REAL with QuantizeLinear and DequantizeLinear behind its layers."""
    proto = real()
    nodes, read = _pair("image", "image"), {"image": "image_r"}
    for node in proto.graph.node:
        node.input[:] = [read.get(name, name) for name in node.input]
        nodes.append(node)
        made = node.output[0]
        if made in PAIRS:
            nodes += _pair(made, PAIRS[made])
            read[made] = f"{made}_r"
    graph = onnx.helper.make_graph(nodes, "whole", proto.graph.input, proto.graph.output, proto.graph.initializer)
    graph.output[0].name = read["scores"]
    graph.initializer.extend(_levels())
    return onnx.helper.make_model(graph, opset_imports=proto.opset_import, ir_version=10)


def _pair(name: str, of: str) -> list[onnx.NodeProto]:
    levels = (f"{of}_s", f"{of}_z")
    return [
        onnx.helper.make_node("QuantizeLinear", [name, *levels], [f"{name}_q"], f"{name}_q"),
        onnx.helper.make_node("DequantizeLinear", [f"{name}_q", *levels], [f"{name}_r"], f"{name}_r"),
    ]


def of_operators() -> onnx.ModelProto:
    proto = onnx.parser.parse_model(OPERATORS)
    proto.graph.initializer.extend(_levels())
    read = {1: 1.0, 2: 1.0, 3: 0.25, 4: 0.03125}  # scales of what layer 1, 2 … reads
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in real().graph.initializer}
    for name, value in values.items():
        if name.startswith("b"):
            levels = (value / (read[int(name[1])] * WEIGHT_SCALE)).astype(np.int32)
        else:
            levels = (value / WEIGHT_SCALE).astype(np.uint8 if name == "two" else np.int8)
        proto.graph.initializer.append(numpy_helper.from_array(levels, f"{name}_q"))
    return proto


def _levels() -> list[onnx.TensorProto]:
    found = [numpy_helper.from_array(np.array(scale, np.float32), f"{name}_s") for name, (scale, _) in LEVELS.items()]
    found += [numpy_helper.from_array(np.array(zero, np.uint8), f"{name}_z") for name, (_, zero) in LEVELS.items()]
    found.append(numpy_helper.from_array(np.array(WEIGHT_SCALE, np.float32), "w_s"))
    return [*found, numpy_helper.from_array(np.array(0, np.int8), "w_z")]


def apart(found: Attribution, expected: Attribution) -> float:
    assert found.raw is not None and expected.raw is not None
    return relative(found.raw, expected.raw)


WRITTEN: dict[str, Callable[[], onnx.ModelProto]] = {"pairs": in_pairs, "operators": of_operators}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", WRITTEN)
def test_levels_get_the_relevance_of_the_real_numbers_they_are(kind: str, rule: str) -> None:
    expected, found = (lrp(loaded(proto), PICTURES, target=1, rule=rule) for proto in (real(), WRITTEN[kind]()))
    np.testing.assert_array_equal(found.scores, expected.scores)  # no value changes
    assert apart(found, expected) < 1e-5


# -- ranges that follow the image, products that give real numbers ---

DEFAULTS = {"composite": {"epsilon": 1e-6, "alpha": 1}, "epsilon": {"epsilon": 1e-6}, "alpha-beta": {"alpha": 2}}
SPANNING = np.random.default_rng(4).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
SPANNING[0, 0, :2, 0] = 0, 255  # so that a level is 1
DYNAMIC = (
    HEADER
    + """
dynamic (float[N, 1, 8, 8] image) => (float[N, 3] scores)
<float[4, 1, 3, 3] w, float[1, 4, 1, 1] b, float[64, 3] v, float[3] c, float[256, 3] u, float[3] d,
 int8 zero = {0}, float[1, 4, 1, 1] scales = {0.5, 1, 0.25, 2}, float[3] steps = {0.5, 1, 0.25}>
{ %s }
"""
)
CONVOLUTION = "active = Relu (conv) flat = Flatten (active) scores = Gemm (flat, u, d)"
LEVELS_OF = "levels, scale, origin = DynamicQuantizeLinear (%s)"
SUMS_OF = "reals = Cast <to = 1> (sums) unit = Mul (scale, %s) scaled = Mul (reals, unit)"
INTEGERS: dict[str, tuple[str, str]] = {  # the real layer, the same of levels
    "ConvInteger": (
        f"conv_ = Conv <pads = [1, 1, 1, 1]> (image, w_r) conv = Add (conv_, b) {CONVOLUTION}",
        f"{LEVELS_OF % 'image'} sums = ConvInteger <pads = [1, 1, 1, 1]> (levels, w_q, origin) {SUMS_OF % 'scales'} "
        f"conv = Add (scaled, b) {CONVOLUTION}",
    ),
    "MatMulInteger": (
        "flat = Flatten (image) scores = Gemm (flat, v_r, c)",
        f"flat = Flatten (image) {LEVELS_OF % 'flat'} sums = MatMulInteger (levels, v_q, origin, zero) "
        f"{SUMS_OF % 'steps'} scores = Add (scaled, c)",
    ),
    "MatMulIntegerToFloat": (
        "flat = Flatten (image) scores = Gemm (flat, v_r, c)",
        f"flat = Flatten (image) {LEVELS_OF % 'flat'} "
        "scores = com.microsoft.MatMulIntegerToFloat (levels, v_q, scale, steps, origin, zeros, c)",
    ),
    "DynamicQuantizeMatMul": (
        "flat = Flatten (image) scores = Gemm (flat, v_r, c)",
        "flat = Flatten (image) scores = com.microsoft.DynamicQuantizeMatMul (flat, v_q, steps, zeros, c)",
    ),
}


def of_integers(nodes: str) -> Model:
    """The nodes with weights w_q, v_q that are levels, or w_r, v_r that are what those stand for."""
    proto, generator = tiny_models.model(DYNAMIC % nodes), np.random.default_rng(1)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for name, scales in (("w", stored["scales"].reshape(4, 1, 1, 1)), ("v", stored["steps"])):
        levels = generator.integers(-20, 21, stored[name].shape).astype(np.int8)
        for kind, values in (("q", levels), ("r", levels * scales)):
            proto.graph.initializer.append(numpy_helper.from_array(values, f"{name}_{kind}"))
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.int8), "zeros"))
    return loaded(proto)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", INTEGERS)
def test_products_of_integers_get_the_relevance_of_their_layer(kind: str, rule: str) -> None:
    """The bias that is added to them is the layer's."""
    ruled, x = RELEVANCE_RULES[rule](**DEFAULTS[rule]), SPANNING.transpose(0, 3, 1, 2).astype(np.float32)
    expected, found = (
        of_integers(nodes).torch().gradients(x, ClassScore(1), ["image"], ruled) for nodes in INTEGERS[kind]
    )
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    assert relative(found.gradients["image"], expected.gradients["image"]) < 1e-5


# -- what onnxruntime's quantiser and optimiser write ---


Files = Callable[..., Model]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Kind of QUANTISERS or "float", level of optimisation or none -> the residual network so written."""
    folder = tmp_path_factory.mktemp("files")
    source = residual_net(folder / "float.onnx")
    images = np.random.default_rng(1).normal(size=(32, 3, 16, 16)).astype(np.float32)

    def made(kind: str, level: str = "") -> Model:
        path = folder / f"{kind}.onnx"
        if kind in QUANTISERS:
            quantise(source, path, kind, images)
        if level:
            options = SessionOptions()
            options.graph_optimization_level = getattr(GraphOptimizationLevel, level)
            options.optimized_model_filepath = str(folder / f"{kind}.{level}.onnx")
            options.log_severity_level = 3  # it warns that the file is for this kind of machine
            InferenceSession(path, options, providers=["CPUExecutionProvider"])
            path = folder / f"{kind}.{level}.onnx"
        model = onnxray.load(path)
        model.spec = model.spec.override("test", mean=(128.0,), scale=(1 / 64,), resize="stretch", channel_order="RGB")
        return model

    return made


PHOTOS = np.random.default_rng(7).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet, deep_lift], ids=lambda method: str(method.__name__))
def test_rules_of_activations_find_those_that_are_fused(files: Files, method: Callable[..., Attribution]) -> None:
    optimised = files("float", "ORT_ENABLE_EXTENDED")
    found, expected = (method(model, PHOTOS, target=3) for model in (optimised, files("float")))
    assert apart(found, expected) < 1e-5


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("kind", "level", "brings"),
    [
        ("float", "ORT_ENABLE_EXTENDED", "FusedConv"),
        ("dynamic", "ORT_ENABLE_EXTENDED", "DynamicQuantizeMatMul"),
        ("qdq_channels", "ORT_ENABLE_ALL", "NhwcMaxPool"),
    ],
)
def test_what_the_optimiser_fuses_is_what_it_was(files: Files, kind: str, level: str, brings: str, rule: str) -> None:
    optimised = files(kind, level)
    assert f"com.microsoft.{brings}" in {node.op for node in optimised.graph.nodes}
    found, expected = (lrp(model, PHOTOS, target=3, rule=rule) for model in (optimised, files(kind)))
    assert apart(found, expected) < 1e-5


def test_layouts_of_one_processor_are_refused(files: Files) -> None:
    with pytest.raises(InputError, match=r"torch has no equal for com\.microsoft\.nchwc\.Conv") as raised:
        lrp(files("float", "ORT_ENABLE_ALL"), PHOTOS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", QUANTISERS)
def test_what_the_quantiser_writes_is_near_the_float_network(files: Files, kind: str) -> None:
    """Its rounding moves values and thereby ReLUs over zero, most in the rule that is nearest to the gradient."""
    for rule, least in (("composite", 0.999), ("alpha-beta", 0.99), ("epsilon", 0.95)):
        found, expected = (lrp(model, PHOTOS, target=3, rule=rule).raw for model in (files(kind), files("float")))
        assert found is not None and expected is not None
        pairs = zip(found.reshape(6, -1).astype(float), expected.reshape(6, -1).astype(float), strict=True)
        cosines = [a @ b / np.sqrt(a @ a * (b @ b)) for a, b in pairs]
        assert np.median(cosines) > least, rule


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("channels", ["", "_channels"])
def test_both_formats_of_the_quantiser_agree(files: Files, channels: str, rule: str) -> None:
    """They are the same levels, written in two ways."""
    found, expected = (lrp(files(kind + channels), PHOTOS, target=3, rule=rule) for kind in ("operators", "qdq"))
    assert apart(found, expected) < 1e-5


# -- other fusions, by hand; what has no rule ---

FUSED = {  # steps, and the operator that has them in one
    "FusedConv": (
        "c = Conv <pads = [1, 1, 1, 1]> (x, w, b) s = Add (c, x) y = LeakyRelu <alpha = 0.3> (s)",
        """y = com.microsoft.FusedConv
           <pads = [1, 1, 1, 1], activation = "LeakyRelu", activation_params = [0.3]> (x, w, b, x)""",
    ),
    "FusedGemm": (
        "f = Flatten (x) g = Gemm <alpha = 0.5> (f, v, d) y = Relu (g)",
        """f = Flatten (x) y = com.microsoft.FusedGemm <alpha = 0.5, activation = "Relu"> (f, v, d)""",
    ),
    "FusedMatMul": (
        "f = Flatten (x) t = Transpose (v) h = Constant <value = float {0.5}> () u = Mul (t, h) y = MatMul (f, u)",
        "f = Flatten (x) y = com.microsoft.FusedMatMul <alpha = 0.5, transB = 1> (f, v)",
    ),
    "BiasGelu": ("s = Add (x, e) y = Gelu (s)", "y = com.microsoft.BiasGelu (x, e)"),
    "FastGelu": ("""s = Add (x, e) y = Gelu <approximate = "tanh"> (s)""", "y = com.microsoft.FastGelu (x, e)"),
    "a rounding": (
        "y = Identity (x)",
        "big = Constant <value = float {1e6}> () m = Mul (x, big) r = Round (m) y = Div (r, big)",
    ),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", FUSED)
def test_fusions_by_hand(name: str, rule: str) -> None:
    text = """
    whole (float[N, 1, 8, 8] image) => (float[N, 3] scores)
    <float[2, 1, 3, 3] first, float[2] begin, float[2, 2, 3, 3] w, float[2] b, float[128, 128] v, float[128] d,
     float[8] e, float[128, 3] last, float[3] end>
    {
        c1 = Conv <pads = [1, 1, 1, 1]> (image, first, begin) x = Relu (c1)
        %s
        flat = Flatten (y) scores = Gemm (flat, last, end)
    }
    """
    models = [loaded(tiny_models.model(HEADER + text % nodes)) for nodes in FUSED[name]]
    expected, found = (lrp(model, PICTURES, target=1, rule=rule) for model in models)
    assert apart(found, expected) < 1e-5


def test_what_there_is_no_rule_for() -> None:
    proto = of_operators()
    softmax = "com.microsoft.QLinearSoftmax <axis = 1, opset = 13> (scores_q, scores_s, scores_z, all_s, image_z)"
    text = OPERATORS.replace("scores = Deq", f"soft_q = {softmax}\n    scores = Deq").replace(
        "(scores_q, scores_s, scores_z)\n}", "(soft_q, all_s, image_z)\n}"
    )
    parsed = onnx.parser.parse_model(text)
    parsed.graph.initializer.extend(proto.graph.initializer)
    expected = (
        "layer-wise relevance propagation has no rule for com.microsoft.QLinearSoftmax (node soft_q): "
        "integrated_gradients needs none"
    )
    with pytest.raises(InputError, match=re.escape(expected)):
        lrp(loaded(parsed), PICTURES, target=1)
