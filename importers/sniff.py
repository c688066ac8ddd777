"""Which format a file is, from its content: the suffix is never trusted alone.

ONNX and Caffe files are both bare protobuf, without a magic number, so the top-level field numbers are read: an ONNX
ModelProto has a `graph` (7) and an `opset_import` (8); a Caffe NetParameter has `layer` (100) or `layers` (2).
"""

from __future__ import annotations

from pathlib import Path

from . import IMPORTERS
from .errors import InputError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_HEAD_FIELDS = 4096  # top-level fields looked at: a net of more layers than this has long shown what it is


def recognise(path: Path) -> str:
    """The name of the format in IMPORTERS.

    Raises InputError when the file is missing, empty, a folder or of no known format.
    """
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if not path.is_file():
        raise InputError(f"expected a model file, found a folder or device: {path}")
    if path.stat().st_size == 0:
        raise InputError(f"expected a model file, found an empty file: {path}")
    for name, importer in IMPORTERS.items():
        if globals()[importer.sniffer](path):
            return name
    raise InputError(
        f"{path}: not a model file onnxray can import ({_looks_like(path)}); known formats: {', '.join(IMPORTERS)}"
    )


def is_onnx(path: Path) -> bool:
    """Binary ModelProto: a graph, and nothing that only a Caffe net has."""
    wires = _top_level_wires(path)
    return (7, _BYTES) in wires and ((1, _VARINT) in wires or (8, _BYTES) in wires)


def is_caffe(path: Path) -> bool:
    """Binary NetParameter, or a prototxt."""
    wires = _top_level_wires(path)
    if wires & {(100, _BYTES), (2, _BYTES)} and (1, _VARINT) not in wires and (7, _BYTES) not in wires:
        return True
    return _is_prototxt(path)


def _is_prototxt(path: Path) -> bool:
    head = path.open("rb").read(1 << 16)
    if b"\0" in head:
        return False
    text = head.decode("utf-8", "ignore")
    return ("layer" in text and "{" in text) or path.suffix == ".prototxt"


def _top_level_wires(path: Path) -> set[tuple[int, int]]:
    """(field number, wire type) of the first top-level fields; what was read until the bytes stopped making sense."""
    wires: set[tuple[int, int]] = set()
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_HEAD_FIELDS):
            tag = _varint(file)
            if tag is None or tag >> 3 == 0:
                break
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT:
                skip = 0 if _varint(file) is not None else None
            elif wire == _BYTES:
                skip = _varint(file)
            else:
                skip = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if skip is None:
                break
            wires.add((number, wire))
            if file.tell() + skip >= size:
                break
            file.seek(skip, 1)
    return wires


def _varint(file) -> int | None:  # type: ignore[no-untyped-def]
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


_MAGIC = {
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89PNG": "a PNG image",
    b"PK\x03\x04": "a zip archive, perhaps a PyTorch or Keras file",
    b"\x89HDF": "an HDF5 file, perhaps Keras",
    b"\x80\x02": "a pickle, perhaps an old PyTorch file",
    b"%PDF": "a PDF document",
    b"{": "JSON",
}


def _looks_like(path: Path) -> str:
    head = path.open("rb").read(8)
    if head[4:8] == b"TFL3":
        return "it looks like a TFLite file"
    return next(
        (f"it looks like {what}" for magic, what in _MAGIC.items() if head.startswith(magic)),
        "unknown content",
    )
