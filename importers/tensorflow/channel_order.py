"""Which images the file itself has channels first: its graph inputs and outputs are then left as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..tflite.reader import Operator
from .layout import NodeLayout
from .operators import convolution, pooling, resizing
from .reader import Node

_TO_LAST = [0, 2, 3, 1]
_RENAMING = ("Identity", "StopGradient", "CheckNumerics", "Snapshot", "PlaceholderWithDefault")
# What reads images makes images: from here on the axes are known.
_IMAGES = {kind for family in (convolution, pooling, resizing) for kind in family.OPERATORS}


def is_channels_first(nodes: Sequence[Node]) -> bool:
    """Whether everything in the file that says an order says so."""
    formats = {str(node.attributes["data_format"]) for node in nodes if node.attributes.get("data_format")}
    return bool(formats) and all(found.startswith("NC") for found in formats)


def input_is_first(nodes: Sequence[Node], name: str) -> bool:
    """Whether all that is done with an input is to put its channels last."""
    readers = _readers(nodes, name)
    values = {node.name: node.attributes.get("value") for node in nodes if node.op == "Const"}
    perms = [values.get(node.inputs[1]) for node in readers if node.op == "Transpose" and len(node.inputs) == 2]
    if not readers or len(perms) < len(readers):
        return False
    return all(isinstance(perm, np.ndarray) and perm.ravel().tolist() == _TO_LAST for perm in perms)


def _readers(nodes: Sequence[Node], name: str) -> list[Node]:
    """What reads a tensor, also under the other names it goes by."""
    found, names = [], {name}
    for node in nodes:
        if names.intersection(node.inputs):
            if node.op in _RENAMING:
                names.add(node.name)
            else:
                found.append(node)
    return found


def output_is_first(layout: NodeLayout, tensor: str) -> bool:
    """Whether the second of four axes is that of the channels where the tensor comes from an image."""
    order = [0, 1, 2, 3]  # its axes, as numbers of those of the tensor that the walk has reached
    while (maker := layout.makers.get(tensor)) is not None and maker.kind not in _IMAGES:
        before = _same_shape(layout, maker, tensor)
        if maker.kind == "Transpose":
            perm = layout.tensors.value(maker.inputs[1])
            if perm is None or perm.size != len(order):
                break
            order = [int(perm.ravel()[axis]) for axis in order]
            before = maker.inputs[0]
        if before is None:
            break
        tensor = before
    return order[1] == 3


def _same_shape(layout: NodeLayout, maker: Operator, tensor: str) -> str | None:
    """An input of the same shape, which an operator number by number has."""
    shape = layout.tensors.shape(tensor)
    computed = [name for name in maker.inputs if name in layout.tensors and layout.tensors.value(name) is None]
    return next((name for name in computed if layout.tensors.shape(name) == shape), None)
