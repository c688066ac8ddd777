"""The network, layer by layer, to ONNX."""

from __future__ import annotations

import onnx

from ..errors import InputError
from ..graph_builder import GraphBuilder
from ..heads import Head
from .layer_writer import LayerWriter, Network
from .layers import layer_functions
from .source import Source

INPUT = "data"  # as OpenCV calls it, too
_BATCH = "batch"


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
            functions[layer.type](LayerWriter(layer, network, image))
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
