"""InputSpec from a Caffe model: what its data layers do to an image before the network sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..errors import InputError
from ..input_spec import ChannelOrder, InputSpec
from .inference_net import data_layers
from .input_sizes import crop_size, image_size
from .reader import Layer, array, read_prototxt
from .source import Source
from .wire_schema import message_class

_CUSTOM = "Caffe's convention, as no file states it"  # OpenCV's channel order, pixels 0..255
_SOURCES = ("transform_param", "data_param", "image_data_param", "window_data_param")  # newest first


@dataclass(frozen=True)
class Transform:
    """What one data layer does, whichever of its messages says so."""

    layer: Layer
    file: Path
    mean: tuple[float, ...]
    mean_file: str
    scale: float
    crop: int

    @property
    def tells_something(self) -> bool:
        """Whether it changes the image at all."""
        return bool(self.mean or self.mean_file or self.crop or self.scale != 1)


def input_spec(source: Source, proto: onnx.ModelProto) -> InputSpec:
    """Size and channels from the graph; mean, scale and crop from the data layers of any of the files.

    Caffe keeps none of it in files for deployment; the caffemodel, or a training prototxt beside it, may still have it.
    """
    graph_input = next((value for value in proto.graph.input if len(_dims(value)) == 4), proto.graph.input[0])
    spec = InputSpec(input=graph_input.name)
    dims = _dims(graph_input)
    if len(dims) != 4:
        return spec
    if dims[2] and dims[3]:
        spec = spec.override(_size_origin(source, graph_input.name), size=(dims[2], dims[3]))
    order: ChannelOrder = "GREY" if dims[1] == 1 else "BGR"
    spec = spec.override("Caffe's layout", layout="NCHW")
    spec = spec.override("one channel" if dims[1] == 1 else _CUSTOM, channel_order=order)
    spec = spec.override(_CUSTOM, mean=(0.0,), scale=(1.0,))
    transform = next((found for found in _transforms(source) if found.tells_something), None)
    return spec if transform is None else _with_transform(spec, transform, dims[1:])


def _size_origin(source: Source, name: str) -> str:
    """The file that says the size; or that it was tried out (`input_sizes.sides_to_try`)."""
    file = source.graph_file.name
    told = bool(source.net.inputs.get(name)) or any(
        name in layer.tops and None not in image_size(layer) for layer in source.net.data_layers
    )
    return file if told else f"{file} does not say: the most usual size that fits its weights"


def _dims(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _transforms(source: Source) -> Iterator[Transform]:
    """Of the prototxt, of the caffemodel, then of training prototxts in the same folder."""
    yield from (_transform(layer, source.graph_file) for layer in source.net.data_layers)
    yield from (_transform(layer, source.caffemodel) for layer in data_layers(source.trained))
    for other in sorted(source.caffemodel.parent.glob("*train*.prototxt")):
        try:
            yield from (_transform(layer, other) for layer in data_layers(read_prototxt(other)))
        except InputError:
            continue  # a neighbour that cannot be read says nothing


def _transform(layer: Layer, file: Path) -> Transform:
    given = [layer.param(name) for name in _SOURCES]
    scales = [message.scale for message in given if message.HasField("scale")]
    mean_files = [message.mean_file for message in given if message.mean_file]
    return Transform(
        layer,
        file,
        tuple(layer.param("transform_param").mean_value),
        next(iter(mean_files), ""),
        next(iter(scales), 1.0),
        crop_size(layer),
    )


def _with_transform(spec: InputSpec, transform: Transform, shape: list[int]) -> InputSpec:
    origin = f"data layer {transform.layer.name} of {transform.file.name}"
    mean = transform.mean if len(transform.mean) in (1, shape[0]) else None
    spec = spec.override(origin, mean=mean, scale=(transform.scale,) if transform.scale != 1 else None)
    if not transform.crop and None not in image_size(transform.layer):
        spec = spec.override(origin, resize="stretch")
    if transform.mean_file:
        spec = _with_mean_file(spec, transform, shape, origin)
    return spec


def _with_mean_file(spec: InputSpec, transform: Transform, shape: list[int], origin: str) -> InputSpec:
    """The mean image when its file lies beside the model; else only a note that there should be one."""
    path = transform.file.parent / Path(transform.mean_file.replace("\\", "/")).name
    if not path.is_file():
        note = f"unknown: {origin} subtracts {transform.mean_file}, which is not beside it"
        return InputSpec(**{**vars(spec), "origin": {**spec.origin, "mean": note}})
    image = _centre(read_mean_image(path), shape)
    if image is None:
        means = read_mean_image(path).mean(axis=(1, 2))
        return spec.override(f"channel means of {path.name}", mean=tuple(float(value) for value in means))
    fraction = image.shape[1] / read_mean_image(path).shape[1]
    return spec.override(f"{path.name}, named by {origin}", mean_image=image, crop_fraction=fraction)


def read_mean_image(path: Path) -> np.ndarray:
    """A .binaryproto mean image, [C, H, W] float32.

    Raises InputError when it is something else.
    """
    try:
        image = array(message_class("Blob").FromString(path.read_bytes()), str(path))
    except DecodeError as error:
        raise InputError(f"{path}: expected a mean image in Caffe's binaryproto ({error})") from error
    return image.reshape(image.shape[-3:]).astype(np.float32)


def _centre(image: np.ndarray, shape: list[int]) -> np.ndarray | None:
    """The middle of the mean image, which is what Caffe subtracts from the middle of a picture."""
    channels, height, width = shape
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    if image.shape[0] != channels or min(top, left) < 0 or not (height and width):
        return None
    return np.ascontiguousarray(image[:, top : top + height, left : left + width])
