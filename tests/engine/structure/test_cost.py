"""Parameters and MACs: against published numbers, torch's flop counter and onnx-tool."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import published_networks
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from onnxray.engine.model import load
from onnxray.engine.structure.cost import Costs
from onnxray.engine.structure.graph import Graph


def costs(text: str, **weights: np.ndarray) -> Costs:
    """Costs of a graph in ONNX text; `weights` become its initializers."""
    proto = parser.parse_model(text)
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in proto.graph.input}
    return Costs(Graph(proto, shapes))


def total_macs(found: Costs) -> int | None:
    known = [cost.macs for cost in found.nodes]
    return None if None in known else sum(value or 0 for value in known)


def head(body: str, opset: int = 18) -> str:
    """An ONNX text of one graph; com.microsoft may be used."""
    return f'<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]> g {body}'


@pytest.mark.parametrize(
    ("build", "params", "macs", "digits"),
    [
        # VGG-16: paper "138 M"; torchvision's table: 138357544 parameters, 15.47 G.
        (published_networks.vgg16, 138_357_544, 15.47e9, 4),
        # AlexNet, one tower: torchvision's table: 61100840 parameters, 0.71 G.
        (published_networks.alexnet, 61_100_840, 0.71e9, 2),
        # ResNet-50: torchvision's table: 25557032 parameters, 4.09 G.
        (lambda: published_networks.resnet50(stride_last=False), 25_557_032, 4.09e9, 3),
        # MobileNet v1: paper, table 4: 4.2 M parameters, 569 M multiply-adds. 4231976: timm's mobilenetv1_100.
        (published_networks.mobilenet_v1, 4_231_976, 569e6, 3),
    ],
    ids=["vgg16", "alexnet", "resnet50", "mobilenet_v1"],
)
def test_published_numbers(build: Callable[[], onnx.ModelProto], params: int, macs: float, digits: int) -> None:
    found = Costs(Graph(build(), {"image": (1, 3, 224, 224)}))
    assert found.params == params
    total = total_macs(found)
    assert total is not None
    assert float(f"{total:.{digits}g}") == macs


TORCH_CASES = {
    "grouped, dilated convolution": (
        "(float[2,4,15,13] x) => (y) { y = Conv<group=2, dilations=[2,1], strides=[2,1], pads=[1,0,1,0]>(x, w, b) }",
        {"w": (6, 2, 3, 2), "b": (6,)},
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, stride=(2, 1), padding=(1, 0), dilation=(2, 1), groups=2),
    ),
    "1-d convolution": (
        "(float[1,4,20] x) => (y) { y = Conv(x, w) }",
        {"w": (5, 4, 3)},
        lambda t, x, w: t.nn.functional.conv1d(x, w),
    ),
    "transposed convolution": (
        "(float[2,4,5,6] x) => (y) { y = ConvTranspose<group=2, strides=[2,3], pads=[1,1,1,1]>(x, w) }",
        {"w": (4, 3, 3, 4)},
        lambda t, x, w: t.nn.functional.conv_transpose2d(x, w, stride=(2, 3), padding=1, groups=2),
    ),
    "dense": (
        "(float[3,8] x) => (y) { y = Gemm<transB=1>(x, w, b) }",
        {"w": (5, 8), "b": (5,)},
        lambda t, x, w, b: t.nn.functional.linear(x, w, b),
    ),
    "dense, transposed": (
        "(float[8,3] x) => (y) { y = Gemm<transA=1>(x, w) }",
        {"w": (8, 5)},
        lambda t, x, w: x.T @ w,
    ),
    "batched matrix product": (
        "(float[2,3,4,5] x) => (y) { y = MatMul(x, w) }",
        {"w": (2, 3, 5, 6)},
        lambda t, x, w: x @ w,
    ),
    "einsum": (
        '(float[2,3,4,5] x) => (y) { y = Einsum<equation="bhqd,bhkd->bhqk">(x, w) }',
        {"w": (2, 3, 7, 5)},
        lambda t, x, w: t.einsum("bhqd,bhkd->bhqk", x, w),
    ),
    "einsum with dots": (
        '(float[2,3,4,5] x) => (y) { y = Einsum<equation="...d,de->...e">(x, w) }',
        {"w": (5, 6)},
        lambda t, x, w: t.einsum("...d,de->...e", x, w),
    ),
}


@pytest.mark.parametrize("case", TORCH_CASES.values(), ids=TORCH_CASES.keys())
def test_macs_are_those_of_torchs_flop_counter(case: tuple[str, dict[str, tuple[int, ...]], Callable]) -> None:  # type: ignore[type-arg]
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    text, shapes, function = case
    found = costs(head(text), **{name: np.ones(shape, np.float32) for name, shape in shapes.items()})
    image = next(iter(found.graph.inputs))
    shape = found.graph.shape(image)
    assert shape is not None
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        result = function(torch, torch.zeros(*shape), *(torch.zeros(*s) for s in shapes.values()))  # type: ignore[arg-type]
    assert total_macs(found) == counter.get_total_flops() // 2
    assert found.graph.shape("y") == tuple(result.shape)


@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3)])
def test_recurrent_macs_are_those_of_torchs_flop_counter(op: str, gates: int) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    module = getattr(torch.nn, op)(5, 7, bidirectional=True)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(3, 2, 5))
    assert _recurrent(op, gates) == counter.get_total_flops() // 2


def test_lstm_macs() -> None:
    """torch's flop counter says 0 for an LSTM on the CPU, which runs as one fused operator that it does not know. By
    definition: steps x batch x directions x 4 gates x hidden x (input + hidden)."""
    assert _recurrent("LSTM", 4) == 3 * 2 * 2 * 4 * 7 * (5 + 7)


def test_the_states_an_lstm_starts_from_are_no_parameters() -> None:
    """torch's module has 4 * 7 * (5 + 7 + 2) of them; its exporter writes the zeros it starts from as constants."""
    weights = {"w": np.ones((1, 28, 5), np.float32), "r": np.ones((1, 28, 7), np.float32)}
    weights |= {"b": np.ones((1, 56), np.float32), "h": np.zeros((1, 2, 7), np.float32)}
    text = '(float[3,2,5] x) => (y) { y = LSTM<hidden_size=7>(x, w, r, b, "", h, h) }'.replace('""', "")
    assert costs(head(text), **weights).params == 4 * 7 * (5 + 7 + 2)


def _recurrent(op: str, gates: int) -> int | None:
    weights = {"w": np.ones((2, gates * 7, 5), np.float32), "r": np.ones((2, gates * 7, 7), np.float32)}
    text = f'(float[3,2,5] x) => (y) {{ y = {op}<direction="bidirectional", hidden_size=7>(x, w, r) }}'
    return total_macs(costs(head(text), **weights))


def test_attention_macs() -> None:
    """torch's flop counter on scaled_dot_product_attention: two products a pair of query and key."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    text = "(float[2,3,4,6] q, float[2,3,5,6] k, float[2,3,5,7] v) => (y) { y = Attention(q, k, v) }"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        q, k, v = torch.zeros(2, 3, 4, 6), torch.zeros(2, 3, 5, 6), torch.zeros(2, 3, 5, 7)
        torch.softmax(q @ k.transpose(-1, -2), -1) @ v
    assert total_macs(costs(head(text, opset=23))) == counter.get_total_flops() // 2


def test_quantised_forms_cost_what_their_float_forms_cost() -> None:
    image, weight = "float[1,4,9,9] x", np.ones((6, 4, 3, 3), np.float32)
    plain = costs(head(f"({image}) => (y) {{ y = Conv(x, w) }}"), w=weight)
    scale, zero = np.float32([0.5]).reshape(()), np.int8([3]).reshape(())
    small = weight.astype(np.int8)
    linear = costs(
        head("(int8[1,4,9,9] x) => (y) { y = QLinearConv(x, s, z, w, s, z, s, z) }"), w=small, s=scale, z=zero
    )
    integer = costs(head("(int8[1,4,9,9] x) => (y) { y = ConvInteger(x, w) }"), w=small)
    pairs = costs(
        head(f"({image}) => (y) {{ d = DequantizeLinear(w, s, z) y = Conv(x, d) }}"), w=small, s=scale, z=zero
    )
    for form in (linear, integer, pairs):
        assert total_macs(form) == total_macs(plain) == 6 * 7 * 7 * 36
        assert form.params == plain.params == weight.size
        assert {parameter.dtype for parameter in form.parameters.values()} == {"int8"}


def test_zeros_of_quantised_weights_are_their_zero_points() -> None:
    weight = np.array([[3, 3, 0, 1]], np.int8)
    found = costs(
        head("(float[1,4] x) => (y) { d = DequantizeLinear(w, s, z) y = Gemm<transB=1>(x, d) }"),
        w=weight,
        s=np.float32(0.5).reshape(()),
        z=np.int8(3).reshape(()),
    )
    assert [parameter.zeros for parameter in found.parameters.values()] == [2]


def test_zeros_of_weights_that_later_nodes_scale_are_their_zero_points() -> None:
    found = costs(
        head("(uint8[1,4] x) => (y) { y = MatMulInteger(x, w, xz, wz) }"),
        w=np.array([[7, 7], [7, 0], [1, 2], [3, 4]], np.uint8),
        xz=np.uint8(0).reshape(()),
        wz=np.uint8(7).reshape(()),
    )
    assert found.parameters["w"].zeros == 3


def test_a_convolution_for_other_channels_has_no_macs() -> None:
    found = costs(head("(float[1,3,8,8] x) => (y) { y = Conv(x, w) }"), w=np.ones((4, 5, 3, 3), np.float32))
    assert found.nodes[0].macs is None


def test_a_weight_used_twice_counts_once_in_the_total() -> None:
    found = costs(
        head("(float[4,4] x) => (y) { a = MatMul(x, w) t = Transpose(w) y = MatMul(a, t) }"),
        w=np.eye(4, dtype=np.float32),
    )
    assert [cost.params for cost in found.nodes] == [16, 0, 16]
    assert found.params == 16
    assert found.parameters["w"].zeros == 12


def test_what_is_no_parameter() -> None:
    """Bounds, shapes, pads, scalars of arithmetic, and the statistics of batch normalisation."""
    ones = np.ones(4, np.float32)
    found = costs(
        head(
            "(float[1,4,6,6] x) => (y) { a = BatchNormalization(x, s, b, m, v) c = Clip(a, low, high) d = Div(c, high)"
            " e = Pad(d, pads) f = Reshape(e, shape) g = PRelu(f, slope) y = Add(g, bias) }"
        ),
        **dict.fromkeys(("s", "b", "m", "v"), ones),
        low=np.float32(0).reshape(()),
        high=np.float32(6).reshape(()),
        pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        shape=np.array([1, 4, 64]),
        slope=np.ones((1,), np.float32),
        bias=np.ones((4, 1), np.float32),
    )
    assert [cost.params for cost in found.nodes] == [8, 0, 0, 0, 0, 1, 4]
    assert sum(cost.statistics for cost in found.nodes) == 8


def test_unknown_operators_and_shapes_have_no_number() -> None:
    custom = head("(float[1,4] x) => (float[1,4] y) { y = com.microsoft.SomethingNew(x) }")
    assert [cost.macs for cost in costs(custom).nodes] == [None]
    data_dependent = head("(float[4,5] x) => (y) { n = NonZero(x) f = Cast<to=1>(n) y = MatMul(w, f) }")
    assert costs(data_dependent, w=np.ones((3, 2), np.float32)).nodes[-1].macs is None


def test_a_branch_that_only_moves_data_costs_nothing() -> None:
    def branch(op: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(f"out_{op}", TensorProto.FLOAT, None)
        inputs = ["x", "x"] if op == "MatMul" else ["x"]
        return helper.make_graph([helper.make_node(op, inputs, [f"out_{op}"])], op, [], [out])

    def macs(op: str) -> int | None:
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch(op), else_branch=branch("Identity"))
        inputs = [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 3]),
        ]
        graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name="y")])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        return Costs(Graph(proto, {"c": (), "x": (3, 3)})).nodes[0].macs

    assert macs("Relu") == 0
    assert macs("MatMul") is None


@pytest.mark.parametrize(
    "path",
    [
        "models/derived/squeezenet1.1.onnx",
        "models/derived/resnet20_cifar10.onnx",
        "models/onnx/prisma_portrait_unet/prisma_nchw.onnx",
        "models/onnx/sinet_portrait/SINet_Softmax.onnx",
        "models/onnx/ultraface_rfb320/version-RFB-320.onnx",
    ],
)
def test_convolutions_of_real_files_against_onnx_tool(shared: Callable[[str], Path], path: str) -> None:
    """Convolution by convolution. onnx-tool 1.0 adds 1 an output element where there is a bias, which is an addition,
    no multiply-accumulate. Transposed convolutions are left out: there it multiplies the *output* elements by the
    output channels and the kernel, where input elements x output channels x kernel is right (torch's flop counter
    agrees with us, see above). Its totals also count 1 to 20 "MACs" an element of ReLU, BatchNormalization and so on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx_tool
    model = load(shared(path))
    graph = onnx_tool.Model(str(shared(path)), {"verbose": False}).graph
    name, shape = next(iter(model.input_shapes.items()))
    graph.shape_infer({name: np.zeros(shape, np.float32)})
    graph.profile()
    theirs = {node.output[0]: node.macs[0] for node in graph.nodemap.values() if node.op_type == "Conv"}
    convolutions = [node for node in model.graph.nodes if node.op == "Conv"]
    found = Costs(model.graph).nodes
    assert len(theirs) == len(convolutions) > 0
    for node in convolutions:
        output = model.graph.types[node.outputs[0]].elements
        assert output is not None
        bias = output if len(node.inputs) > 2 else 0
        assert found[node.index].macs == theirs[node.outputs[0]] - bias, node.name


def test_parameters_of_real_files_are_their_float_initializers(shared: Callable[[str], Path]) -> None:
    """Files without scalars or shapes among their floats: everything stored is a parameter or a statistic."""
    for path in ("models/derived/squeezenet1.1.onnx", "models/derived/vgg16_trunk_hed.onnx"):
        proto = onnx.load(shared(path))
        stored = sum(int(np.prod(t.dims)) for t in proto.graph.initializer if t.data_type == TensorProto.FLOAT)
        assert Costs(load(shared(path)).graph).params == stored
