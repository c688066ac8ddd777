"""Which tensors of a network are worth a picture when nobody says."""

from __future__ import annotations

from .graph import Graph, Node
from .op_families import family_of
from .semantics import constant_tensors

DEFAULT_RULE = (
    "the first convolution, the last tensor before each spatial down-sampling, the last feature map "
    "(and the output, if it is one), and the vector that enters the last dense layer"
)
_CONVOLUTIONS = ("Conv", "QLinearConv", "ConvInteger")
_DENSE = ("Gemm", "MatMul", "QLinearMatMul")
_RESAMPLING = ("convolution", "pooling", "resize")
_MAKING = (*_RESAMPLING, "normalisation", "activation", "join")
_SHRINK = 2  # a side's factor from which a node down-samples; a convolution without padding shrinks less


def default_layers(graph: Graph) -> list[str]:
    """Tensors by DEFAULT_RULE, in the graph's order; where the rule finds none, the graph's outputs.

    The first convolution is shown behind its normalisation and activation function. Where several tensors of one size
    are down-sampled (branches), the one with most channels stands for them.
    """
    maps = _feature_maps(graph)
    chosen = {*_first_convolution(graph, maps), *_before_down_sampling(graph, maps), *_last(graph, maps)}
    chosen.update(_dense_input(graph))
    order = [name for node in graph.nodes for name in node.outputs if name in chosen]
    return order or list(graph.outputs)


def _feature_maps(graph: Graph) -> list[str]:
    """Computed tensors [N, C, H, W] of floats with more than one place, in the graph's order."""
    constant = constant_tensors(graph)
    names = (node.outputs[0] for node in graph.nodes if node.outputs and node.outputs[0] not in constant)
    return [name for name in names if _places(graph, name) > 1 and graph.types[name].dtype.startswith("float")]


def _places(graph: Graph, tensor: str) -> int:
    """Height times width, 0 where the tensor has none or they are not known."""
    shape = graph.shape(tensor)
    return (shape[2] or 0) * (shape[3] or 0) if shape is not None and len(shape) == 4 else 0


def _first_convolution(graph: Graph, maps: list[str]) -> list[str]:
    for name in maps:
        if graph.producers[name].op in _CONVOLUTIONS:
            return [_activated(graph, name)]
    return []


def _activated(graph: Graph, tensor: str) -> str:
    """The tensor behind the normalisation and activation function that alone read this one."""
    while len(readers := graph.consumers.get(tensor, ())) == 1:
        if family_of(readers[0].op) not in ("activation", "normalisation") or readers[0].inputs[0] != tensor:
            break
        tensor = readers[0].outputs[0]
    return tensor


def _before_down_sampling(graph: Graph, maps: list[str]) -> list[str]:
    found: dict[int, str] = {}
    for name in maps:
        if any(_down_samples(graph, name, node) for node in graph.consumers.get(name, ())):
            places = _places(graph, name)
            if places not in found or _channels(graph, name) >= _channels(graph, found[places]):
                found[places] = name
    return list(found.values())


def _down_samples(graph: Graph, tensor: str, node: Node) -> bool:
    """Whether the node strides over the tensor; where it has no strides, whether its output is half as high and wide.

    Global pooling does not count: nothing spatial is left behind it.
    """
    if family_of(node.op) not in _RESAMPLING or node.op == "ConvTranspose":
        return False
    if node.inputs[0] != tensor or _places(graph, node.outputs[0]) <= 1:
        return False
    strides = node.attribute("strides")
    if strides is not None:
        return max(strides) >= _SHRINK
    return _places(graph, tensor) >= _SHRINK**2 * _places(graph, node.outputs[0])


def _last(graph: Graph, maps: list[str]) -> list[str]:
    """The last feature map that is not merely another arrangement of numbers, and the graph's output if it is a map."""
    made = [name for name in maps if family_of(graph.producers[name].op) in _MAKING]
    return [*made[-1:], *(name for name in maps if name in graph.outputs)]


def _channels(graph: Graph, tensor: str) -> int:
    shape = graph.shape(tensor)
    return (shape[1] or 0) if shape is not None and len(shape) > 1 else 0


def _dense_input(graph: Graph) -> list[str]:
    """What enters the last dense layer, when that is a vector an image."""
    for node in reversed(graph.nodes):
        if node.op in _CONVOLUTIONS:  # a dense layer before it is a part of a block, such as squeeze-and-excitation
            break
        if node.op in _DENSE:
            shape = graph.shape(node.inputs[0])
            return [node.inputs[0]] if shape is not None and len(shape) == 2 else []
    return []
