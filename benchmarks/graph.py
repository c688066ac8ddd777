"""Claim: a network of 8,000 nodes is drawn in under 60 s, whether its blocks repeat or nothing does.

    python benchmarks/graph.py [NODES]

Draws three synthetic networks as png and html and prints seconds and boxes; beside it, for the same networks, what
Graphviz's own `dot` layout of all nodes takes, with a limit of 60 s. Fails when a collapsed drawing takes longer.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxray.engine.model import Model
from onnxray.engine.structure.drawing.draw import Drawing
from onnxray.engine.structure.drawing.graphviz_program import program

LIMIT = 60.0  # seconds


def residual_network(nodes: int) -> onnx.ModelProto:
    """Residual blocks of 5 nodes, all alike in 4 stages."""
    made = [_conv("stem", "image", 16, 1)]
    last, block = "stem", 0
    while len(made) + 5 <= nodes:
        name, kernel = f"stage{4 * len(made) // nodes}/block{block}", 3 + 2 * (4 * len(made) // nodes % 2)
        made += [
            _conv(f"{name}/a", last, 16, kernel),
            helper.make_node("Relu", [f"{name}/a"], [f"{name}/r"], f"{name}/r"),
            _conv(f"{name}/b", f"{name}/r", 16, kernel),
            helper.make_node("Add", [f"{name}/b", last], [f"{name}/s"], f"{name}/s"),
            helper.make_node("Relu", [f"{name}/s"], [name], name),
        ]
        last, block = name, block + 1
    return _model(made, last)


def chain_network(nodes: int, seed: int = 0) -> onnx.ModelProto:
    """One chain of convolutions whose kernels never repeat in a pattern."""
    generator = random.Random(seed)
    made, last = [], "image"
    for index in range(nodes):
        made.append(_conv(f"conv{index}", last, 16, generator.choice((1, 3, 5, 7, 9))))
        last = f"conv{index}"
    return _model(made, last)


def tangled_network(nodes: int, seed: int = 0) -> onnx.ModelProto:
    """Every node reads one or two of the 200 before it: no chains, no blocks, no repetition."""
    generator = random.Random(seed)
    made, names = [], ["image"]
    made.append(_conv("stem", "image", 16, 1))
    names = ["stem"]
    unread = {"stem"}
    for index in range(nodes - 2):
        recent = names[-200:]
        name = f"node{index}"
        if len(unread) > 100 or generator.random() < 0.5:
            sources = [generator.choice(sorted(unread)), generator.choice(recent)]
            made.append(helper.make_node("Add", sources, [name], name))
        else:
            sources = [generator.choice(recent)]
            made.append(_conv(name, sources[0], 16, generator.choice((1, 3, 5, 7))))
        unread = (unread - set(sources)) | {name}
        names.append(name)
    made.append(helper.make_node("Sum", sorted(unread), ["out"], "out"))
    return _model(made, "out")


def _conv(name: str, source: str, channels: int, kernel: int) -> onnx.NodeProto:
    pad = kernel // 2
    return helper.make_node(
        "Conv", [source, f"weight{kernel}"], [name], name, kernel_shape=[kernel, kernel], pads=[pad] * 4
    )


def _model(nodes: list[onnx.NodeProto], output: str) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 16, 32, 32])
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 16, 32, 32])
    weights = [
        numpy_helper.from_array(np.zeros((16, 16, kernel, kernel), np.float32), f"weight{kernel}")
        for kernel in (1, 3, 5, 7, 9)
    ]
    graph = helper.make_graph(nodes, "synthetic", [image], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _drawn(proto: onnx.ModelProto, name: str, folder: Path, *, expand: bool) -> float:
    """Seconds for a png and an html file, everything included but reading the model."""
    model = Model(proto, Path(f"{name}.onnx"))
    start = time.perf_counter()
    drawing = Drawing(model, expand=expand)
    drawing.write(folder / f"{name}.png")
    drawing.write(folder / f"{name}.html")
    seconds = time.perf_counter() - start
    print(f"  {'expanded' if expand else 'collapsed':10} {seconds:6.1f} s   {len(drawing.plan.slots)} boxes")
    return seconds


def _dot_layout(proto: onnx.ModelProto) -> str:
    """What Graphviz's own layout of every node takes."""
    makers = {name: node.name for node in proto.graph.node for name in node.output}
    edges = (f'"{makers[name]}"->"{node.name}";' for node in proto.graph.node for name in node.input if name in makers)
    text = "digraph g {" + "".join(edges) + "}"
    start = time.perf_counter()
    try:
        subprocess.run([program(), "-Tpng", "-o", "/dev/null"], input=text.encode(), timeout=LIMIT, check=True)
    except subprocess.TimeoutExpired:
        return f"more than {LIMIT:.0f} s"
    return f"{time.perf_counter() - start:.1f} s"


def main() -> int:
    """Run all; the exit code says whether the claim holds."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    networks = {"residual": residual_network, "chain": chain_network, "tangled": tangled_network}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, build in networks.items():
            proto = build(nodes)
            print(f"{name}: {len(proto.graph.node)} nodes")
            slowest = max(slowest, _drawn(proto, name, Path(folder), expand=False))
            try:
                _drawn(proto, name, Path(folder), expand=True)
            except ValueError as error:
                print(f"  expanded   {error}")
            print(f"  dot's own layout: {_dot_layout(proto)}")
    print(f"slowest collapsed drawing: {slowest:.1f} s, {slowest / LIMIT:.2f} of the limit")
    return int(slowest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
