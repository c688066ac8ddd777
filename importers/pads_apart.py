"""Keeps onnxruntime from making one node of a Pad with zeros and the MaxPool or AveragePool behind it.

Its optimiser (1.31 at least) does so, and the zeros become what MaxPool pads with: the lowest number. An AveragePool is
then refused where the padding is as large as its window. The optimiser looks past whatever it takes for idle, and stops
at `auto_pad` and at a Concat of one tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import GraphProto, NodeProto, helper

from .opset import STANDARD
from .walk import all_nodes, subgraphs

# What can go from between the two: by the values of its constants, or because the next node undoes it.
_IDLE = {"Identity", "Dropout", "Cast", "Transpose", "Expand", "Add", "Sub", "Mul", "Div", "Pad"}
_POOLS = ("MaxPool", "AveragePool")
_PAD_INPUTS = 3  # a Pad of some axes is never merged


def keep_pads_apart(proto: onnx.ModelProto) -> None:
    """Write every pool that may read zeros of a Pad so that it stays what it is: the same values, in place."""
    nodes = list(all_nodes(proto.graph.node))
    makers = {name: node for node in nodes for name in node.output if name and node.domain in STANDARD}
    taken = {name for node in nodes for name in node.output}
    bodies = [body for node in nodes for attribute in node.attribute for body in subgraphs(attribute)]
    for graph in (proto.graph, *bodies):
        for node in list(graph.node):
            if node.op_type in _POOLS and node.domain in STANDARD and _reads_padding(node, makers):
                _keep_apart(graph, node, taken)


def _reads_padding(pool: NodeProto, makers: Mapping[str, NodeProto]) -> bool:
    waiting, seen = list(pool.input), set[str]()
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if maker is None or name in seen:
            continue
        seen.add(name)
        if maker.op_type == "Pad" and _is_constant(maker):
            return True
        if maker.op_type in _IDLE:
            waiting += maker.input
    return False


def _is_constant(pad: NodeProto) -> bool:
    mode = next((entry.s for entry in pad.attribute if entry.name == "mode"), b"constant")
    return mode == b"constant" and len(pad.input) <= _PAD_INPUTS


def _keep_apart(graph: GraphProto, pool: NodeProto, taken: set[str]) -> None:
    """By `auto_pad` where the node itself neither pads nor rounds up, else by a node between."""
    own = {entry.name: entry for entry in pool.attribute}
    if "auto_pad" in own and own["auto_pad"].s != b"NOTSET":
        return
    if ("pads" in own and any(own["pads"].ints)) or ("ceil_mode" in own and own["ceil_mode"].i):
        between = f"{pool.input[0]}/apart"
        while between in taken:
            between += "_"
        taken.add(between)
        at = next(index for index, node in enumerate(graph.node) if node.output == pool.output)
        graph.node.insert(at, helper.make_node("Concat", [pool.input[0]], [between], between, axis=1))
        pool.input[0] = between
        return
    kept = [entry for name, entry in own.items() if name not in ("auto_pad", "pads")]
    del pool.attribute[:]
    pool.attribute.extend([*kept, helper.make_attribute("auto_pad", "VALID")])
