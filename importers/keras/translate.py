"""The network, call by call, to ONNX: images with channels first, names those of the layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto

from ..channels_last import ChannelsLast, to_first
from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .layer_writer import BATCH, LayerWriter, Scope, TensorName
from .layers import DROPPED, layer_functions
from .masks import IGNORE_MASKS, hand_on
from .network import Call, Layer, Network, Ref, input_shape, mapped, refs
from .source import Source
from .supported import policy

_IMAGE = 4  # axes of a tensor that is declared channels first
_SIDES = {1: "height", 2: "width"}
_TYPES = {
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


@dataclass(frozen=True)
class Place:
    """Where a tensor of the graph stands in Keras."""

    layer: str  # of the outermost model
    node: int
    index: int
    channels_first: bool  # in the graph, where Keras has them last


@dataclass(frozen=True)
class Translation:
    """The graph, and what its tensors are."""

    proto: onnx.ModelProto
    places: Mapping[str, Place]


def translate(source: Source) -> Translation:
    """The network as ONNX, its batch dynamic.

    Raises InputError when a layer cannot be translated, or weights do not fit.
    """
    return _Translator(source).run(source.network)


class _Translator:
    """One translation."""

    def __init__(self, source: Source) -> None:
        network = source.network
        graph = GraphBuilder(network.name, reserved={layer.path for layer in network.walk()})
        self.scope = Scope(
            graph,
            ChannelsLast(graph),
            source.weights,
            source.version,
            source.flipped,
            self._inside,
            self._written,
            has_channels_first(network),
        )
        self.functions = layer_functions()
        self.custom = source.custom

    def run(self, network: Network) -> Translation:
        images_first = self.scope.images_first
        values: dict[Ref, str] = {}
        if len(set(network.inputs)) < len(network.inputs):
            raise InputError(f"the Keras model {network.name} lists an input twice; the file is damaged")
        for ref in network.inputs:
            values[ref] = self._input(network, ref, images_first)
        self._calls(network, values)
        renamed: dict[str, str] = {}
        outputs = [self._output(_value(values, ref), ref, images_first, renamed, network) for ref in network.outputs]
        outputs = self._distinct(outputs, network)
        try:
            proto = self.scope.graph.finish(outputs)
        except ValueError as error:
            raise InputError(f"the Keras model {network.name} does not make a consistent graph: {error}") from error
        _rename(proto, renamed)
        return Translation(proto, dict(self._places(network, values, renamed)))

    def _input(self, network: Network, ref: Ref, images_first: bool) -> str:
        layer = network.layers[ref.layer]
        given = input_shape(layer)
        if given is None:
            raise InputError(f"the file states no input shape for {layer.path}; save the model after building it")
        dims: list[Dim] = [BATCH, *(self._dim(layer, axis, dim) for axis, dim in enumerate(given) if axis)]
        graph, tensors = self.scope.graph, self.scope.tensors
        kind = _TYPES.get(policy(layer), TensorProto.FLOAT)
        turn = len(dims) == _IMAGE and not images_first
        graph.input(layer.path, [dims[axis] for axis in to_first(_IMAGE)] if turn else dims, kind)
        tensor = layer.path
        if kind != TensorProto.FLOAT and not _only_embedded(network, ref):
            name = f"{layer.path}/float"
            tensor = graph.node("Cast", [tensor], graph.temporary(name), name=name, to=TensorProto.FLOAT)
        (tensors.made_first if turn else tensors.made_last)(layer.path, tensor)
        return layer.path

    @staticmethod
    def _dim(layer: Layer, axis: int, dim: Any) -> Dim:
        if dim is None:
            return _SIDES.get(axis, f"{layer.path}_{axis}")
        if not isinstance(dim, int) or not 0 < dim < 1 << 31:
            raise InputError(f"input {layer.path}: expected a size on axis {axis}, found {dim!r}")
        return dim

    def _calls(self, network: Network, values: dict[Ref, str]) -> None:
        readers = _Readers(network)
        for call in network.calls:
            made = self._nested(call, values) if call.layer.inner is not None else self._call(call, values, readers)
            for index, name in enumerate(made):
                values[Ref(call.made.layer, call.made.node, index)] = name

    def _nested(self, call: Call, values: dict[Ref, str]) -> list[str]:
        inner = call.layer.inner
        assert inner is not None
        given = [_value(values, ref) for ref in call.reads]
        if len(given) != len(inner.inputs):
            raise InputError(f"the model {call.layer.path} has {len(inner.inputs)} inputs, it is given {len(given)}")
        return self._inside(inner, given)

    def _inside(self, network: Network, given: Sequence[str]) -> list[str]:
        """What a model makes of tensors."""
        values = dict(zip(network.inputs, given, strict=True))
        self._calls(network, values)
        return [_value(values, ref) for ref in network.outputs]

    def _call(self, call: Call, values: dict[Ref, str], readers: _Readers) -> list[str]:
        layer = call.layer
        inputs = [_value(values, ref) for ref in refs(call.args)]
        kwargs = mapped(call.kwargs, lambda ref: TensorName(_value(values, ref)))
        args = mapped(call.args, lambda ref: TensorName(_value(values, ref)))
        reads = [_value(values, ref) for ref in call.reads]
        only_for_dense = readers.are_only(call.made, "Dense")
        writer = LayerWriter(layer, self.scope, inputs, kwargs, args, only_for_dense)
        self._write(writer, reads)
        _check_keywords(writer, call)
        hand_on(writer)
        return writer.results

    def _write(self, writer: LayerWriter, reads: Sequence[str]) -> None:
        try:
            self._written(writer)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, ArithmeticError, IndexError, MemoryError) as error:
            shapes = ", ".join(str(list(self.scope.tensors.shape(name))) for name in dict.fromkeys(reads))
            raise writer.error(f"does not fit its inputs of shape {shapes} ({error})") from error

    def _written(self, writer: LayerWriter) -> None:
        layer = writer.layer
        (self.custom.get(layer.path) or self.functions[layer.type])(writer)

    def _output(self, name: str, ref: Ref, images_first: bool, renamed: dict[str, str], network: Network) -> str:
        """The graph's tensor for an output; where it is a transposed one, they are to exchange names."""
        tensors = self.scope.tensors
        image = len(tensors.shape(name)) == _IMAGE and not images_first
        tensor = tensors.first(name) if image else tensors.last(name)
        inputs = {network.layers[given.layer].path for given in network.inputs}
        if tensor != name and name in self.scope.graph and name not in inputs:
            renamed[name] = self.scope.graph.temporary(f"{name}/{'channels_last' if image else 'channels_first'}")
            renamed[tensor] = name
        return tensor

    def _distinct(self, outputs: Sequence[str], network: Network) -> list[str]:
        """Copies in place of tensors that are outputs twice, or inputs as well."""
        taken = {network.layers[ref.layer].path for ref in network.inputs}
        found = []
        for ref, tensor in zip(network.outputs, outputs, strict=True):
            if tensor in taken:
                name = self.scope.graph.temporary(f"{ref.layer}/output")
                tensor = self.scope.graph.node("Identity", [tensor], name, name=name)
            taken.add(tensor)
            found.append(tensor)
        return found

    def _places(
        self, network: Network, values: Mapping[Ref, str], renamed: Mapping[str, str]
    ) -> Iterator[tuple[str, Place]]:
        tensors, graph = self.scope.tensors, self.scope.graph
        for ref, name in values.items():
            if name not in graph or name in self.scope.flattened:
                continue
            first = len(tensors.shape(name)) > 2 and tensors.first(name) == name
            yield name, Place(ref.layer, ref.node, ref.index, first ^ (name in renamed))


def _value(values: Mapping[Ref, str], ref: Ref) -> str:
    if ref not in values:
        raise InputError(f"a layer reads output {ref.index} of {ref.layer}, which has fewer")
    return values[ref]


def _check_keywords(writer: LayerWriter, call: Call) -> None:
    """Raise InputError where the call has arguments that its layer function did not take (it takes them out)."""
    for name in writer.kwargs:
        tensors = list(refs(call.kwargs.get(name)))
        if (name == "training" and not _trains(writer)) or (name == "mask" and writer.type in IGNORE_MASKS):
            continue
        if tensors or call.kwargs[name] not in (None, False):
            raise writer.error(f"is called with {name}, which is not supported")


def _trains(writer: LayerWriter) -> bool:
    """Whether a call with training=True does so at test time too: Keras 3 lets `predict` decide."""
    return writer.scope.version < 3 and (writer.layer.type in DROPPED or writer.layer.type == "BatchNormalization")


def has_channels_first(network: Network) -> bool:
    """Whether the images of a model have channels first in Keras too, going by its first layer that says so."""
    formats = (layer.config.get("data_format") for layer in network.walk() if layer.type != "Flatten")
    return next((given for given in formats if given), "channels_last") == "channels_first"


def _only_embedded(network: Network, ref: Ref) -> bool:
    return all(call.layer.type == "Embedding" for call in network.calls if ref in call.reads)


class _Readers:
    """Who reads what in one network."""

    def __init__(self, network: Network) -> None:
        self._outputs = set(network.outputs)
        self._calls: dict[Ref, list[Call]] = {}
        for call in network.calls:
            for ref in call.reads:
                self._calls.setdefault(ref, []).append(call)

    def are_only(self, ref: Ref, kind: str) -> bool:
        """Whether all that reads a tensor are layers of one type, but for those that do nothing at test time."""
        pending = [ref]
        while pending:
            ref = pending.pop()
            if ref in self._outputs:
                return False
            for call in self._calls.get(ref, ()):
                if call.layer.type in DROPPED:
                    pending.append(call.made)
                elif call.layer.type != kind:
                    return False
        return True


def _rename(proto: onnx.ModelProto, renamed: Mapping[str, str]) -> None:
    graph = proto.graph
    if not renamed:
        return
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info):
        value.name = renamed.get(value.name, value.name)
