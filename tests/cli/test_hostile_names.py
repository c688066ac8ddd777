"""Names that mean harm: markup, line breaks, terminal escapes, paths and 9,999 letters, through every verb."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="no dot on PATH")
_NAMES = [
    "<script>alert(1)</script>",
    "[red]x[/]",
    "../../up",
    "line\nbreak|pipe",
    "%s%n {x}",
    "\x1b[31m",
    "L" * 10_000,
]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A chain of convolutions whose tensors and weights have such names, in a folder of its own."""
    proto = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 17)])
    proto.graph.name = "g"
    tensors = ["<b>in</b>[red]", *_NAMES]
    for before, after in pairwise(tensors):
        weight = numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), f"{after}.w")
        proto.graph.initializer.append(weight)
        proto.graph.node.append(helper.make_node("Conv", [before, weight.name], [after], f"n:{after}", pads=[1] * 4))
    proto.graph.node.append(helper.make_node("Flatten", [tensors[-1]], ["</script>"]))
    proto.graph.input.append(helper.make_tensor_value_info(tensors[0], TensorProto.FLOAT, [1, 3, 6, 6]))
    proto.graph.output.append(helper.make_tensor_value_info("</script>", TensorProto.FLOAT, [1, 108]))
    (tmp_path / "in").mkdir()
    Image.new("RGB", (6, 6), "red").save(tmp_path / "in" / "x.png")
    path = tmp_path / "in" / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    "words",
    [
        "summary",
        "summary --md",
        "weights -o OUT/w --export OUT/e",
        "graph -o OUT/g.html",
        "graph -o OUT/g.dot",
        pytest.param("graph -o OUT/g.svg", marks=needs_dot),
        "view --overlay OUT/o.json",
        "convert -o OUT/c.onnx",
        "report -o OUT/r.html",
        "activations IN/x.png --layer * -o OUT/a --mean 0 --scale 1",
        "activations IN/x.png --zarr OUT/z.zarr --mean 0 --scale 1",
        "predict IN/x.png --mean 0 --scale 1",
    ],
)
def test_names_that_mean_harm(hostile: Path, words: str, cli: Cli) -> None:
    out = hostile.parent.parent / "out"
    out.mkdir()
    verb, *rest = words.replace("OUT", str(out)).replace("IN", str(hostile.parent)).split()
    code, shown, err = cli(verb, hostile, *rest)
    assert (code, err) == (0, "")
    assert "\x1b" not in shown
    assert sorted(path.name for path in out.parent.iterdir()) == ["in", "out"]
    assert sorted(path.name for path in hostile.parent.iterdir()) == ["net.onnx", "x.png"]
    if words == "summary --md":
        table = [line for line in shown.splitlines() if line.startswith("|")]
        assert len(table) == 2 + len(_NAMES)
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    for page in out.glob("*.html"):
        assert "<script>alert" not in page.read_text("utf-8")
