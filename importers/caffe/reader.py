"""Caffe files to plain data: a prototxt or a caffemodel becomes a Net of Layers, whatever the age of its form."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError

from ..errors import InputError
from ..message_table import check_texts
from .wire_schema import message_class


@dataclass(eq=False)
class Layer:
    """One `layer {}`, of any of the three generations."""

    name: str
    type: str  # as in today's files: "Convolution"
    bottoms: list[str]
    tops: list[str]
    message: Any  # the protobuf message that holds `convolution_param` …
    blobs: list[np.ndarray] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)  # names under which its weights are shared

    def param(self, name: str) -> Any:
        """A parameter message such as "pooling_param"; all defaults when the file does not give it."""
        if name in self.message.DESCRIPTOR.fields_by_name:
            return getattr(self.message, name)
        return getattr(message_class("Layer")(), name)


@dataclass
class Net:
    """A whole network, as written."""

    name: str
    layers: list[Layer]
    inputs: dict[str, tuple[int, ...]]  # declared by `input:`; () where no size is given
    message: Any


def read_prototxt(path: Path) -> Net:
    """Read the text form.

    Raises InputError with the line number when it is not valid.
    """
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"cannot read the prototxt {path}: {error.strerror}") from error
    message = message_class("Net")()
    try:
        # The type of the older `layers {}` is a bare word; as a string it may also be one that no table knows.
        quoted = re.sub(r"(\btype\s*:\s*)([A-Z][A-Z0-9_]*)\b", r'\1"\2"', text)
        text_format.Parse(quoted, message, allow_unknown_field=True)
    except text_format.ParseError as error:
        reason = str(error).partition(" : ")[2] or str(error)
        line = error.GetLine() or _line_ending_in(reason.partition(": ")[2], text)
        raise InputError(f"{path}: syntax error in line {line}: {reason}") from error
    except RecursionError as error:
        raise InputError(f"{path}: expected a prototxt, but its brackets are nested too deep") from error
    return net_of(message)


def _line_ending_in(value: str, text: str) -> int | str:
    """Where a string without its closing quote stands; protobuf names the string but not the line."""
    numbered = enumerate(text.splitlines(), 1)
    return next((number for number, line in numbered if value and line.rstrip().endswith(value)), "?")


def read_caffemodel(path: Path) -> Net:
    """Read the binary form, with the weights.

    Raises InputError when it is truncated or something else.
    """
    try:
        message = message_class("Net").FromString(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the caffemodel {path}: {error.strerror}") from error
    except DecodeError as error:
        raise InputError(f"{path}: expected a caffemodel, but the file is truncated or damaged ({error})") from error
    try:
        check_texts(message)
        net = net_of(message)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    net.message = message_class("Net")(state=message.state)
    if not net.layers:
        raise InputError(f"{path}: expected a caffemodel, found no layers in it")
    return net


def net_of(message: Any) -> Net:
    """A Net message as data; layers of the older forms are brought to today's."""
    from .upgrade import upgraded

    dims = list(message.input_dim)
    shapes = [tuple(shape.dim) for shape in message.input_shape]
    shapes += [tuple(dims[start : start + 4]) for start in range(0, len(dims), 4)]
    inputs = {name: shapes[index] if index < len(shapes) else () for index, name in enumerate(message.input)}
    layers = [_layer(entry) for entry in message.layer] if message.layer else upgraded(message.layers)
    return Net(message.name, layers, inputs, message)


def _layer(entry: Any) -> Layer:
    blobs = arrays(entry.name, entry.blobs)
    return Layer(
        entry.name or next(iter(entry.top), ""),
        entry.type,
        list(entry.bottom),
        list(entry.top),
        without_blobs(entry),
        blobs,
        [spec.name for spec in entry.param],
    )


def without_blobs(entry: Any) -> Any:
    """A copy of a layer's message that stands alone: protobuf keeps a file's weights while any part of it is in use."""
    entry.ClearField("blobs")
    copy = type(entry)()
    copy.CopyFrom(entry)
    return copy


def arrays(layer: str, blobs: Iterable[Any]) -> list[np.ndarray]:
    """The weights of one layer, float32."""
    return [array(blob, f"layer {layer}") for blob in blobs]


_MOST = 1 << 48  # numbers
_RAW_TYPES = {0: np.float64, 1: np.float32, 2: np.float16}  # NVIDIA's and OpenCV's compact blobs


def array(blob: Any, where: str) -> np.ndarray:
    """One blob as an array of its declared shape.

    Raises InputError when it holds fewer or more numbers than its shape asks for.
    """
    shape = tuple(blob.shape.dim) if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)
    if any(dim < 0 for dim in shape):
        raise InputError(f"{where}: a weight has the impossible shape {list(shape)}")
    values = _values(blob)
    if values.size != math.prod(shape):
        raise InputError(f"{where}: a weight of shape {list(shape)} holds {values.size} numbers")
    if math.prod(filter(None, shape)) >= _MOST:  # also of no numbers: NumPy multiplies the sides that are not 0
        raise InputError(f"{where}: a weight has the impossible shape {list(shape)}")
    return values.reshape(shape)


def _values(blob: Any) -> np.ndarray:
    data = blob.data  # each access to a bytes field copies it
    if data:
        return np.frombuffer(data, "<f4", len(data) // 4)
    raw, kind = blob.raw_data, _RAW_TYPES.get(blob.raw_data_type, np.float32)
    if not raw:
        raw, kind = blob.double_data, np.float64
    if raw:
        with np.errstate(over="ignore"):  # doubles that no float32 holds are infinite
            return np.frombuffer(raw, kind, len(raw) // np.dtype(kind).itemsize).astype(np.float32)
    # A writer may leave its numbers unpacked, one field each: valid protobuf, though Caffe itself never does.
    loose = message_class("UnpackedBlob").FromString(blob.SerializeToString())
    return np.array(loose.data or loose.double_data, np.float32)
