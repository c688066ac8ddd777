"""The network, layer by layer, to ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx

from ..errors import InputError
from ..graph_builder import GraphBuilder
from ..heads import Head
from .input_shapes import input_shape
from .layer_writer import LayerWriter
from .layers import layer_functions
from .layers.detection import ENDS
from .param import Layer, read_param
from .weights import WeightFile

_Result = TypeVar("_Result")


def read_model(
    param: Path, weights: Path, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None
) -> tuple[onnx.ModelProto, list[Head]]:
    """The network of the two files as ONNX, and what a detector's outputs are.

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
    decoded: set[str] = set()
    for layer in layers:
        missing = next((blob for blob in layer.bottoms if blob not in made), None)
        if missing in decoded:
            raise InputError(f"{layer.describe()} reads {missing}, boxes that NCNN decodes; they have to come last")
        if missing is not None:
            raise InputError(f"{layer.describe()} reads {missing}, which no layer before it makes")
        counts = Counter([*layer.tops, *(blob for blob in layer.tops if blob in made or blob in decoded)])
        again = next((blob for blob, count in counts.items() if count > 1), None)
        if again is not None:
            raise InputError(f"{layer.describe()} makes {again}, which is there already")
        if not layer.tops or not (layer.bottoms or layer.type in ("Input", "MemoryData")):
            raise InputError(f"{layer.describe()} reads or makes nothing")
        if layer.type == "Input" and len(layer.tops) > 1:
            raise InputError(f"{layer.describe()}: expected one input, found {len(layer.tops)}")
        (decoded if layer.type in ENDS else made).update(layer.tops)


def _translate(
    name: str,
    layers: Sequence[Layer],
    weights: WeightFile,
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,
) -> tuple[onnx.ModelProto, list[Head]]:
    inputs = {layer.tops[0] for layer in layers if layer.type == "Input"}
    blobs = {blob for layer in layers for blob in layer.tops}
    graph = GraphBuilder(name, reserved=blobs)
    tensors: dict[str, str] = {}
    heads: list[Head] = []
    functions = layer_functions()
    for layer in layers:
        writer = LayerWriter(layer, graph, [tensors[blob] for blob in layer.bottoms], weights)
        if layer.type == "Input":
            graph.input(layer.tops[0], input_shape(writer, layers, shapes, size))
        elif layer.type in ENDS:
            heads += _run(ENDS[layer.type], writer)
        else:
            _run(functions[layer.type], writer)
        tensors.update(zip(layer.tops, writer.outputs, strict=True))
    weights.check_all_read()
    if not inputs:
        raise InputError("the network has no input: none of its layers is of type Input")
    ends = [_output(graph, tensors, blob) for blob in outputs(layers)]
    try:
        return graph.finish(ends), heads
    except (ValueError, MemoryError) as error:
        raise InputError(f"the network does not make a consistent graph: {error}") from error


def _run(function: Callable[[LayerWriter], _Result], writer: LayerWriter) -> _Result:
    """What the function gives. Raises InputError, which names the layer, for whatever it comes upon."""
    try:
        with np.errstate(all="ignore"):  # numbers beyond any float are the file's own
            return function(writer)
    except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise writer.error(f"does not fit its inputs ({error})") from error


def outputs(layers: Sequence[Layer]) -> list[str]:
    """The blobs that nobody reads, in order, and those that boxes are decoded from instead of the boxes."""
    read = {blob for layer in layers if layer.type not in ENDS for blob in layer.bottoms}
    wanted = {blob for layer in layers if layer.type in ENDS for blob in layer.bottoms}
    made = [blob for layer in layers if layer.type not in ENDS and layer.type != "Input" for blob in layer.tops]
    return [blob for blob in made if blob not in read or blob in wanted]


def _output(graph: GraphBuilder, tensors: Mapping[str, str], blob: str) -> str:
    """The blob under its own name."""
    if tensors[blob] == blob:
        return blob
    return graph.node("Identity", [tensors[blob]], blob, name=f"{blob}/output")
