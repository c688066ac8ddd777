"""The shape of a net's inputs, which neither of its files has to say: from options, value_info.json, or the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..caffe.input_sizes import USUAL_SIDES
from ..channels_last import to_last
from ..errors import InputError
from ..graph_builder import Dim
from .reader import Net, Operator

BATCH = "batch"
_LARGEST = 1 << 20  # bytes of a value_info.json
_ON_WEIGHTS = ("Conv", "ConvTranspose", "FC", "FCTransposed", "SpatialBN", "InstanceNorm", "PRelu")
_TURNING = {"NCHW2NHWC": False, "NHWC2NCHW": True}  # whether what they take has channels last
_NEEDS_SIZE = ("FC", "FCTransposed", "Reshape")  # of fixed widths, which tell the size of the image

Shape = tuple[Dim, ...]
Blobs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Known:
    """What is said of shapes, by the user and by a file beside the net."""

    shapes: Mapping[str, Sequence[int]]  # of the graph's inputs; the name "" stands for the only one
    size: tuple[int, int] | None = None  # (height, width)
    stated: Mapping[str, Sequence[int]] = field(default_factory=dict)  # of the net's inputs


def stated_shapes(predict: Path) -> dict[str, tuple[int, ...]]:
    """What a value_info.json beside the net says: input -> shape; nothing where there is none that can be read."""
    path = predict.with_name("value_info.json")
    try:
        if path.stat().st_size > _LARGEST:
            return {}
        entries = json.loads(path.read_text("utf-8"))
        return {str(name): tuple(int(size) for size in shape) for name, (_, shape) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def input_names(net: Net, blobs: Blobs) -> list[str]:
    """Blobs that are read before anything makes them. An init_net may fill an input, too, so that it is there.

    Raises InputError where some of them are weights, which the init_net should have.
    """
    made, found = set(blobs), dict[str, None]()
    for operator in net.operators:
        found.update(dict.fromkeys(name for name in operator.inputs if name not in made))
        made.update(operator.outputs, operator.inputs)
    weights = {name for entry in net.operators if entry.type in _ON_WEIGHTS for name in entry.inputs[1:]}
    data = {name for entry in net.operators for name in entry.inputs[: 1 if entry.type in _ON_WEIGHTS else None]}
    missing = [name for name in found if name in weights - data]
    if missing:
        raise InputError(f"the init_net has no {', '.join(missing)}; do the two files belong together?")
    return list(found) or net.operators[0].inputs[:1]


def shapes_to_try(net: Net, blobs: Blobs, known: Known) -> list[dict[str, Shape]]:
    """Shapes of all inputs: one possibility, or one for each usual size where the net's weights decide."""
    names = input_names(net, blobs)
    shapes = {name: _shape(name, names, net, blobs, known) for name in names}
    sizes_open = any(len(shape) == 4 and "height" in shape for shape in shapes.values())
    if not (sizes_open and any(operator.type in _NEEDS_SIZE for operator in net.operators)):
        return [shapes]
    return [{name: _with_side(shape, side) for name, shape in shapes.items()} for side in USUAL_SIDES]


def _with_side(shape: Shape, side: int) -> Shape:
    return tuple(side if dim in ("height", "width") else dim for dim in shape)


def _shape(name: str, names: Sequence[str], net: Net, blobs: Blobs, known: Known) -> Shape:
    given = known.shapes.get(name) or (known.shapes.get("") if len(names) == 1 else None)
    if given and len(given) == 4 and has_channels_last(name, net):
        given = [given[axis] for axis in to_last(4)]
    if not (given or known.size):
        filled = blobs[name].shape if name in blobs else ()
        given = known.stated.get(name) or (filled if len(filled) == 4 and min(filled) > 0 else None)
    if given:
        return (BATCH, *given[1:]) if given[0] == 1 else tuple(given)
    reader, is_flat = _first_on_weights(name, net, blobs)
    channels = _channels(reader, blobs) if reader is not None else None
    if is_flat:
        return (BATCH, channels)
    height, width = known.size or ("height", "width")
    if has_channels_last(name, net):
        return (BATCH, height, width, channels)
    return (BATCH, channels, height, width)


def _first_on_weights(name: str, net: Net, blobs: Blobs) -> tuple[Operator | None, bool]:
    """The operator whose weights tell the channels of an input; whether it takes vectors."""
    alive = {name}
    for operator in net.operators:
        if not operator.inputs or operator.inputs[0] not in alive:
            continue
        if operator.type in _ON_WEIGHTS and len(operator.inputs) > 1 and operator.inputs[1] in blobs:
            return operator, operator.type.startswith("FC") and operator.inputs[0] == name
        alive.update(operator.outputs[:1])
    return None, False


def _channels(reader: Operator, blobs: Blobs) -> int | None:
    """How many channels its weights are for; behind anything that flattens that is not known."""
    shape = blobs[reader.inputs[1]].shape
    if reader.type == "Conv" and len(shape) > 2:
        group = reader.arguments["group"].i if "group" in reader.arguments else 1
        return int(shape[-1 if is_last(reader) else 1]) * group
    if reader.type in ("FC", "FCTransposed") and len(shape) == 2:
        return int(shape[1 if reader.type == "FC" else 0])
    if reader.type in ("ConvTranspose", "SpatialBN", "InstanceNorm") and shape:
        return int(shape[0])
    return None


def has_channels_last(name: str, net: Net) -> bool:
    """Whether an input is [N, H, W, C], as the first operator that has an order says."""
    alive = {name}
    for operator in net.operators:
        if operator.inputs and operator.inputs[0] in alive:
            if operator.type in _TURNING:
                return _TURNING[operator.type]
            if "order" in operator.arguments:
                return is_last(operator)
            alive.update(operator.outputs[:1])
    return False


def is_last(operator: Operator) -> bool:
    """Whether its images have channels last."""
    return "order" in operator.arguments and operator.arguments["order"].s == b"NHWC"
