"""OpenCV's own TensorFlow reader as a witness of the parity certificate.

It gets the file itself where it can read that, else the network with its functions put in place and what no output
needs left out, written as a graph anew; the certificate says which of the two it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from ..certificate import Reference
from ..errors import InputError, MissingExtra
from ..oracle_process import OPENCV, run_oracle
from ..sample_inputs import sample_inputs
from .kinds import GRAPH, graph_file, kind_of
from .network import Network
from .reader import Node
from .source import is_text
from .writer import in_file_order, write_graph

# What OpenCV 4.14 computed as TensorFlow 2.21 does in random graphs. Others it gets wrong at times, without a word: it
# keeps images channels first, and the order of all numbers behind a reshape or a transpose is then another.
_TRUSTED = {
    *("Placeholder", "Const", "Identity", "Conv2D", "DepthwiseConv2dNative", "BiasAdd", "MaxPool", "AvgPool", "LRN"),
    *(
        "FusedBatchNorm",
        "FusedBatchNormV2",
        "FusedBatchNormV3",
        "Relu",
        "Relu6",
        "Elu",
        "Sigmoid",
        "Tanh",
        "Abs",
        "Pad",
    ),
    *("Mean", "Max", "ResizeBilinear", "ResizeNearestNeighbor", "DepthToSpace", "Add", "AddV2", "Mul", "Sub", "MatMul"),
    *("ConcatV2", "Softmax"),
}


def reference(
    path: Path, network: Network, proto: onnx.ModelProto, names: Sequence[str], first: Collection[str]
) -> Reference:
    """Tensors of the same network, by name, as OpenCV computes them: images channels first, as in the graph.

    Raises MissingExtra without OpenCV and InputError when it can read neither the file nor our version of it.
    """
    if find_spec("cv2") is None:
        raise MissingExtra("comparing with an independent TensorFlow reader", "verify")
    doubtful = dict.fromkeys(node.op for node in network.nodes if _is_doubtful(node))
    if _has_softmax_of_images(proto):
        doubtful["Softmax of images"] = None
    if doubtful:
        raise InputError(f"OpenCV {_version()} gets these operators wrong at times: {', '.join(doubtful)}")
    feeds = sample_inputs(proto)
    if any(len(value) != 1 for value in feeds.values() if value.ndim == 4):
        raise InputError(f"OpenCV {_version()} gets batches of several images wrong at times; compare with one")
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        for reads, graph in _attempts(path, network, feeds, first, Path(folder)):
            try:
                values = _run(graph, feeds, names, dict(network.outputs), Path(folder))
            except InputError as error:
                reasons.append(str(error))
                continue
            return Reference(f"OpenCV {_version()}", reads, feeds, values)
    raise InputError(f"OpenCV {_version()} cannot run this network ({reasons[0]})")


def _is_doubtful(node: Node) -> bool:
    """Whether OpenCV may compute a node otherwise than TensorFlow: dilated windows, say."""
    dilated = any(step != 1 for step in node.attributes.get("dilations") or ())
    return node.op not in _TRUSTED or dilated or node.attributes.get("padding") == "EXPLICIT"


def _has_softmax_of_images(proto: onnx.ModelProto) -> bool:
    """Over the channels of each pixel: OpenCV takes another axis."""
    values = (*proto.graph.value_info, *proto.graph.output)
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
    return any(node.op_type == "Softmax" and ranks.get(node.output[0], 0) > 2 for node in proto.graph.node)


def _version() -> str:
    from importlib.metadata import packages_distributions, version

    return version(packages_distributions()["cv2"][0])


def _attempts(
    path: Path, network: Network, feeds: Mapping[str, np.ndarray], first: Collection[str], folder: Path
) -> Iterator[tuple[str, Path]]:
    file = graph_file(path)
    if kind_of(file) == GRAPH and not is_text(file.read_bytes()[: 1 << 12]):
        yield "the original file", file
    shapes = {name: value.shape for name, value in in_file_order(feeds, first).items()}
    ours = folder / "graph.pb"
    ours.write_bytes(write_graph(network, shapes))
    yield "its nodes, written as one frozen graph by us", ours


def _run(
    graph: Path, feeds: Mapping[str, np.ndarray], names: Sequence[str], outputs: Mapping[str, str], folder: Path
) -> dict[str, np.ndarray]:
    """Tensor name -> value, for those that OpenCV keeps. Raises InputError when it refuses or crashes."""
    nodes = [outputs.get(name, name) for name in names]
    found = run_oracle(OPENCV, ("tensorflow", graph), feeds, nodes, folder)
    return {name: found[f"{at}/0"] for at, name in enumerate(names) if f"{at}/0" in found}
