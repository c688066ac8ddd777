"""Stored tensors: what each claims is checked against the bytes there are before anything is allocated or read.

A model file is untrusted input. A tensor may claim 2^60 elements, and "external data" may name any file of the
machine; so sizes are computed in Python's integers first, and external files must be regular files inside the
model's folder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .data_files import data_file
from .errors import InputError
from .walk import all_tensors

EMBED_LIMIT = 1 << 29  # bytes of external data read into the model; larger tensors beyond it stay on disk
_BITS: dict[int, int] = {
    TensorProto.COMPLEX128: 128,
    **dict.fromkeys((TensorProto.DOUBLE, TensorProto.INT64, TensorProto.UINT64, TensorProto.COMPLEX64), 64),
    **dict.fromkeys((TensorProto.FLOAT, TensorProto.INT32, TensorProto.UINT32), 32),
    **dict.fromkeys((TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT16, TensorProto.UINT16), 16),
}
_PACKED = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}


@dataclass(frozen=True)
class Extent:
    """Where an external tensor's bytes lie."""

    path: Path
    offset: int
    length: int


def bits_per_element(data_type: int) -> int:
    """Storage of one element; raises InputError for a number that is no element type."""
    if data_type in _BITS:
        return _BITS[data_type]
    try:
        return _PACKED.get(TensorProto.DataType.Name(data_type), 8)
    except ValueError:
        raise InputError(f"a tensor has element type {data_type}, which ONNX does not know") from None


_MOST_AXES = 64  # NumPy's limit


def raw_bytes(tensor: TensorProto) -> int:
    """Bytes the tensor's elements take, from its dims and element type alone."""
    return -(-math.prod(tensor.dims) * bits_per_element(tensor.data_type) // 8)  # of integers: no float holds any claim


def is_external(tensor: TensorProto) -> bool:
    """Whether the tensor's bytes lie in another file."""
    return tensor.data_location == TensorProto.EXTERNAL


def check_tensor(tensor: TensorProto) -> None:
    """Raise InputError unless the tensor holds exactly what its dims and element type claim."""
    name = tensor.name or "(unnamed)"
    if tensor.data_type == TensorProto.UNDEFINED or tensor.HasField("segment"):
        raise InputError(f"tensor {name}: no element type, or stored in segments; the file is damaged or not ONNX")
    if len(tensor.dims) > _MOST_AXES:
        raise InputError(f"tensor {name}: has {len(tensor.dims)} axes; the file is damaged")
    if any(size < 0 for size in tensor.dims):
        raise InputError(f"tensor {name}: negative size in its shape {shape_text(tensor.dims)}")
    if tensor.data_type == TensorProto.STRING:
        _check_strings(tensor)
    if is_external(tensor):
        return
    claimed, held, unit = _claim(tensor)
    if claimed != held:
        raise InputError(
            f"tensor {name}: its shape {shape_text(tensor.dims)} claims {claimed} {unit}, the file holds {held}; "
            "the file is truncated or damaged"
        )


def _check_strings(tensor: TensorProto) -> None:
    if is_external(tensor):
        raise InputError(f"tensor {tensor.name}: strings cannot lie in external data")
    try:
        for entry in tensor.string_data:
            entry.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"tensor {tensor.name}: holds a string that is not UTF-8 text; the file is damaged") from None


def _claim(tensor: TensorProto) -> tuple[int, int, str]:
    if tensor.HasField("raw_data") and tensor.data_type != TensorProto.STRING:
        return raw_bytes(tensor), len(tensor.raw_data), "bytes"
    elements = math.prod(tensor.dims)
    bits = bits_per_element(tensor.data_type)
    if tensor.data_type in (TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        elements *= 2
    elif bits in (2, 4):  # packed also in the int32 field
        elements = -(-elements * bits // 8)
    return elements, len(getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))), "values"


def shape_text(dims: object) -> str:
    """[1, 3, 224, 224] -> "1x3x224x224"."""
    return "x".join(str(size) for size in dims) or "scalar"  # type: ignore[attr-defined]


def extent(tensor: TensorProto, folder: Path) -> Extent:
    """Where an external tensor's bytes lie, checked against the file's size.

    Raises InputError when the place is not inside `folder`, is no regular file, or is too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if any(isinstance(text, bytes) for entry in entries.items() for text in entry):  # not UTF-8: protobuf gives bytes
        raise InputError(f"tensor {tensor.name}: what it says of its external data is no text; the file is damaged")
    path = data_file(f"tensor {tensor.name}: external data", entries.get("location", ""), folder)
    size, needed = path.stat().st_size, raw_bytes(tensor)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", needed))
    except ValueError:
        raise InputError(f"tensor {tensor.name}: offset or length of its external data is no number") from None
    if offset < 0 or length != needed:
        raise InputError(
            f"tensor {tensor.name}: its shape {shape_text(tensor.dims)} claims {needed} bytes, "
            f"its external data {length} at offset {offset}"
        )
    if offset + length > size:
        raise InputError(
            f"tensor {tensor.name}: claims {length} bytes at offset {offset} of {path.name}, which has {size} bytes; "
            "the data file is truncated, or not the model's"
        )
    return Extent(path, offset, length)


def embed_external(graph: onnx.GraphProto, folder: Path) -> tuple[Path, ...]:
    """Read the external tensors of a graph into it, smallest first, up to EMBED_LIMIT bytes.

    The rest stays on disk (`read_tensor` maps it). All are checked. Returns the files they lie in.
    """
    places = [(tensor, extent(tensor, folder)) for tensor in all_tensors(graph) if is_external(tensor)]
    budget = EMBED_LIMIT
    for tensor, place in sorted(places, key=lambda pair: pair[1].length):
        budget -= place.length
        if budget < 0:
            break
        with place.path.open("rb") as file:
            file.seek(place.offset)
            tensor.raw_data = file.read(place.length)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return tuple(dict.fromkeys(place.path for _, place in places))


def read_tensor(tensor: TensorProto, folder: Path | None) -> np.ndarray:
    """The value of a stored tensor; external ones are mapped from their file in `folder`, not copied.

    Raises InputError when the external data cannot be used.
    """
    if not is_external(tensor):
        return numpy_helper.to_array(tensor)
    if folder is None:
        raise InputError(f"tensor {tensor.name} lies in another file, but the model's folder is not known")
    place = extent(tensor, folder)
    shape = tuple(tensor.dims)
    if bits_per_element(tensor.data_type) < 8 or not place.length:
        with place.path.open("rb") as file:
            file.seek(place.offset)
            stored = TensorProto(data_type=tensor.data_type, dims=shape, raw_data=file.read(place.length))
        return numpy_helper.to_array(stored)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.memmap(place.path, dtype, "r", place.offset, shape)
