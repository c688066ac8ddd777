"""network: a model made ready for its backward pass, and graphs put together of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, inliner

from ...importers.opset import opset, with_opset
from ..model import Model
from .branches import without_settled_branches
from .writer import Writer

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


def joined(
    model: Model,  # prepared
    writer: Writer,
    inputs: Iterable[onnx.ValueInfoProto],  # besides the network's own
    outputs: Sequence[onnx.ValueInfoProto],
    name: str,
) -> onnx.ModelProto:
    """One model of the network and of what was written; nodes that nothing reads are left out.

    It takes any number of images where the network does, all of the size that the model is loaded for.
    """
    proto = model.proto
    made = onnx.ModelProto(ir_version=max(proto.ir_version, 8), producer_name="onnxray")
    made.opset_import.extend(proto.opset_import)
    made.metadata_props.extend(proto.metadata_props)
    graph = made.graph
    graph.name = name
    graph.node.extend(_needed([*_with_switches(proto, writer), *writer.nodes], outputs))
    needed = {*(name for node in graph.node for name in node.input), *(output.name for output in outputs)}
    stored = (tensor for tensor in (*proto.graph.initializer, *writer.constants) if tensor.name in needed)
    graph.initializer.extend(stored)
    graph.input.extend([*_own_inputs(model), *inputs])
    graph.output.extend(outputs)
    return made


def only_written(
    model: Model, writer: Writer, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """What was written as a model of its own, with the file's weights that it reads."""
    proto = model.proto
    made = onnx.ModelProto(ir_version=max(proto.ir_version, 8), producer_name="onnxray")
    made.opset_import.extend(proto.opset_import)
    made.graph.name = "backward"
    made.graph.node.extend(_needed(writer.nodes, outputs))
    read = {name for node in made.graph.node for name in node.input}
    stored = (tensor for tensor in (*proto.graph.initializer, *writer.constants) if tensor.name in read)
    made.graph.initializer.extend(stored)
    made.graph.input.extend(inputs)
    made.graph.output.extend(outputs)
    return made


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Iterable[onnx.ValueInfoProto]) -> list[onnx.NodeProto]:
    """Those that the outputs depend on, each behind those that make what it reads."""
    wanted, kept = {output.name for output in outputs}, []
    for node in reversed(_sorted(nodes)):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(node.input)
    return kept[::-1]


def _own_inputs(model: Model) -> Iterator[onnx.ValueInfoProto]:
    any_number = model.session().batching.fixed is None
    for name, shape in model.input_shapes.items():
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(model.graph.types[name].dtype))
        yield helper.make_tensor_value_info(name, dtype, ["N", *shape[1:]] if any_number else shape)


def _with_switches(proto: onnx.ModelProto, writer: Writer) -> Iterator[onnx.NodeProto]:
    """The forward nodes; those MaxPools whose switches are read give them."""
    for index, node in enumerate(proto.graph.node):
        if index in writer.switches:
            changed = onnx.NodeProto()
            changed.CopyFrom(node)
            del changed.output[1:]
            changed.output.append(writer.switches[index])
            node = changed
        yield node


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
