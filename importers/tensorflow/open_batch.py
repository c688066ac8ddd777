"""A graph for any number of images, made of one for a single image, where that is sure.

Shapes are fixed while a network is translated, and what follows from them is computed then. So the network is
translated for three images too: where both graphs are the same but for one number of a Reshape's shape, three times as
large, that number is "the rest" and the graph is that for any number of images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from ..errors import InputError
from .network import Network

PROBED = 3  # images
_SMALL = 64  # numbers of a shape
Translate = Callable[[int], tuple[onnx.ModelProto, set[str]]]


@dataclass(frozen=True)
class _Fingerprint:
    """What a graph is, without its weights."""

    nodes: list[bytes]
    names: list[str]  # of its constants
    digests: dict[str, bytes]
    shapes: dict[str, list[int]]  # the values of short lists of integers
    sizes: dict[str, list[int]]  # of its tensors


def open_inputs(network: Network, given: Collection[str]) -> list[str]:
    """The inputs whose first axis the file leaves open, and the user too; none where another one's is fixed.

    `given`: inputs whose shape the user says; "": the only one.
    """
    entries = network.inputs
    is_open = [entry.name not in given and (entry.shape or (0,))[0] < 0 for entry in entries]
    return [entry.name for entry in entries] if all(is_open) and "" not in given else []


def with_open_batch(translate: Translate, inputs: Collection[str]) -> tuple[onnx.ModelProto, set[str]]:
    """The graph for any number of images, or, where that is not sure, for one."""
    probe = _probe(translate) if inputs else None
    proto, first = translate(1)
    counted = None if probe is None else _counted(_fingerprint(proto), probe)
    if probe is not None and counted is not None and _only_reshapes(proto, counted):
        _open(proto, counted, probe.sizes)
    return proto, first


def _probe(translate: Translate) -> _Fingerprint | None:
    try:
        return _fingerprint(translate(PROBED)[0])
    except InputError:
        return None


def _fingerprint(proto: onnx.ModelProto) -> _Fingerprint:
    digests, shapes = {}, {}
    for tensor in proto.graph.initializer:
        head = f"{tensor.data_type} {list(tensor.dims)} ".encode()
        digests[tensor.name] = hashlib.blake2b(head + tensor.raw_data, digest_size=16).digest()
        if tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims) == 1 and tensor.dims[0] <= _SMALL:
            shapes[tensor.name] = numpy_helper.to_array(tensor).tolist()
    nodes = [node.SerializeToString(deterministic=True) for node in proto.graph.node]
    entries = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    sizes = {entry.name: [dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in entries}
    return _Fingerprint(nodes, list(digests), digests, shapes, sizes)


def _counted(one: _Fingerprint, more: _Fingerprint) -> dict[str, int] | None:
    """Constant -> which of its numbers counts images. None where the graphs differ in anything else."""
    if one.nodes != more.nodes or one.names != more.names or one.sizes.keys() != more.sizes.keys():
        return None
    found = {}
    for name in one.names:
        if one.digests[name] == more.digests[name]:
            continue
        pairs = list(zip(one.shapes.get(name, ()), more.shapes.get(name, ()), strict=False))
        changed = [at for at, (few, many) in enumerate(pairs) if few != many]
        if len(changed) != 1 or min(few for few, _ in pairs) < 1:
            return None
        few, many = pairs[changed[0]]
        if many != PROBED * few:
            return None
        found[name] = changed[0]
    return found


def _only_reshapes(proto: onnx.ModelProto, names: Collection[str]) -> bool:
    """Whether these constants are nothing but shapes for Reshape, where -1 stands for the rest."""
    readers = [(node.op_type, at) for node in proto.graph.node for at, name in enumerate(node.input) if name in names]
    ends = {value.name for value in proto.graph.output}
    return all(reader == ("Reshape", 1) for reader in readers) and ends.isdisjoint(names)


def _open(proto: onnx.ModelProto, counted: Mapping[str, int], sizes: Mapping[str, list[int]]) -> None:
    graph = proto.graph
    for tensor in graph.initializer:
        if tensor.name in counted:
            value = numpy_helper.to_array(tensor).copy()
            value[counted[tensor.name]] = -1
            tensor.raw_data = value.astype("<i8").tobytes()
    for entry in (*graph.input, *graph.output, *graph.value_info):
        for dim, many in zip(entry.type.tensor_type.shape.dim, sizes[entry.name], strict=True):
            if dim.dim_value == 1 and many == PROBED:
                dim.dim_param = "N"
            elif dim.dim_value != many:
                dim.Clear()
