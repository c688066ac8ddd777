"""values: what is known of a network's tensors before it sees an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..images import image_input
from ..model import Model
from ..structure.composites import Value
from ..structure.graph import Graph
from ..structure.semantics import constant_tensors
from .step import Unsupported


@dataclass(frozen=True)
class Known:
    """A network, for its backward pass."""

    graph: Graph
    value: Value
    images_axis: Callable[[str], int | None]  # of a tensor: the axis that grows with the number of images, see `known`


def known(model: Model) -> Known:
    """Of a network that takes a fixed number of images no tensor's axis grows.

    Raises Unsupported when that axis of a tensor is asked for that depends on the image and has none.
    """
    value = file_values(model)
    return Known(model.graph, value, _images_axes(model, value))


def file_values(model: Model) -> Value:
    """The values of tensors that are the same for every image."""
    same, found = constant_tensors(model.graph), dict[str, np.ndarray]()

    def value(tensor: str) -> np.ndarray | None:
        if tensor not in same:
            return None
        if tensor not in found:
            found[tensor] = _value(model, tensor)
        return found[tensor]

    return value


def _images_axes(model: Model, value: Value) -> Callable[[str], int | None]:
    graph = model.graph
    if model.session().batching.fixed is not None:
        return lambda tensor: None
    two = Graph(model.proto, {name: (2, *shape[1:]) for name, shape in model.input_shapes.items()}, model.folder)

    def axis(tensor: str) -> int | None:
        one, other = graph.shape(tensor), two.shape(tensor)
        grown = [number for number, pair in enumerate(zip(one or (), other or (), strict=False)) if pair[0] != pair[1]]
        if len(grown) != 1 and value(tensor) is None:
            raise Unsupported(f"{tensor}, in which images have no axis of their own")
        return grown[0] if len(grown) == 1 else None

    return axis


def _value(model: Model, tensor: str) -> np.ndarray:
    if tensor in model.graph.initializers:
        return model.graph.weight(tensor)
    constant = model.graph.constant(tensor)
    if constant is not None:
        return constant
    blank = np.zeros(image_input(model)[1], np.float32)
    return model.session().run(blank, [tensor])[tensor]
