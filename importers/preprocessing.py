"""The InputSpec of a model: what the file says, then what the user says, then assumptions that say they are such.

Sources, in this order: our own metadata, the image metadata of Windows ML, that of Ultralytics and of RapidOCR.
A field nobody states is assumed from the graph (`origin` then starts with "assumed:").
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import numpy_helper

from .errors import InputError, nearest_names
from .input_spec import InputSpec, checked, get_metadata, read_input_spec
from .onnx_file import graph_inputs
from .tensors import is_external, shape_text

ASSUMED = "assumed: "
_COLOURS = (1, 3, 4)  # sizes of an axis that can be colour channels
_LARGEST_SIZE = 1 << 31  # of one dimension
_WINML_ORDER = {"Gray8": "GREY", "Rgb8": "RGB", "Bgr8": "BGR", "Rgba8": "RGB", "Bgra8": "BGR"}
_WINML_RANGE = {  # Image.NominalPixelRange -> mean, scale
    "NominalRange_0_255": (0.0, 1.0),
    "Normalized_0_1": (0.0, 1 / 255),
    "Normalized_1_1": (127.5, 1 / 127.5),
}
_FIRST_NODES = 20  # the first operator on the image is among them
_LONGEST_METADATA = 1 << 20  # characters of a Python literal that is evaluated


def apply_shapes(proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Write the user's input shapes into the graph; the name "" stands for the only input.

    A batch of 1 given for a dynamic first axis leaves it dynamic: it is what analyses use anyway.
    Raises InputError when a shape names no input or contradicts the file.
    """
    inputs = graph_inputs(proto)
    for name, shape in shapes.items():
        if name == "" and len(inputs) == 1:
            name = next(iter(inputs))
        if name not in inputs:
            raise InputError(f"--shape names no input of the model: {name}; {nearest_names(name, inputs)}")
        _apply_shape(inputs[name], tuple(shape))


def _apply_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    stated = dims_of(value)
    if any(not 0 < side < _LARGEST_SIZE for side in shape):
        raise InputError(f"--shape {value.name}: every size must be at least 1, found {shape_text(shape)}")
    if stated is not None and not _fits(stated, shape):
        raise InputError(f"--shape {value.name}={shape_text(shape)} does not fit the file, which says {_shown(stated)}")
    if stated is None:
        value.type.tensor_type.shape.Clear()
        for side in shape:
            value.type.tensor_type.shape.dim.add(dim_value=side)
        return
    for axis, (dim, side) in enumerate(zip(value.type.tensor_type.shape.dim, shape, strict=True)):
        if axis > 0 or side > 1:
            dim.dim_value = side


def _fits(stated: Sequence[int | None], shape: Sequence[int]) -> bool:
    same_rank = len(stated) == len(shape)
    return same_rank and all(known in (None, side) for known, side in zip(stated, shape, strict=True))


def dims_of(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
    """The stated shape, None in place of a dynamic dimension; None where the file gives no shape."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim)


def build_spec(proto: onnx.ModelProto, options: Mapping[str, Any]) -> InputSpec:
    """The model's InputSpec with the user's `options` on top; every field's origin is recorded.

    Raises InputError when an option is unknown, out of range or does not fit the graph's input.
    """
    inputs = graph_inputs(proto)
    given = checked(options)
    spec = _without_assumptions(read_input_spec(proto) or InputSpec())
    for origin, values in _stated(proto):
        spec = spec.override(origin, **{name: value for name, value in values.items() if name not in spec.origin})
    spec = spec.override("option", **given)
    if spec.input not in inputs:
        if "input" in given:
            raise InputError(f"the model has no input {spec.input}; {nearest_names(spec.input, inputs)}")
        spec = dataclasses.replace(spec, input=_image_input(inputs))
    dims = dims_of(inputs[spec.input]) if inputs else None
    spec = _assume(proto, spec, dims)
    _check_fit(spec, dims)
    return spec


def _without_assumptions(spec: InputSpec) -> InputSpec:
    """An earlier run's assumptions are made anew: the user may know more now."""
    known = {name: origin for name, origin in spec.origin.items() if not origin.startswith(ASSUMED)}
    if not spec.origin:
        return spec
    kept = {name: getattr(spec, name) for name in known if hasattr(spec, name)}
    return InputSpec(**{**kept, "input": spec.input, "origin": known})


def _image_input(inputs: Mapping[str, onnx.ValueInfoProto]) -> str:
    """The input that images enter: the first of rank 4, else the first."""
    images = [name for name, value in inputs.items() if len(dims_of(value) or ()) == 4]
    return (images or list(inputs) or [""])[0]


def _stated(proto: onnx.ModelProto) -> list[tuple[str, dict[str, Any]]]:
    """(origin, fields) of what other tools wrote into the metadata."""
    found: list[tuple[str, dict[str, Any]]] = []
    order = _WINML_ORDER.get(get_metadata(proto, "Image.BitmapPixelFormat") or "")
    if order:
        found.append(("metadata Image.BitmapPixelFormat", {"channel_order": order}))
    pixels = _WINML_RANGE.get(get_metadata(proto, "Image.NominalPixelRange") or "")
    if pixels:
        found.append(("metadata Image.NominalPixelRange", {"mean": (pixels[0],), "scale": (pixels[1],)}))
    names = _names(_literal(get_metadata(proto, "names")))
    if names:
        found.append(("metadata names", {"labels": names}))
    if get_metadata(proto, "author") == "Ultralytics":
        found.append(("Ultralytics' convention", _ultralytics(proto)))
    characters = get_metadata(proto, "character")
    if characters:  # RapidOCR: index 0 is CTC's blank, the space comes last
        found.append(("metadata character", {"labels": ("blank", *characters.splitlines(), " ")}))
    return found


def _ultralytics(proto: onnx.ModelProto) -> dict[str, Any]:
    size = _literal(get_metadata(proto, "imgsz"))
    sides = tuple(size) if isinstance(size, (list, tuple)) and all(isinstance(side, int) for side in size) else None
    resize = "crop" if get_metadata(proto, "task") == "classify" else "stretch"  # detectors pad, which we cannot
    return checked({"size": sides, "channel_order": "RGB", "mean": 0.0, "scale": 1 / 255, "resize": resize})


def _literal(text: str | None) -> Any:
    if text is None or len(text) > _LONGEST_METADATA:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _names(stored: Any) -> tuple[str, ...]:
    if isinstance(stored, dict) and set(stored) == set(range(len(stored))):
        return tuple(str(stored[index]) for index in range(len(stored)))
    return tuple(map(str, stored)) if isinstance(stored, (list, tuple)) else ()


def _fill(spec: InputSpec, why: str, **values: Any) -> InputSpec:
    """`spec` with those of `values` that nobody stated, marked as assumed."""
    unstated = {name: value for name, value in values.items() if name not in spec.origin}
    return spec.override(f"{ASSUMED}{why}", **unstated)


def _assume(proto: onnx.ModelProto, spec: InputSpec, dims: tuple[int | None, ...] | None) -> InputSpec:
    """Fill the fields that nobody stated."""
    if dims is not None and len(dims) == 4:
        channels_last = dims[3] in _COLOURS and dims[1] not in _COLOURS
        spec = _fill(spec, "from the input's shape", layout="NHWC" if channels_last else "NCHW")
        height, width = _sides(spec, dims)
        if height and width:
            spec = _fill(spec, "from the input's shape", size=(height, width))
        if _channels(spec, dims) == 1:
            spec = _fill(spec, "from the input's shape", channel_order="GREY")
    spec = _fill(spec, "nothing states it; pass --bgr if the network expects blue first", channel_order="RGB")
    spec = _fill(spec, "nothing states it; pass --resize stretch to keep the whole image", resize="crop")
    if spec.origin.keys() & {"mean", "mean_image"}:
        return _fill(spec, "pixels 0..255, as the mean", scale=(1.0,))
    if "scale" in spec.origin:
        return _fill(spec, "no mean is stated", mean=(0.0,))
    raw = _takes_pixels(proto, spec.input)
    if raw:
        return _fill(spec, raw, mean=(0.0,), scale=(1.0,))
    return _fill(spec, "pixels / 255; pass --mean and --scale as in training", mean=(0.0,), scale=(1 / 255,))


def _takes_pixels(proto: onnx.ModelProto, name: str) -> str | None:
    """Why the graph's input must be pixels 0..255: its type is integer, or its first node scales them."""
    value = graph_inputs(proto).get(name)
    if value is not None and value.type.tensor_type.elem_type in (onnx.TensorProto.UINT8, onnx.TensorProto.INT8):
        return "the input takes bytes"
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node[:_FIRST_NODES]:
        if name not in node.input:
            continue
        if node.op_type in ("Cast", "Transpose", "Identity"):
            name = node.output[0]
            continue
        other = next((stored[entry] for entry in node.input if entry in stored), None)
        if other is not None and _scales_pixels(node.op_type, other):
            return f"node {node.name or node.op_type} scales the pixels itself"
        return None
    return None


def _scales_pixels(op: str, constant: onnx.TensorProto) -> bool:
    """Whether this operator with this constant brings 0..255 to a small range."""
    if is_external(constant) or math.prod(constant.dims) not in (1, 3):
        return False
    if constant.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE):
        return False
    size = float(abs(numpy_helper.to_array(constant)).min())
    return size < 0.05 if op == "Mul" else size > 10 if op in ("Sub", "Add", "Div") else False


def _sides(spec: InputSpec, dims: Sequence[int | None]) -> tuple[int | None, int | None]:
    return (dims[1], dims[2]) if spec.layout == "NHWC" else (dims[2], dims[3])


def _channels(spec: InputSpec, dims: Sequence[int | None]) -> int | None:
    return dims[3] if spec.layout == "NHWC" else dims[1]


def _check_fit(spec: InputSpec, dims: tuple[int | None, ...] | None) -> None:
    """Raise InputError where the spec contradicts the input's shape."""
    if dims is None or len(dims) != 4:
        return
    channels = _channels(spec, dims)
    if spec.origin.get("layout") == "option" and channels not in (None, *_COLOURS):
        raise InputError(f"layout {spec.layout} makes {channels} channels of input {spec.input}: {_shown(dims)}")
    wanted = 1 if spec.channel_order == "GREY" else 3
    if channels in (1, 3) and channels != wanted:
        raise InputError(
            f"input {spec.input} has {channels} channel{'s' * (channels > 1)} (shape {_shown(dims)}, "
            f"layout {spec.layout}); channel order {spec.channel_order} has {wanted}"
        )
    for name, values in (("mean", spec.mean), ("scale", spec.scale)):
        if len(values) not in (1, channels or wanted):
            raise InputError(f"{name} expects 1 or {channels or wanted} numbers, found {len(values)}")
    if spec.mean_image is not None and channels not in (None, spec.mean_image.shape[0]):
        raise InputError(f"the mean image has {spec.mean_image.shape[0]} channels, the input {channels}")
    for stated, side in zip(_sides(spec, dims), spec.size or (), strict=False):
        if stated not in (None, side):
            raise InputError(f"size {shape_text(spec.size or ())} does not fit input {spec.input}: {_shown(dims)}")


def _shown(dims: Sequence[int | None]) -> str:
    return shape_text(["?" if size is None else size for size in dims])
