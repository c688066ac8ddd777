"""Whether a file is a net of Caffe2. Its fields at the top level are much like Caffe's, ONNX's and TensorFlow's."""

from __future__ import annotations

import re
from pathlib import Path

from ..wire import BYTES, VARINT, fields_of, top_level_fields

_HEAD = 1 << 16  # bytes: an operator's type stands before its weights
_FIELDS = {(1, BYTES), (2, BYTES), (3, BYTES), (4, VARINT), (5, BYTES), (6, BYTES), (7, BYTES), (8, BYTES)}
_OPERATOR_FIELDS = {(number, BYTES) for number in range(1, 9)} | {(9, VARINT)}
_TYPE = re.compile(rb"[A-Z][A-Za-z0-9_]*")
_TEXT = re.compile(r"^\s*op\s*:?\s*\{", re.MULTILINE)


def is_net(path: Path) -> bool:
    """A NetDef, binary or text: what its first operator calls itself decides."""
    if is_text(path):
        with path.open("rb") as file:
            text = file.read(_HEAD).decode("utf-8", "ignore")
        return _TEXT.search(text) is not None and re.search(r'\btype\s*:\s*"[A-Z]', text) is not None
    fields = top_level_fields(path)
    if not ((2, BYTES) in fields and fields.keys() <= _FIELDS and fields[1, BYTES] <= 1):
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    first = next((value for number, _, value in fields_of(head) if number == 2), b"")
    operator = {(number, wire): value for number, wire, value in fields_of(first)}
    return operator.keys() <= _OPERATOR_FIELDS and _TYPE.fullmatch(operator.get((4, BYTES), b"")) is not None


def is_text(path: Path) -> bool:
    """Without the control characters that a binary net soon has: lengths, and the tags of its fields."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return not any(byte < 32 and byte not in b"\t\n\r\f\v" for byte in head)
