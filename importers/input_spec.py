"""InputSpec: how an image becomes the network's input. Kept in the ONNX file's `metadata_props`.

An ONNX graph cannot say mean, scale, channel order or labels; without them every picture of a network is wrong.
So importers write what the source file says, `load` writes what the user says, and the engine reads it back.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx

METADATA_KEY = "onnxray.input_spec"

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


def _encode_image(image: np.ndarray) -> dict[str, Any]:
    packed = zlib.compress(np.ascontiguousarray(image, np.float32).tobytes())
    return {"shape": list(image.shape), "float32_zlib": base64.b64encode(packed).decode("ascii")}


def _decode_image(stored: dict[str, Any]) -> np.ndarray:
    raw = zlib.decompress(base64.b64decode(stored["float32_zlib"]))
    return np.frombuffer(raw, np.float32).reshape(stored["shape"])


def write_input_spec(proto: onnx.ModelProto, spec: InputSpec) -> None:
    """Store `spec` in the model's metadata, replacing an earlier one."""
    plain = spec.to_json()
    if spec.mean_image is not None:
        plain["mean_image"] = _encode_image(spec.mean_image)
    set_metadata(proto, METADATA_KEY, json.dumps(plain))


def read_input_spec(proto: onnx.ModelProto) -> InputSpec | None:
    """The spec stored by `write_input_spec`, or None."""
    text = get_metadata(proto, METADATA_KEY)
    if text is None:
        return None
    plain = json.loads(text)
    for name in ("size", "mean", "scale", "labels"):
        if plain.get(name) is not None:
            plain[name] = tuple(plain[name])
    if plain.get("mean_image") is not None:
        plain["mean_image"] = _decode_image(plain["mean_image"])
    return InputSpec(**plain)


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
