"""The network, layer by layer, to ONNX."""

from __future__ import annotations

import onnx

from ..errors import InputError
from ..graph_builder import GraphBuilder
from ..heads import Head
from .layer_writer import NO_TENSOR, LayerWriter, Network
from .layers import layer_functions
from .source import Source

INPUT = "data"  # as OpenCV calls it, too
_BATCH = "batch"
_LARGEST_EXTENT = 1 << 31


def translate(source: Source) -> tuple[onnx.ModelProto, list[Head]]:
    """The network as ONNX, for any number of images, and its heads; their inputs are the outputs where there are any.

    Raises InputError when weights do not fit or the graph is inconsistent.
    """
    graph = GraphBuilder(source.cfg.stem, reserved=[layer.name for layer in source.layers])
    network = Network(graph, source.weights, source.shape)
    image = graph.input(INPUT, (_BATCH, *source.shape))
    functions = layer_functions()
    for layer in source.layers:
        try:
            writer = LayerWriter(layer, network, image)
            network.tensors.append(functions[layer.type](writer))
            _check_extent(writer)
        except InputError as error:
            raise InputError(f"{source.cfg}: {error}") from None
        except (ValueError, ArithmeticError, MemoryError, IndexError) as error:
            raise InputError(f"{source.cfg}: {layer.error(f'does not fit its input ({error})')}") from None
    if source.is_whole:
        source.weights.check_end()
    outputs = list(dict.fromkeys(name for head in network.heads for name in head.tensors)) or network.tensors[-1:]
    try:
        return graph.finish(outputs), network.heads
    except ValueError as error:
        raise InputError(f"{source.cfg}: does not make a consistent graph: {error}") from None


def _check_extent(layer: LayerWriter) -> None:
    """Raise InputError where the layer makes nothing, or what no memory holds."""
    made = layer.network.tensors[-1]
    if made != NO_TENSOR and not all(0 < size < _LARGEST_EXTENT for size in layer.extent(made)):
        raise layer.error(f"makes a map of {'x'.join(map(str, layer.extent(made)))}, of channels, height and width")
