"""The network, layer by layer, to ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from ..errors import InputError
from ..graph_builder import GraphBuilder
from .input_shapes import input_shape
from .layer_writer import LayerWriter
from .layers import layer_functions
from .layers.detection import ENDS
from .param import Layer, read_param
from .weights import WeightFile


def read_model(
    param: Path, weights: Path, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None
) -> onnx.ModelProto:
    """The network of the two files as ONNX.

    `shapes` and `size` say what the file leaves open about its inputs. Raises InputError naming all layers that are
    not known, or the first that does not fit its inputs or the weights.
    """
    layers = read_param(param)
    try:
        check_supported(layers)
        return _translate(param.stem, layers, WeightFile(weights), shapes, size)
    except InputError as error:
        raise error if str(weights) in str(error) else InputError(f"{param}: {error}") from error


def check_supported(layers: Sequence[Layer]) -> None:
    """Raise InputError naming all layer types that have no function, and unless blobs are made once, then read."""
    known = {*layer_functions(), *ENDS, "Input"}
    unknown = Counter(layer.type for layer in layers if layer.type not in known)
    if unknown:
        listed = ", ".join(f"{kind} ({count})" for kind, count in unknown.items())
        raise InputError(f"layers that onnxray cannot translate: {listed}; nothing was written")
    made: set[str] = set()
    for layer in layers:
        missing = next((blob for blob in layer.bottoms if blob not in made), None)
        if missing is not None:
            raise InputError(f"{layer.describe()} reads {missing}, which no layer before it makes")
        again = next((blob for blob in layer.tops if blob in made or layer.tops.count(blob) > 1), None)
        if again is not None:
            raise InputError(f"{layer.describe()} makes {again}, which is there already")
        if not layer.tops or not (layer.bottoms or layer.type in ("Input", "MemoryData")):
            raise InputError(f"{layer.describe()} reads or makes nothing")
        made.update(layer.tops)


def _translate(
    name: str,
    layers: Sequence[Layer],
    weights: WeightFile,
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,
) -> onnx.ModelProto:
    inputs = {layer.tops[0] for layer in layers if layer.type == "Input"}
    blobs = {blob for layer in layers for blob in layer.tops}
    graph = GraphBuilder(name, reserved=blobs)
    tensors: dict[str, str] = {}
    functions = layer_functions()
    for layer in layers:
        writer = LayerWriter(layer, graph, tensors, weights)
        if layer.type == "Input":
            shape = input_shape(writer, layers, shapes, size)
            tensors[layer.tops[0]] = graph.input(layer.tops[0], shape)
        elif layer.type not in ENDS:
            _write(writer, functions[layer.type])
    weights.check_all_read()
    if not inputs:
        raise InputError("the network has no input: none of its layers is of type Input")
    ends = [_output(graph, tensors, blob) for blob in outputs(layers)]
    try:
        return graph.finish(ends)
    except (ValueError, MemoryError) as error:
        raise InputError(f"the network does not make a consistent graph: {error}") from error


def _write(writer: LayerWriter, function: object) -> None:
    assert callable(function)
    try:
        function(writer)
    except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        shapes = ", ".join(str(list(writer.shape(place))) for place in range(len(writer.inputs)))
        raise writer.error(f"does not fit its inputs of shape {shapes} ({error})") from error


def outputs(layers: Sequence[Layer]) -> list[str]:
    """The blobs that nobody reads, in order; what a layer at the end would decode boxes from stands for its result."""
    read = {blob for layer in layers if layer.type not in ENDS for blob in layer.bottoms}
    ends = [layer.bottoms if layer.type in ENDS else layer.tops for layer in layers if layer.type != "Input"]
    return list(dict.fromkeys(blob for blobs in ends for blob in blobs if blob not in read))


def _output(graph: GraphBuilder, tensors: Mapping[str, str], blob: str) -> str:
    """The blob under its own name."""
    if tensors[blob] == blob:
        return blob
    return graph.node("Identity", [tensors[blob]], blob, name=f"{blob}/output")
