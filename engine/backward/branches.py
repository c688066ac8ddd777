"""branches: Ifs that every image decides alike, replaced by the branch that is taken."""

from __future__ import annotations

import onnx
from onnx import helper

from ..model import Model
from .values import file_values


def without_settled_branches(model: Model) -> Model:
    """The same network; exporters write If where shapes decide, which are the same for every image."""
    while any(node.op == "If" for node in model.graph.nodes):
        value, settled = file_values(model), dict[int, bool]()
        for node in model.graph.nodes:
            condition = value(node.inputs[0]) if node.op == "If" else None
            if condition is not None:
                settled[node.index] = bool(condition.reshape(()))
        if not settled:
            break
        changed = Model(_taken(model.proto, settled), model.path)
        changed.spec = model.spec
        model = changed
    return model


def _taken(proto: onnx.ModelProto, settled: dict[int, bool]) -> onnx.ModelProto:
    """Each If's nodes in its place; what they make keeps its names, which ONNX wants unique in nested graphs, too."""
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    del made.graph.node[:]
    for index, node in enumerate(proto.graph.node):
        if index not in settled:
            made.graph.node.append(node)
            continue
        wanted = "then_branch" if settled[index] else "else_branch"
        (branch,) = (attribute.g for attribute in node.attribute if attribute.name == wanted)
        made.graph.node.extend(branch.node)
        made.graph.initializer.extend(branch.initializer)
        made.graph.node.extend(
            helper.make_node("Identity", [given.name], [taken])
            for given, taken in zip(branch.output, node.output, strict=True)
        )
    return made
