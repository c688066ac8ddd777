"""Shape inference that crashes must not take the process with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import tiny_models
from onnx import shape_inference
from onnxray.engine.structure.inference import survivable_inference

# The kernel is 5 wide, the image 2: the convolution's inferred width is -2.
KERNEL_TOO_LARGE = """
<ir_version: 8, opset_import: ["" : 17]>
narrow (float[1, 1, 8, 2] image) => (float[n] y)
<float[2, 1, 3, 5] w, int64[1] starts = {1}, int64[1] ends = {3}, int64[1] axes = {2}>
{
    c = Conv (image, w)
    t = Transpose <perm = [0, 1, 3, 2]> (c)
    r = Relu (t)
    y = Slice (r, starts, ends, axes)
}
"""


def test_a_crash_is_one_line(tmp_path: Path) -> None:
    path = tiny_models.save(tmp_path / "narrow.onnx", KERNEL_TOO_LARGE)
    command = [sys.executable, "-m", "onnxray.cli.main", "summary", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert "--shape" in done.stderr


def test_the_same_shapes_as_without_a_child(shared: Callable[[str], Path]) -> None:
    proto = onnx.load(shared("models/onnx/ultraface_rfb320/version-RFB-320.onnx"))
    assert any(node.op_type == "Slice" for node in proto.graph.node)
    assert survivable_inference(proto) == shape_inference.infer_shapes(proto, data_prop=True)


def test_a_refusal_stays_an_error() -> None:
    proto = tiny_models.model()
    proto.graph.node.add(op_type="Slice", input=["scores"], output=["bad"])
    del proto.opset_import[:]
    with pytest.raises(ValueError, match="refuses"):
        survivable_inference(proto)
