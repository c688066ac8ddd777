"""If, Loop and Scan, and the sequences that loops fill: values as onnxruntime's, gradients as differences say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
import torch
from bridge_checks import check_bridge, graph_model, random_feeds
from onnx import numpy_helper
from onnxray.engine.gradient.builder import build
from onnxray.engine.model import load
from onnxray.importers.errors import InputError

LOOP = """net (float[2, 3] x) => (float[2, 3] last, float[N, 2, 3] all) <float[3, 3] w>
{
    trips = Constant <value_int = TRIPS> ()
    go = Constant <value = bool {1}> ()
    last, all = Loop (trips, go, x) <body = step (int64 i, bool c, float[2, 3] h)
    => (bool d, float[2, 3] g, float[2, 3] r)
    {
        p = MatMul (h, w)
        g = Tanh (p)
        n = Cast <to = 1> (i)
        r = Mul (g, n)
        limit = Constant <value = float {STOP}> ()
        q = ReduceSum <keepdims = 0> (g)
        d = Less (q, limit)
    }>
}"""


@pytest.mark.parametrize(("trips", "stop"), [(4, "1e9"), (0, "1e9"), (5, "-1e9")])
def test_loops_with_a_captured_weight(tmp_path: Path, trips: int, stop: str) -> None:
    """A trip count, no trip at all, and a condition that ends it after the first one."""
    found = check_bridge(graph_model(tmp_path, LOOP.replace("TRIPS", str(trips)).replace("STOP", stop)))
    assert len(found["all"]) == (1 if stop == "-1e9" else trips)


def test_a_loop_equals_its_unrolled_graph(tmp_path: Path) -> None:
    looped = graph_model(tmp_path, LOOP.replace("TRIPS", "3").replace("STOP", "1e9"))
    steps = "".join(f"p{i} = MatMul (h{i}, w)  h{i + 1} = Tanh (p{i})\n" for i in range(3))
    text = f"net (float[2, 3] x) => (float[2, 3] h3) <float[3, 3] w> {{ h0 = Identity (x)\n{steps} }}"
    (tmp_path / "unrolled").mkdir()
    unrolled = graph_model(tmp_path / "unrolled", text)
    feeds = random_feeds(looped)
    np.testing.assert_allclose(looped.torch().run(feeds)["last"], unrolled.torch().run(feeds)["h3"], 1e-6)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_branches_with_captured_weights_and_a_branch_within(tmp_path: Path, sign: float) -> None:
    model = graph_model(
        tmp_path,
        """net (float[2, 3] x, float s) => (float[2, 3] y) <float[3] w, float[3] v>
        {
            zero = Constant <value = float {0.0}> ()
            c = Greater (s, zero)
            h = Sin (x)
            y = If (c) <
                then_branch = yes () => (float[2, 3] a)
                {
                    a = If (c) <then_branch = inner () => (float[2, 3] p) { p = Mul (h, w) },
                                else_branch = outer () => (float[2, 3] q) { q = Identity (x) }>
                },
                else_branch = no () => (float[2, 3] b) { k = Add (h, v)  b = Exp (k) }>
        }""",
    )
    feeds = {**random_feeds(model), "s": np.array(sign, np.float32)}
    check_bridge(model, feeds)


@pytest.mark.parametrize("attributes", ["", "scan_input_directions = [1], scan_output_axes = [1],"])
def test_scans_forwards_and_backwards(tmp_path: Path, attributes: str) -> None:
    model = graph_model(
        tmp_path,
        f"""net (float[5, 2] x, float[2] s) => (float[2] last, float[A, B] rows) <float[2, 2] w>
        {{
            last, rows = Scan <num_scan_inputs = 1, {attributes}
                body = step (float[2] h, float[2] e) => (float[2] g, float[2] r)
                {{ p = MatMul (h, w)  q = Add (p, e)  g = Tanh (q)  r = Mul (g, e) }}> (s, x)
        }}""",
    )
    check_bridge(model)


def test_scans_of_opset_8(tmp_path: Path) -> None:
    text = """<ir_version: 4, opset_import: ["" : 8]>
    net (float[2, 2] s, float[2, 4, 2] x) => (float[2, 2] last, float[2, 4, 2] rows)
    {
        last, rows = Scan <num_scan_inputs = 1, directions = [DIRECTION],
            body = step (float[2] h, float[2] e) => (float[2] g, float[2] r)
            { g = Add (h, e)  r = Mul (g, e) }> ( , s, x)
    }"""
    for direction in "01":
        onnx.save(tiny_models.model(text.replace("DIRECTION", direction)), tmp_path / "net.onnx")
        check_bridge(load(tmp_path / "net.onnx"))


def test_sequences_pass_gradients(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        """net (float[4, 3] x) => (float[N, 3] y, float[M, 3] z)
        {
            sizes = Constant <value_ints = [1, 3]> ()
            parts = SplitToSequence <axis = 0> (x, sizes)
            one = Constant <value_int = 1> ()
            big = SequenceAt (parts, one)
            curved = Sin (big)
            fewer = SequenceErase (parts, one)
            more = SequenceInsert (fewer, curved)
            y = ConcatFromSequence <axis = 0> (more)
            pair = SequenceConstruct (curved, x)
            z = ConcatFromSequence <axis = 0> (pair)
        }""",
    )
    check_bridge(model)


def test_optional_values_pass_gradients(tmp_path: Path) -> None:
    model = graph_model(
        tmp_path,
        "net (float[4, 3] x) => (float[4, 3] y) { h = Sin (x)  o = Optional (h)  y = OptionalGetElement (o) }",
    )
    feeds = random_feeds(model)
    np.testing.assert_allclose(model.torch().run(feeds)["y"], np.sin(feeds["x"]), 1e-6)


def test_a_loop_without_end_is_refused() -> None:
    proto = tiny_models.model(
        """<ir_version: 8, opset_import: ["" : 17]> net (float[2] x) => (float[2] y)
        { y = Loop ( , , x) <body = step (int64 i, bool c, float[2] h) => (bool c, float[2] g) { g = Add (h, h) }> }"""
    )
    built = build(proto.graph, ["x"], {"": 17}, numpy_helper.to_array, None)
    with pytest.raises(InputError, match="never ends"):
        built.module(torch.ones(2))
