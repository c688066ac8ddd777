"""TensorFlow itself as the independent witness of the parity certificate.

It runs a graph's nodes, and a file's may be of any kind: some write files. So it gets the file itself only where all of
its nodes compute and nothing else, and otherwise the network with functions, variables and branches put in their
places, written as a graph anew; the certificate says which of the two it was.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..certificate import Reference
from ..channels_last import channels_first
from ..errors import InputError
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .kinds import GRAPH, graph_file, kind_of
from .network import VARIABLES, Network
from .operators import operator_functions
from .reader import Node
from .source import is_text, parsed
from .translate import SAME
from .writer import in_file_order, write_graph

ELSEWHERE = "ONNXRAY_TENSORFLOW_PYTHON"  # a Python that has TensorFlow, which is picky about what it shares one with
_PROCESS = Path(__file__).with_name("tensorflow_process.py")
_HARMLESS = {"Placeholder", "Const", "Identity", "PlaceholderWithDefault", "Switch", "Merge", "Assert", "NoOp"}


def find_python() -> str | None:
    """A Python that has TensorFlow: the one the environment names, else this one if it does."""
    named = os.environ.get(ELSEWHERE)
    return named or (sys.executable if find_spec("tensorflow") is not None else None)


def reference(
    path: Path, network: Network, proto: onnx.ModelProto, names: Sequence[str], first: Collection[str], python: str
) -> Reference:
    """Tensors of the same network, by name, as TensorFlow computes them: images channels first, as in the graph.

    Raises InputError where it cannot run it.
    """
    feeds = sample_inputs(proto)
    inputs = in_file_order(feeds, first)
    made = {node.name for node in network.nodes}
    outputs = dict(network.outputs)
    wanted = {name: outputs.get(name, name) for name in names if outputs.get(name, name).partition(":")[0] in made}
    file = graph_file(path)
    with tempfile.TemporaryDirectory() as folder:
        if kind_of(file) == GRAPH and _only_computes(file):
            graph, reads = file, "the original file"
        else:
            graph, reads = Path(folder) / "graph.pb", "its nodes, written as one frozen graph by us"
            graph.write_bytes(write_graph(_plain(network), {name: value.shape for name, value in inputs.items()}))
        try:
            found = run_oracle(_PROCESS, (graph,), inputs, list(wanted.values()), Path(folder), python)
        except InputError as error:
            raise InputError(f"TensorFlow cannot run this network ({error})") from None
    values = {name: found[str(at)] for at, name in enumerate(wanted) if str(at) in found}
    turned = {name: channels_first(value) if name in first else value for name, value in values.items()}
    return Reference(f"TensorFlow {found['version']}", reads, feeds, turned)


def _only_computes(file: Path) -> bool:
    """Whether no node of a binary graph does anything but compute; functions may be called like any operator."""
    if is_text(file.read_bytes()[: 1 << 12]):
        return False
    message = parsed(file, GRAPH)
    return not message.library.function and all(_is_known(node.op) for node in message.node)


def _is_known(op: str) -> bool:
    return op in _HARMLESS or op in SAME or op in operator_functions()


def _plain(network: Network) -> Network:
    """The network with values in the place of variables. Raises InputError where it has nodes of another kind."""
    unknown = dict.fromkeys(node.op for node in network.nodes if not _is_known(node.op) and node.op not in VARIABLES)
    if unknown:
        raise InputError(f"operators that TensorFlow would run, in branches that are not taken: {', '.join(unknown)}")
    return replace(network, nodes=[_node(node, network.variables) for node in network.nodes])


def _node(node: Node, variables: Mapping[str, np.ndarray]) -> Node:
    if node.name in variables:
        value = variables[node.name]
        return Node(node.name, "Const", [], {"value": value, "dtype": value.dtype.name.upper()})
    if node.op in ("ReadVariableOp", "Print"):
        return Node(node.name, "Identity", node.inputs[:1], {"T": _type(node)})
    return node


def _type(node: Node) -> Any:
    return node.attributes.get("dtype") or node.attributes.get("T")
