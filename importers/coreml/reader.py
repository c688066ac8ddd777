"""A Core ML file to plain data: its network, its inputs and outputs, its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from ..errors import InputError
from ..message_table import check_texts
from .wire_schema import enum_name, message_class

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_LAYER_FIELDS = 100  # what the numbers of the layers' own fields start at
UNKNOWN = "unknown"  # the type of a layer that no version we know has


@dataclass(eq=False)
class Layer:
    """One layer: the name of its parameters' field is its type."""

    name: str
    type: str
    inputs: list[str]
    outputs: list[str]
    param: Any  # the message


@dataclass(frozen=True)
class Input:
    """One input as the description says it."""

    name: str
    shape: tuple[int, ...]  # of the numbers of one prediction; of an image [C, H, W]
    colours: str = ""  # RGB, BGR, GRAYSCALE …; "": not an image


@dataclass(frozen=True)
class Network:
    """A whole network."""

    layers: list[Layer]
    inputs: list[Input]
    outputs: list[str]
    exact_arrays: bool  # whether arrays enter in the shape they have, or as [N, C, H, W]
    exact_images: bool  # whether images enter as [1, C, H, W], or any number of them
    preprocessing: Sequence[Any]  # messages
    labels: tuple[str, ...] = ()


def read_network(path: Path) -> Network:
    """Read the file.

    Raises InputError when it is truncated, something else or without a network.
    """
    try:
        model = message_class("Model").FromString(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the Core ML model {path}: {error.strerror}") from error
    except DecodeError as error:
        raise InputError(f"{path}: expected a Core ML model, but the file is truncated or damaged ({error})") from error
    try:
        check_texts(model)
        return _network(model)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _network(model: Any) -> Network:
    kind = next((name for name in _NETWORKS if model.HasField(name)), None)
    if kind is None:
        raise InputError("expected a neural network, found a Core ML model of another kind")
    message = getattr(model, kind)
    layers = [_layer(entry) for entry in message.layers]
    if not layers:
        raise InputError("expected a neural network, found no layers in it")
    return Network(
        layers,
        [_input(feature) for feature in model.description.input],
        _outputs(model.description, message, layers),
        enum_name("ArrayMapping", message.arrayInputShapeMapping) == "EXACT_ARRAY_MAPPING",
        enum_name("ImageMapping", message.imageInputShapeMapping) == "RANK4_IMAGE_MAPPING",
        list(message.preprocessing),
        tuple(message.stringClassLabels.vector or map(str, message.int64ClassLabels.vector)),
    )


def _layer(entry: Any) -> Layer:
    found = next(((field.name, value) for field, value in entry.ListFields() if field.number >= _LAYER_FIELDS), None)
    kind, param = found or (UNKNOWN, None)
    return Layer(entry.name or next(iter(entry.output), ""), kind, list(entry.input), list(entry.output), param)


def _input(feature: Any) -> Input:
    if feature.type.HasField("imageType"):
        return _image(feature.name, feature.type.imageType)
    if feature.type.HasField("multiArrayType"):
        return Input(feature.name, _array_shape(feature.type.multiArrayType))
    raise InputError(f"input {feature.name}: expected an image or an array of numbers")


def _image(name: str, image: Any) -> Input:
    """Where several sizes are allowed, the default, or the first of them."""
    height, width = image.height, image.width
    if not (height and width) and image.enumeratedSizes.sizes:
        height, width = image.enumeratedSizes.sizes[0].height, image.enumeratedSizes.sizes[0].width
    colours = enum_name("ColorSpace", image.colorSpace)
    if colours == "INVALID_COLOR_SPACE" or min(height, width) < 1:
        raise InputError(f"input {name}: expected an image's size and colours, found {width}x{height}, {colours}")
    return Input(name, (1 if colours.startswith("GRAYSCALE") else 3, height, width), colours)


def _array_shape(array: Any) -> tuple[int, ...]:
    """As `_image`."""
    if array.shape:
        return tuple(array.shape)
    if array.enumeratedShapes.shapes:
        return tuple(array.enumeratedShapes.shapes[0].shape)
    return tuple(size.lowerBound for size in array.shapeRange.sizeRanges)


def _outputs(description: Any, message: Any, layers: Sequence[Layer]) -> list[str]:
    """The tensors that the model gives away; of a classifier the probabilities, which it calls otherwise."""
    made = {name for layer in layers for name in layer.outputs}
    stated = [feature.name for feature in description.output if feature.name in made]
    probabilities = message.labelProbabilityLayerName
    by_layer = {layer.name: layer.outputs[0] for layer in layers if layer.outputs}
    if probabilities and probabilities not in made:
        probabilities = by_layer.get(probabilities, "")
    return list(dict.fromkeys([*filter(None, [probabilities]), *stated])) or layers[-1].outputs[:1]
