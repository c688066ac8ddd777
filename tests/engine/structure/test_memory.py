"""Peak memory: against a naive count of what is alive at every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import random_networks
import tiny_models
from onnxray.engine.model import load
from onnxray.engine.structure.graph import Graph
from onnxray.engine.structure.memory import peak_memory

_BYTES = {"float32": 4, "int64": 8, "bool": 1, "int32": 4}


def naive_peak(graph: Graph) -> int:
    """For every step: the bytes of all tensors that are made by then and still read at or after it."""
    fixed = set(graph.initializers)
    for node in graph.nodes:
        if node.op == "Shape" or all(name in fixed for name in node.inputs if name):
            fixed.update(node.outputs)
    sizes = {
        name: int(np.prod(kind.shape)) * _BYTES[kind.dtype]  # type: ignore[arg-type]
        for name, kind in graph.types.items()
        if name not in fixed
    }
    made = {name: node.index for node in graph.nodes for name in node.outputs if name in sizes}
    made |= dict.fromkeys(graph.inputs, -1)
    read = {name: [node.index for node in graph.nodes if name in node.inputs] for name in made}
    end = len(graph.nodes)
    until = {name: end if name in graph.outputs else max(read[name], default=made[name]) for name in made}
    return max(sum(sizes[name] for name in made if made[name] <= step <= until[name]) for step in range(-1, end))


@pytest.mark.parametrize(
    "path",
    [
        "models/derived/squeezenet1.1.onnx",
        "models/derived/resnet20_cifar10.onnx",
        "models/onnx/prisma_portrait_unet/prisma_nchw.onnx",
        "models/onnx/ultraface_rfb320/version-RFB-320.onnx",
    ],
)
def test_real_models(shared: Callable[[str], Path], path: str) -> None:
    graph = load(shared(path)).graph
    found = peak_memory(graph)
    assert found.bytes == naive_peak(graph)
    assert found.bytes == sum(found.alive.values())
    assert found.alive[found.largest] == max(found.alive.values())


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed: int) -> None:
    proto = random_networks.random_network(seed)
    graph = Graph(proto, {"image": (1, 2, 14, 12)})
    assert peak_memory(graph).bytes == naive_peak(graph)


def test_a_residual_connection_is_held() -> None:
    """x (16 bytes) -> a (16) -> b (1600) -> c (16) -> c + x: at b, x and a and b are alive."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y)
    <float[4,400] up, float[400,4] down> { a = Relu(x) b = MatMul(a, up) c = MatMul(b, down) y = Add(c, x) }"""
    found = peak_memory(Graph(tiny_models.model(text), {"x": (1, 4)}))
    assert found.bytes == 16 + 16 + 1600
    assert found.largest == "b"
    assert set(found.alive) == {"x", "a", "b"}


def test_an_unknown_size_is_no_number() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (int64[a,b] y) { y = NonZero(x) }"""
    found = peak_memory(Graph(tiny_models.model(text), {"x": (4,)}))
    assert found.bytes is None
    assert found.unknown == ("y",)
