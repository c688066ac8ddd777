"""network: a model made ready for its backward pass, and graphs put together of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import inliner

from ...importers.opset import opset, with_opset
from ..model import Model
from .branches import without_settled_branches
from .build import BackwardPass

OLDEST = 17  # operator set of what is written: ScatterElements that adds, and axes as inputs, are newer than most files


def prepared(model: Model) -> Model:
    """The same network, functions and settled branches written out, its operators new enough for a backward pass.

    Raises InputError when it cannot be raised to one.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    if proto.functions:
        proto = inliner.inline_local_functions(proto, convert_version=True)
    if opset(proto.opset_import) < OLDEST:
        proto = with_opset(proto, OLDEST)
    ready = Model(proto, model.path)
    ready.spec = model.spec
    return without_settled_branches(ready)


def with_switches(proto: onnx.ModelProto, passed: BackwardPass) -> list[onnx.NodeProto]:
    """The forward nodes; those MaxPools whose switches are read give them."""
    nodes = []
    for index, node in enumerate(proto.graph.node):
        if index in passed.switches:
            changed = onnx.NodeProto()
            changed.CopyFrom(node)
            del changed.output[1:]
            changed.output.append(passed.switches[index])
            node = changed
        nodes.append(node)
    return nodes


def joined(
    proto: onnx.ModelProto,
    passed: BackwardPass,
    more: Sequence[onnx.NodeProto],  # between the two, and behind
    constants: Iterable[onnx.TensorProto],
    inputs: Iterable[onnx.ValueInfoProto],  # besides the image
    outputs: Iterable[onnx.ValueInfoProto],
    name: str,
) -> onnx.ModelProto:
    """One model of both passes; nodes that nothing reads are left out."""
    made = onnx.ModelProto(ir_version=max(proto.ir_version, 8), producer_name="onnxray")
    made.opset_import.extend(proto.opset_import)
    graph, outputs = made.graph, list(outputs)
    graph.name = name
    nodes = _sorted([*with_switches(proto, passed), *more, *passed.nodes])
    needed, kept = {output.name for output in outputs}, []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(node.input)
    graph.node.extend(reversed(kept))
    graph.initializer.extend(
        tensor for tensor in (*proto.graph.initializer, *constants, *passed.constants) if tensor.name in needed
    )
    stored = {tensor.name for tensor in graph.initializer}
    graph.input.extend(value for value in proto.graph.input if value.name not in stored)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    return made


def _sorted(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Each behind those that make what it reads."""
    producers = {name: node for node in nodes for name in node.output if name}
    order, state = list[onnx.NodeProto](), dict[int, bool]()
    for root in nodes:
        waiting = [root]
        while waiting:
            node = waiting[-1]
            if state.get(id(node)):
                waiting.pop()
                continue
            pending = [
                made for name in node.input if (made := producers.get(name)) is not None and id(made) not in state
            ]
            state.setdefault(id(node), False)
            if pending:
                waiting += pending
                continue
            waiting.pop()
            state[id(node)] = True
            order.append(node)
    return order
