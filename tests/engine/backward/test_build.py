"""The backward pass as ONNX, run by onnxruntime, against torch's gradients: operators, rules and kinds of network."""

from __future__ import annotations

from pathlib import Path

import backward_runs
import numpy as np
import onnxray
import pytest
import tiny_models
import torch
import torchvision_networks as networks
from onnxray.engine.backward.build import Rule
from onnxray.engine.gradient import rules
from onnxray.engine.model import Model
from onnxray.engine.structure.classifier import find_classifier
from onnxray.engine.targets import Function
from onnxray.importers.errors import InputError

RULES: dict[Rule, rules.Rule] = {"gradient": rules.PLAIN, "guided": rules.GUIDED, "deconvnet": rules.DECONVNET}
NEAR = 1e-4  # of the largest gradient
TINY = 2e-5


def network(text: str, opset: int = 21) -> Model:
    """With an output y that is not all 0 behind it."""
    whole = f"""
    <ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]>
    tiny (float[N, 4, 9, 8] image) => (float[N, C, H, W] y)
    <float[4, 4, 3, 3] w, float[6, 2, 3, 2] grouped, float[4, 1, 3, 3] deep, float[4, 2, 3, 3] up, float[4] b,
     float[4] s, float[4] m, float[8, 5] dense, float[4, 1, 1] slope, float[9, 8] around, float[4, 4] mix>
    {{ {text} }}"""
    return Model(tiny_models.model(whole), Path("tiny.onnx"))


def against_torch(model: Model, tensor: str, images: np.ndarray, rule: Rule = "gradient") -> float:
    """The largest difference, as a share of the largest gradient."""
    (image,) = model.graph.inputs
    value = model.session().run(images, [tensor])[tensor]
    arriving = np.random.default_rng(2).normal(size=value.shape).astype(np.float32)
    weights = torch.from_numpy(arriving)
    target = Function(tensor, lambda made: (made * weights.to(made)).flatten(1).sum(1), "weighted")
    expected = model.torch().gradients(images, target, [image], rule=RULES[rule]).gradients[image]
    (found,) = backward_runs.gradients(model, tensor, arriving, images, [image], rule)
    assert found.shape == expected.shape and np.abs(expected).max() > 0
    return float(np.abs(found - expected).max() / np.abs(expected).max())


IMAGES = np.random.default_rng(1).normal(size=(2, 4, 9, 8)).astype(np.float32)

# Names for the operators below: each row of the image with one index twice; [N, 4, 9, 2] to put there;
SAME_TWICE = (
    "f = ArgMax <axis = 1, keepdims = 1> (around) h = Shape <end = 3> (image) o = Constant <value = int64[1] {2}> () "
    "k = Concat <axis = 0> (h, o) i = Expand (f, k)"
)
QUARTERS = "u = MaxPool <kernel_shape = [1, 4], strides = [1, 4]> (image)"
# three places of two axes, one of them twice; the image with those axes first, and [3, N, 8] to put there.
PLACES = "i = Constant <value = int64[3, 2] {0, 1, 3, -2, 0, 1}> () three = Constant <value = int64[1] {3}> ()"
ROWS = (
    "t = Transpose <perm = [1, 2, 0, 3]> (image) p = MaxPool <kernel_shape = [3, 1], strides = [3, 1]> (image) "
    "one = Constant <value = int64[1] {1}> () r = ReduceMean <keepdims = 0> (p, one) "
    "u = Transpose <perm = [1, 0, 2]> (r)"
)
# 0 in all channels of some places.
DARK = "z = Constant <value = float {0.0}> () g = Greater (around, z) k = Cast <to = 1> (g) x = Mul (image, k)"

OPERATORS = {
    "Conv": "y = Conv <pads = [1, 1, 1, 1]> (image, w, b)",
    "Conv, little padding": "y = Conv <pads = [0, 1, 1, 0]> (image, w, b)",
    "Conv, more padding than it reaches": "y = Conv <pads = [4, 3, 3, 5]> (image, w)",
    "Conv, strides that leave places out": "y = Conv <strides = [3, 2], pads = [0, 1, 0, 0]> (image, w)",
    "Conv, dilated": "y = Conv <dilations = [2, 1], pads = [2, 0, 2, 1]> (image, w)",
    "Conv, groups": "y = Conv <group = 2, pads = [1, 0, 1, 0]> (image, grouped)",
    "Conv, groups and strides": "y = Conv <group = 2, strides = [2, 2]> (image, grouped)",
    "Conv, depthwise": "y = Conv <group = 4, pads = [1, 1, 1, 1]> (image, deep)",
    "Conv, SAME": 'y = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (image, w)',
    "ConvTranspose": "y = ConvTranspose <strides = [2, 3], pads = [1, 0, 1, 1], output_padding = [1, 0]> (image, up)",
    "ConvTranspose, groups": "y = ConvTranspose <group = 2, strides = [2, 2]> (image, up)",
    "MaxPool": "y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (image)",
    "MaxPool, shared": "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], ceil_mode = 1> "
    "(image)",
    "AveragePool": "y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (image)",
    "AveragePool, shared": "y = AveragePool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (image)",
    "AveragePool, with padding": "y = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1], count_include_pad = "
    "1> (image)",
    "GlobalAveragePool": "y = GlobalAveragePool (image)",
    "GlobalMaxPool": "y = GlobalMaxPool (image)",
    "BatchNormalization": "a = Abs (s) y = BatchNormalization (image, s, b, m, a)",
    "InstanceNormalization": "y = InstanceNormalization (image, s, b)",
    "LayerNormalization": "y = LayerNormalization <axis = 2> (image, around)",
    "GroupNormalization": "y = GroupNormalization <num_groups = 2> (image, s, b)",
    "LpNormalization": "y = LpNormalization <axis = 1> (image)",
    "LRN": "y = LRN <size = 3, alpha = 0.5, beta = 0.75, bias = 1.0> (image)",
    "LRN, wide": "y = LRN <size = 5, alpha = 0.5, beta = 0.6, bias = 2.0> (image)",
    "Softmax": "y = Softmax <axis = 1> (image)",
    "LogSoftmax": "y = LogSoftmax <axis = 3> (image)",
    "MatMul": "y = MatMul (image, dense)",
    "MatMul of two": "t = Transpose <perm = [0, 1, 3, 2]> (image) y = MatMul (image, t)",
    "Gemm": "i = Constant <value = int64[2] {0, -1}> () o = Constant <value = int64[4] {0, 4, 9, 5}> () "
    "k = Constant <value = int64[2] {-1, 8}> () r = Reshape (image, k) p = Gemm <alpha = 0.5> (r, dense) "
    "n = Constant <value = int64[4] {-1, 4, 9, 5}> () y = Reshape (p, n)",
    "Einsum": 'y = Einsum <equation = "nchw,cd->ndhw"> (image, mix)',
    "Add": "p = MaxPool <kernel_shape = [9, 8]> (image) y = Add (image, p)",
    "Sub": "p = MaxPool <kernel_shape = [9, 1]> (image) y = Sub (p, image)",
    "Mul": "p = MaxPool <kernel_shape = [9, 8]> (image) y = Mul (p, image)",
    "Div": "a = Abs (image) o = Constant <value = float {1.0}> () p = Add (a, o) y = Div (image, p)",
    "Mean": "e = Exp (image) p = MaxPool <kernel_shape = [9, 8]> (image) y = Mean (image, e, p)",
    "Min": "e = Exp (image) p = MaxPool <kernel_shape = [9, 8]> (image) y = Min (e, p)",
    "Max": "n = Neg (image) h = Constant <value = float {0.5}> () m = Mul (n, h) y = Max (image, m, h)",
    "Where": "z = Constant <value = float {0.1}> () g = Greater (image, z) n = Exp (image) y = Where (g, image, n)",
    "Concat and Split": "c = Concat <axis = 1> (image, image) p, q, r = Split <axis = 1, num_outputs = 3> (c) "
    "a = Constant <value = int64[1] {0}> () e = Constant <value = int64[1] {2}> () x = Constant <value = int64[1] "
    "{1}> () "
    "f = Slice (p, a, e, x) k = Slice (r, a, e, x) y = Mul (f, k)",
    "Slice": "a = Constant <value = int64[2] {1, -2}> () e = Constant <value = int64[2] {8, -9}> () "
    "x = Constant <value = int64[2] {2, 3}> () t = Constant <value = int64[2] {3, -2}> () y = Slice (image, a, e, "
    "x, t)",
    "Gather": "i = Constant <value = int64[3] {2, 0, 2}> () y = Gather <axis = 1> (image, i)",
    "Pad": "p = Constant <value = int64[8] {0, 1, 2, -1, 0, 0, 1, 3}> () y = Pad (image, p)",
    "Pad, reflecting": "p = Constant <value = int64[8] {0, 0, 2, 3, 0, 0, 1, 7}> () "
    'y = Pad <mode = "reflect"> (image, p)',
    "Pad, the edge repeated": "p = Constant <value = int64[4] {1, 2, 0, 3}> () "
    "a = Constant <value = int64[2] {1, -1}> () "
    'y = Pad <mode = "edge"> (image, p, , a)',
    "Pad, wrapping": 'p = Constant <value = int64[8] {0, 0, 0, 2, 0, 0, 3, 1}> () y = Pad <mode = "wrap"> (image, p)',
    "Tile": "k = Constant <value = int64[4] {1, 2, 1, 3}> () y = Tile (image, k)",
    "Trilu": "y = Trilu <upper = 0> (image)",
    "Trilu from another diagonal": "k = Constant <value = int64 {-2}> () y = Trilu (image, k)",
    "CumSum": "a = Constant <value = int64 {2}> () y = CumSum (image, a)",
    "CumSum, exclusive and from the end": "a = Constant <value = int64 {-1}> () "
    "y = CumSum <exclusive = 1, reverse = 1> (image, a)",
    "GatherElements": f"{SAME_TWICE} y = GatherElements <axis = 3> (image, i)",
    "GatherND": f"{PLACES} t = Transpose <perm = [1, 2, 0, 3]> (image) g = GatherND (t, i) "
    "u = Unsqueeze (g, three) y = Transpose <perm = [1, 0, 2, 3]> (u)",
    "GatherND of each image": f"{PLACES} n = Shape <end = 1> (image) k = Constant <value = int64[2] {{3, 2}}> () "
    "d = Concat <axis = 0> (n, k) e = Expand (i, d) g = GatherND <batch_dims = 1> (image, e) y = Unsqueeze (g, three)",
    "ScatterElements": f"{SAME_TWICE} {QUARTERS} y = ScatterElements <axis = 3> (image, i, u)",
    "ScatterElements that adds": f'{SAME_TWICE} {QUARTERS} y = ScatterElements <axis = 3, reduction = "add"> (image, '
    "i, u)",
    "ScatterND": f"{PLACES} {ROWS} s = ScatterND (t, i, u) y = Transpose <perm = [2, 0, 1, 3]> (s)",
    "ScatterND that adds": f'{PLACES} {ROWS} s = ScatterND <reduction = "add"> (t, i, u) '
    "y = Transpose <perm = [2, 0, 1, 3]> (s)",
    "ScatterND by the image": "p, i = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> (image) e = Exp (p) "
    "m = Constant <value = int64[1] {-1}> () o = Constant <value = int64[2] {-1, 1}> () k = Reshape (i, o) "
    "u = Reshape (e, m) n = Size (image) l = Reshape (n, m) z = ConstantOfShape (l) s = ScatterND (z, k, u) "
    "d = Shape (image) y = Reshape (s, d)",
    "MaxUnpool": "p, i = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> (image) e = Exp (p) "
    "y = MaxUnpool <kernel_shape = [3, 2], strides = [3, 2]> (e, i)",
    "Transpose": "y = Transpose <perm = [0, 3, 1, 2]> (image)",
    "Expand": "p = MaxPool <kernel_shape = [9, 8]> (image) k = Constant <value = int64[4] {1, 4, 3, 2}> () y = "
    "Expand (p, k)",
    "DepthToSpace": "y = DepthToSpace <blocksize = 2> (image)",
    "DepthToSpace, columns first": 'y = DepthToSpace <blocksize = 2, mode = "CRD"> (image)',
    "SpaceToDepth": "p = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 1, 0}> () q = Pad (image, p) "
    "y = SpaceToDepth <blocksize = 2> (q)",
    "Resize, nearest": "k = Constant <value = float[4] {1.0, 1.0, 2.0, 3.0}> () "
    'y = Resize <coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"> (image, , k)',
    "Resize, linear": 'k = Constant <value = float[4] {1.0, 1.0, 1.5, 0.7}> () y = Resize <mode = "linear"> (image, '
    ", k)",
    "Resize, cubic to a size": "k = Constant <value = int64[4] {0, 4, 13, 8}> () n = Shape <start = 0, end = 1> "
    "(image) "
    'c = Constant <value = int64[3] {4, 13, 8}> () z = Concat <axis = 0> (n, c) y = Resize <mode = "cubic"> (image, '
    ", , z)",
    "ReduceMean": "a = Constant <value = int64[2] {2, -1}> () y = ReduceMean (image, a)",
    "ReduceMax": "a = Constant <value = int64[1] {1}> () y = ReduceMax (image, a)",
    "ReduceSum, axes gone": "a = Constant <value = int64[1] {1}> () r = ReduceSum <keepdims = 0> (image, a) "
    "y = Unsqueeze (r, a)",
    "ReduceMin": "a = Constant <value = int64[2] {1, 3}> () y = ReduceMin (image, a)",
    "ReduceL1": "a = Constant <value = int64[1] {1}> () y = ReduceL1 (image, a)",
    "ReduceSumSquare": "a = Constant <value = int64[1] {2}> () y = ReduceSumSquare (image, a)",
    "ReduceLogSumExp": "a = Constant <value = int64[2] {2, 3}> () y = ReduceLogSumExp (image, a)",
    "ReduceL2 of zeros": f"{DARK} a = Constant <value = int64[1] {{1}}> () y = ReduceL2 (x, a)",
    "ReduceL1 of zeros": f"{DARK} a = Constant <value = int64[1] {{1}}> () y = ReduceL1 (x, a)",
    "LpNormalization of zeros": f"{DARK} y = LpNormalization <axis = 1> (x)",
    "LpNormalization of zeros, p = 1": f"{DARK} y = LpNormalization <axis = 1, p = 1> (x)",
    "Pow of zeros": f"{DARK} p = Constant <value = float {{3.0}}> () q = Constant <value = float {{1.0}}> () "
    "c = Pow (x, p) d = Pow (x, q) y = Add (c, d)",
    "Pow by 0": f"{DARK} p = Pow (x, z) y = Add (p, image)",
    "ReduceL2": "a = Constant <value = int64[1] {1}> () y = ReduceL2 (image, a)",
    **{
        op: f"y = {op} (image)"
        for op in ["Relu", "LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "Sigmoid", "Tanh", "Softplus"]
    },
    **{
        op: f"y = {op} (image)"
        for op in ["Softsign", "HardSigmoid", "HardSwish", "Mish", "Gelu", "Erf", "Exp", "Abs", "Neg", "Sin", "Cos"]
    },
    "Gelu by tanh": 'y = Gelu <approximate = "tanh"> (image)',
    "QuickGelu": "y = com.microsoft.QuickGelu (image)",
    "PRelu": "y = PRelu (image, slope)",
    "Clip": "l = Constant <value = float {-0.5}> () h = Constant <value = float {0.7}> () y = Clip (image, l, h)",
    "Log": "a = Abs (image) o = Constant <value = float {1.0}> () p = Add (a, o) y = Log (p)",
    "Sqrt and Reciprocal": "e = Exp (image) r = Sqrt (e) y = Reciprocal (r)",
    "Pow": "e = Exp (image) p = Constant <value = float {1.5}> () y = Pow (e, p)",
    "an If that shapes decide": "n = Constant <value = int64 {9}> () h = Shape <start = 2, end = 3> (image) "
    "c = Equal (h, n) q = Squeeze (c) y = If (q) <then_branch = then () => (float[N, 4, 9, 8] t) { t = Exp (image) }, "
    "else_branch = other () => (float[N, 4, 9, 8] o) { o = Neg (image) }>",
}


@pytest.mark.parametrize("text", OPERATORS.values(), ids=list(OPERATORS))
def test_operators(text: str) -> None:
    assert against_torch(network(text), "y", IMAGES) <= TINY


VERSIONS = {
    "Slice": (
        13,
        "a = Constant <value = int64[2] {2, 3}> () e = Constant <value = int64[2] {7, 8}> () "
        "x = Constant <value = int64[2] {2, 3}> () y = Slice (image, a, e, x)",
    ),
    "Attention": (23, "e = Exp (image) n = Neg (image) y = Attention (e, image, n)"),
    "Attention with a mask": (
        23,
        "q = MatMul (image, dense) t = Transpose (around) m = MatMul (around, t) "
        "y = Attention <scale = 0.3> (q, q, image, m)",
    ),
    "Swish": (24, "y = Swish <alpha = 1.5> (image)"),
    "GroupNormalization with a scale a group": (
        18,
        "l = Constant <value = int64[1] {2}> () c, d = Split <axis = 0, num_outputs = 2> (s) "
        "y = GroupNormalization <num_groups = 2> (image, c, d)",
    ),
}


@pytest.mark.parametrize(("opset", "text"), VERSIONS.values(), ids=list(VERSIONS))
def test_operators_of_other_versions(opset: int, text: str) -> None:
    assert against_torch(network(text, opset), "y", IMAGES) <= TINY


def test_older_files_are_raised() -> None:
    model = network("c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) y = ReduceMean <axes = [2, 3]> (r)", 11)
    assert against_torch(model, "y", IMAGES) <= TINY


ACTIVATIONS = {
    "Relu": "y = Relu (c)",
    "Relu6": "l = Constant <value = float {0.0}> () h = Constant <value = float {6.0}> () y = Clip (c, l, h)",
    "Gelu": "y = Gelu (c)",
    "SiLU": "s = Sigmoid (c) y = Mul (c, s)",
    "Gelu in full": "r = Constant <value = float {1.4142135}> () d = Div (c, r) e = Erf (d) "
    "o = Constant <value = float {1.0}> () p = Add (e, o) q = Mul (c, p) h = Constant <value = float {0.5}> () y = "
    "Mul (q, h)",
    "HardSwish in full": "t = Constant <value = float {3.0}> () a = Add (c, t) l = Constant <value = float {0.0}> () "
    "h = Constant <value = float {6.0}> () k = Clip (a, l, h) p = Mul (c, k) y = Div (p, h)",
    "LRN behind": "r = Relu (c) y = LRN <size = 3, alpha = 0.5> (r)",
}


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
@pytest.mark.parametrize("text", ACTIVATIONS.values(), ids=list(ACTIVATIONS))
def test_rules(text: str, rule: Rule) -> None:
    assert against_torch(network(f"c = Conv (image, w, b) {text}"), "y", IMAGES, rule) <= TINY


# Of random weights, those whose gradients rounding does not throw from one side of a ReLU to the other.
LEVELS = (
    "i8 = Constant <value = int8[4] {0, 3, -4, 1}> () u = Constant <value = uint8 {100}> () "
    "h = Constant <value = float {0.02}> () f = Constant <value = float[4] {0.01, 0.02, 0.03, 0.005}> () "
)
QUANTISED = {
    "one scale": "l = QuantizeLinear (image, h, u) d = DequantizeLinear (l, h, u) "
    "c = Conv <pads = [1, 1, 1, 1]> (d, w) v = QuantizeLinear (c, h, u) y = DequantizeLinear (v, h, u)",
    "maxima of levels": "v = QuantizeLinear (image, h, u) p = MaxPool <kernel_shape = [2, 2]> (v) "
    "y = DequantizeLinear (p, h, u)",
    "a scale a channel": "l = QuantizeLinear <axis = 1> (image, f, i8) d = DequantizeLinear <axis = 1> (l, f, i8) "
    "c = Conv <pads = [1, 1, 1, 1]> (d, w) e = QuantizeLinear (c, h) y = DequantizeLinear (e, h)",
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("text", QUANTISED.values(), ids=QUANTISED)
def test_levels(text: str, rule: Rule) -> None:
    """Straight through the rounding, and stopped where a level saturates."""
    assert against_torch(network(LEVELS + text), "y", IMAGES, rule) < TINY


ARCHITECTURES = ("squeezenet1_1", "resnet18", "mobilenet_v3_small", "zfnet", "hourglass", "segnet")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    exporter = networks.ARCHITECTURES[name].exporters[-1]
    model = onnxray.load(networks.exported(name, exporter, tmp_path_factory.getbasetemp(), any_batch=True))
    classifier = find_classifier(model.graph)
    tensor = model.graph.outputs[0] if classifier is None else classifier.logits or classifier.output
    for rule in RULES:
        assert against_torch(model, tensor, networks.images(name, 2).numpy(), rule) <= NEAR, rule


TOGETHER = {
    "a gate": "c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = MaxPool <kernel_shape = [2, 2]> (r) "
    "g = GlobalAveragePool (p) t = Mul (p, g) y = Conv (t, w)",
    "a decoder": "p, where = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> (image) "
    "c = Conv <pads = [1, 1, 1, 1]> (p, w) n = GroupNormalization <num_groups = 2> (c, s, b) "
    f"d = MaxUnpool <kernel_shape = [3, 2], strides = [3, 2]> (n, where) {PLACES} t = Transpose <perm = [1, 2, 0, 3]> "
    "(d) g = GatherND (t, i) u = Unsqueeze (g, three) y = Transpose <perm = [1, 0, 2, 3]> (u)",
}


@pytest.mark.parametrize("text", TOGETHER.values(), ids=list(TOGETHER))
def test_more_gradients_than_images(text: str) -> None:
    """Several units of one image, run back together, as each is alone; of an inner tensor, too."""
    model = network(text)
    image = IMAGES[:1]
    places = model.session().run(image, ["y"])["y"].shape[1:]
    arriving = np.random.default_rng(3).normal(size=(5, *places)).astype(np.float32)
    together = backward_runs.gradients(model, "y", arriving, image, ["image", "c"])
    for number in range(5):
        alone = backward_runs.gradients(model, "y", arriving[number : number + 1], image, ["image", "c"])
        for found, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(found[number], expected[0], rtol=0, atol=1e-6 * np.abs(expected).max())


def test_what_is_missing_is_named_at_once() -> None:
    model = network(
        "t = LpPool <kernel_shape = [1, 1]> (image) u = LpPool <kernel_shape = [1, 1]> (t) "
        'p = Constant <value = int64[8] {0, 0, 1, -1, 0, 0, 1, 1}> () y = Pad <mode = "reflect"> (u, p)'
    )
    with pytest.raises(
        InputError, match=r"it lacks Pad with mode reflect and negative pads; LpPool \(2 ×\); "
    ) as raised:
        backward_runs.gradients(model, "y", IMAGES, IMAGES, ["image"])
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


REFUSED = {
    "ScatterElements with reduction max": f'{SAME_TWICE} {QUARTERS} y = ScatterElements <axis = 3, reduction = "max"> '
    "(image, i, u)",
    "GatherElements with input 1, as it depends on the image": "i = ArgMax <axis = 3> (image) "
    "y = GatherElements <axis = 3> (image, i)",
    "ScatterND with input 1, as it depends on the image": "p, i = MaxPool <kernel_shape = [3, 2], strides = [3, 2]> "
    "(image) m = Constant <value = int64[1] {-1}> () o = Constant <value = int64[2] {-1, 1}> () k = Reshape (i, o) "
    "u = Reshape (p, m) x = Reshape (image, m) s = ScatterND (x, k, u) d = Shape (image) y = Reshape (s, d)",
    "Attention with is_causal": "y = Attention <is_causal = 1> (image, image, image)",
}


@pytest.mark.parametrize(("reason", "text"), REFUSED.items(), ids=list(REFUSED))
def test_what_is_refused(reason: str, text: str) -> None:
    with pytest.raises(InputError, match=f"it lacks {reason}; "):
        backward_runs.gradients(network(text, 23), "y", IMAGES, IMAGES, ["image"])


def test_what_nothing_depends_on() -> None:
    model = network("o = Shape (image) y = ConstantOfShape (o)")
    with pytest.raises(InputError, match="y does not depend on image"):
        backward_runs.gradients(model, "y", IMAGES, IMAGES, ["image"])
