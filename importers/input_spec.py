"""InputSpec: how an image becomes the network's input. Kept in the ONNX file's `metadata_props`.

An ONNX graph cannot say mean, scale, channel order or labels; without them every picture of a network is wrong.
So importers write what the source file says, `load` writes what the user says, and the engine reads it back.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx

from .errors import InputError, nearest_names
from .labels import as_labels
from .names import printable

METADATA_KEY = "onnxray.input_spec"
_LARGEST_SIDE = 1 << 20  # pixels
_LARGEST_IMAGE = 1 << 28  # bytes of a stored mean image

ChannelOrder = Literal["RGB", "BGR", "GREY"]
Layout = Literal["NCHW", "NHWC"]
Resize = Literal["crop", "stretch"]


@dataclass(frozen=True)
class InputSpec:
    """x = (pixel - mean) * scale, pixel in 0..255, for the graph input named `input`."""

    input: str = ""
    size: tuple[int, int] | None = None  # (height, width) in pixels
    layout: Layout = "NCHW"
    channel_order: ChannelOrder = "RGB"
    mean: tuple[float, ...] = (0.0,)  # one for all channels or one a channel, in channel_order, 0..255
    scale: tuple[float, ...] = (1.0,)  # likewise
    mean_image: np.ndarray | None = field(default=None, compare=False)  # [C, H, W] float32: replaces `mean`
    resize: Resize = "crop"  # crop: short side to size / crop_fraction, then the centre; stretch: both sides to size
    crop_fraction: float = 0.875
    labels: tuple[str, ...] = ()
    origin: dict[str, str] = field(default_factory=dict)  # field -> where its value came from

    def override(self, origin: str, **values: Any) -> InputSpec:
        """A copy with these fields replaced (None: left alone), each remembered as coming from `origin`."""
        given = {name: value for name, value in values.items() if value is not None}
        return dataclasses.replace(self, **given, origin={**self.origin, **dict.fromkeys(given, origin)})

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the mean image (its shape stands in for it)."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain["mean_image"] = None if self.mean_image is None else list(self.mean_image.shape)
        return plain


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Field values as InputSpec keeps them (numbers as tuples, one side as two), None left out.

    Raises InputError for an unknown field or a value outside its range.
    """
    fields = [entry.name for entry in dataclasses.fields(InputSpec)]
    given = {name: value for name, value in values.items() if value is not None}
    for name in given:
        if name not in fields:
            raise InputError(f"unknown option {name}; {nearest_names(name, fields)}")
    return {name: _FIELDS[name](name, value) for name, value in given.items()}


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} expects text, found {value!r}")
    return value


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise InputError(f"{name} expects {' or '.join(choices)}, found {value!r}")
        return str(value)

    return check


def _size(name: str, value: Any) -> tuple[int, int]:
    sides = (value,) if isinstance(value, (int, np.integer)) else tuple(value) if _is_sequence(value) else ()
    whole = all(isinstance(side, (int, np.integer)) and 0 < side < _LARGEST_SIDE for side in sides)
    if len(sides) not in (1, 2) or not whole:
        raise InputError(f"{name} expects one side or (height, width) in pixels, found {value!r}")
    return int(sides[0]), int(sides[-1])


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(float(entry) for entry in (value if _is_sequence(value) else (value,)))
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)) or (name == "scale" and 0.0 in numbers):
        raise InputError(f"{name} expects one number or one a channel{', not 0' * (name == 'scale')}, found {value!r}")
    return numbers


def _fraction(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise InputError(f"{name} expects a number above 0 and up to 1, found {value!r}")
    return float(value)


def _image(name: str, value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.ndim != 3:
        raise InputError(f"{name} expects an array [channels, height, width]")
    return value.astype(np.float32)


def _origins(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} expects a mapping of field to text, found {value!r}")
    return {str(key): str(entry) for key, entry in value.items()}


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))


_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "input": _text,
    "size": _size,
    "layout": _choice("NCHW", "NHWC"),
    "channel_order": _choice("RGB", "BGR", "GREY"),
    "mean": _numbers,
    "scale": _numbers,
    "mean_image": _image,
    "resize": _choice("crop", "stretch"),
    "crop_fraction": _fraction,
    "labels": lambda name, value: as_labels(value),
    "origin": _origins,
}


def _encode_image(image: np.ndarray) -> dict[str, Any]:
    packed = zlib.compress(np.ascontiguousarray(image, np.float32).tobytes())
    return {"shape": list(image.shape), "float32_zlib": base64.b64encode(packed).decode("ascii")}


def _decode_image(stored: dict[str, Any]) -> np.ndarray:
    shape = tuple(int(side) for side in stored["shape"])
    length = 4 * math.prod(shape)
    if min(shape) < 1 or length > _LARGEST_IMAGE:
        raise ValueError("mean image too large")
    raw = zlib.decompressobj().decompress(base64.b64decode(stored["float32_zlib"]), length)
    return np.frombuffer(raw, np.float32).reshape(shape)


def write_input_spec(proto: onnx.ModelProto, spec: InputSpec) -> None:
    """Store `spec` in the model's metadata, replacing an earlier one."""
    plain = spec.to_json()
    if spec.mean_image is not None:
        plain["mean_image"] = _encode_image(spec.mean_image)
    set_metadata(proto, METADATA_KEY, json.dumps(plain))


def read_input_spec(proto: onnx.ModelProto) -> InputSpec | None:
    """The spec stored by `write_input_spec`, or None.

    Raises InputError when what is stored is no InputSpec.
    """
    text = get_metadata(proto, METADATA_KEY)
    if text is None:
        return None
    try:
        plain = json.loads(text)
        if plain.get("mean_image") is not None:
            plain["mean_image"] = _decode_image(plain["mean_image"])
        # A string here must never be taken for a path.
        labels = tuple(printable(str(label)) for label in plain.pop("labels", None) or ())
        return InputSpec(labels=labels, **checked(plain))
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        raise InputError(f"the model's metadata {METADATA_KEY} is damaged ({error}); remove it") from None


def get_metadata(proto: onnx.ModelProto, key: str) -> str | None:
    """The value of one metadata property, or None."""
    return next((entry.value for entry in proto.metadata_props if entry.key == key), None)


def set_metadata(proto: onnx.ModelProto, key: str, value: str) -> None:
    """Set one metadata property, adding it when absent."""
    for entry in proto.metadata_props:
        if entry.key == key:
            entry.value = value
            return
    proto.metadata_props.add(key=key, value=value)
