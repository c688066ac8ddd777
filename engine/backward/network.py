"""network: a model made ready for its backward pass, and graphs put together of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, inliner

from ...importers.opset import opset, with_opset
from ...importers.sorting import reads, sort_nodes
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
    nodes = [*_with_switches(model.proto, writer), *writer.nodes]
    return _assembled(model, writer, name, nodes, [*_own_inputs(model), *inputs], outputs)


def only_written(
    model: Model, writer: Writer, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """What was written as a model of its own, with the file's weights that it reads."""
    return _assembled(model, writer, "backward", writer.nodes, inputs, outputs)


def _assembled(
    model: Model,
    writer: Writer,
    name: str,
    nodes: Iterable[onnx.NodeProto],
    inputs: Iterable[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    proto = model.proto
    made = onnx.ModelProto(ir_version=max(proto.ir_version, 8), producer_name="onnxray")
    made.opset_import.extend(proto.opset_import)
    made.metadata_props.extend(proto.metadata_props)
    graph, stored = made.graph, {tensor.name: tensor for tensor in (*proto.graph.initializer, *writer.constants)}
    graph.name = name
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    graph.node.extend(_read(nodes, outputs))
    sort_nodes(graph, frozenset(stored))
    read = {output.name for output in outputs}.union(*map(reads, graph.node))
    graph.initializer.extend(tensor for tensor in stored.values() if tensor.name in read)
    return made


def _read(nodes: Iterable[onnx.NodeProto], outputs: Iterable[onnx.ValueInfoProto]) -> list[onnx.NodeProto]:
    """Those that the outputs depend on."""
    nodes = list(nodes)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    kept, waiting = set[int](), [output.name for output in outputs]
    while waiting:
        index = makers.get(waiting.pop())
        if index is not None and index not in kept:
            kept.add(index)
            waiting += reads(nodes[index])
    return [nodes[index] for index in sorted(kept)]


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
