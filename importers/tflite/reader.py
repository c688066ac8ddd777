"""A .tflite file as plain data: tensors by name, operators in order, every reference checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..names import printable
from .flatbuffer import FlatBuffer
from .schema import OPERATORS, SCHEMA, TYPES, UNIONS

NUMPY_TYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT32": "<i4",
    "UINT8": "u1",
    "INT64": "<i8",
    "BOOL": "?",
    "INT16": "<i2",
    "INT8": "i1",
    "FLOAT64": "<f8",
    "UINT64": "<u8",
    "UINT32": "<u4",
    "UINT16": "<u2",
}
_NARROW = ("INT8", "UINT8", "INT16")
_MOST_AXES = 8
_VARIABLE = "keeps its value from one run to the next"
_STATES = {"UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19), "UNIDIRECTIONAL_SEQUENCE_RNN": (4,)}  # inputs
_SHARED = 8  # times the file's size that constants may have together: a buffer may serve several tensors


@dataclass(frozen=True)
class Quantisation:
    """value = scale * (stored - zero_point); one of each, or one for every index along `axis`."""

    scale: np.ndarray  # [1] or [n] float32
    zero_point: np.ndarray  # the same, int64
    axis: int

    def same_as(self, other: Quantisation | None) -> bool:
        """Whether both map every stored number to the same value."""
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def real(self, stored: np.ndarray) -> np.ndarray:
        """The values [any shape] float32 that the stored numbers stand for."""
        across = [1] * stored.ndim
        if self.scale.size > 1:
            across[self.axis] = -1
        distance = stored.astype(np.int64) - self.zero_point.reshape(across)
        return distance.astype(np.float32) * self.scale.reshape(across)


@dataclass(frozen=True)
class Tensor:
    """One tensor of the network."""

    name: str  # unique
    shape: tuple[int, ...]  # as the file declares it; -1 and stale sizes occur
    type: str  # of TYPES
    quantisation: Quantisation | None = None
    stored: np.ndarray | None = field(default=None, compare=False)  # of a constant: what the file holds

    @cached_property
    def real(self) -> np.ndarray | None:
        """Of a constant: its values, dequantised where that is its type's way."""
        if self.stored is None or self.quantisation is None or not self.is_quantised:
            return self.stored
        return self.quantisation.real(self.stored)

    @property
    def is_quantised(self) -> bool:
        """Whether its numbers stand for others, so that it is float as ONNX. Wider integers only do so as a bias."""
        return self.quantisation is not None and self.type in _NARROW


@dataclass
class Operator:
    """One operator: its inputs and outputs are names, "" for an input left out."""

    kind: str  # of OPERATORS, or "CUSTOM name"
    inputs: list[str]
    outputs: list[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: bytes | np.ndarray = b""  # what only a custom operator itself can read


@dataclass
class Network:
    """The main subgraph of a file."""

    name: str
    tensors: dict[str, Tensor]
    operators: list[Operator]
    inputs: list[str]
    outputs: list[str]
    metadata: memoryview | None = None  # of TensorFlow Lite Support
    refused: dict[str, str] = field(default_factory=dict)  # tensors that are not supported -> why


def read_network(path: Path) -> Network:
    """Raises InputError when the file is damaged; what is not supported is in the network's `refused`."""
    data = path.read_bytes()
    try:
        return _Reader(data).network()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class _Reader:
    """One file while it is read."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._model = FlatBuffer(data, SCHEMA, UNIONS).root("Model")
        self._left = _SHARED * len(data) + (1 << 20)

    def network(self) -> Network:
        if self._model["version"] != 3:
            raise InputError(f"expected version 3 of TensorFlow Lite's format, found {self._model['version']}")
        if not self._model["subgraphs"]:
            raise InputError("the file holds no network")
        graph = self._model["subgraphs"][0]
        made = {int(index) for operator in graph["operators"] for index in operator["outputs"]} | {
            int(index) for index in graph["inputs"]
        }
        names = _unique_names([tensor["name"] for tensor in graph["tensors"]])
        refused: dict[str, str] = {}
        tensors = {}
        for index, (name, fields) in enumerate(zip(names, graph["tensors"], strict=True)):
            try:
                tensors[name] = self._tensor(name, fields, index in made)
            except _Unsupported as reason:
                refused[name] = str(reason)
                tensors[name] = Tensor(name, (), "FLOAT32")  # keeps its number
        operators = [self._operator(fields, names) for fields in graph["operators"]]
        for name in _states(operators):
            if refused.get(name) == _VARIABLE:
                del refused[name]
        return Network(
            graph["name"] or self._model["description"],
            tensors,
            operators,
            [_entry(names, int(index), "tensor") for index in graph["inputs"]],
            [_entry(names, int(index), "tensor") for index in graph["outputs"]],
            self._metadata(),
            refused,
        )

    def _tensor(self, name: str, fields: Mapping[str, Any], made: bool) -> Tensor:
        kind = _entry(TYPES, fields["type"], "tensor type")
        shape = tuple(int(side) for side in fields["shape"])
        if len(shape) > _MOST_AXES:
            raise InputError(f"tensor {name} has {len(shape)} axes; the file is damaged")
        if fields["is_variable"]:
            raise _Unsupported(_VARIABLE)
        if fields["sparsity"]:
            raise _Unsupported("stored sparse")
        quantisation = self._quantisation(name, fields["quantization"], shape) if kind != "FLOAT32" else None
        stored = None if made else self._stored(name, kind, shape, fields["buffer"])
        if stored is not None and quantisation is not None and quantisation.scale.size > 1:
            _check_axis(name, quantisation, shape)
        return Tensor(name, shape, kind, quantisation, stored)

    @staticmethod
    def _quantisation(name: str, fields: Mapping[str, Any], shape: Sequence[int]) -> Quantisation | None:
        if not fields:
            return None
        if fields["details_type"]:
            raise _Unsupported("quantised in blocks or in a custom way")
        scale, zero_point = fields["scale"], fields["zero_point"].astype(np.int64)
        if not scale.size:
            return None
        if zero_point.size == 1 or not zero_point.size:
            zero_point = np.full(scale.size, zero_point[0] if zero_point.size else 0, np.int64)
        if zero_point.size != scale.size or not np.all(np.isfinite(scale) & (scale >= 0)):
            raise InputError(
                f"tensor {name} has {scale.size} scales and {zero_point.size} zero points, or scales that "
                "are no positive numbers; the file is damaged"
            )
        if not scale.any():
            return None  # written so by some converters where nothing is quantised
        axis = 0 if len(shape) == 1 else int(fields["axis"])  # a bias may say that of its convolution's weights
        return Quantisation(scale, zero_point, axis)

    def _stored(self, name: str, kind: str, shape: tuple[int, ...], index: int) -> np.ndarray | None:
        content = self._buffer(index)
        if not len(content):
            empty = 0 in shape and kind in NUMPY_TYPES
            return np.empty(shape, NUMPY_TYPES[kind]) if empty and min(shape) >= 0 else None
        if kind not in NUMPY_TYPES:
            raise _Unsupported(f"constants of type {kind}")
        dtype = np.dtype(NUMPY_TYPES[kind])
        size = math.prod(shape) * dtype.itemsize
        if size != len(content) or min(shape, default=0) < 0:
            raise InputError(
                f"tensor {name} of shape {list(shape)} ({kind}) should fill {size} bytes, its buffer has "
                f"{len(content)}; the file is damaged"
            )
        self._left -= size
        if self._left < 0:
            raise InputError("the file is damaged: the same buffers are used again and again")
        return np.frombuffer(content, dtype).reshape(shape)

    def _buffer(self, index: int) -> memoryview:
        buffers = self._model["buffers"]
        if not 0 <= index < len(buffers):
            raise InputError(f"the file is damaged: it refers to buffer {index} and has {len(buffers)}")
        fields = buffers[index]
        start, size = fields["offset"], fields["size"]
        if start > 1:  # files beyond 2 GB keep their weights behind the tables
            if start + size > len(self._data):
                raise InputError(
                    f"the file is damaged or cut off: buffer {index} has {size} bytes at byte {start} "
                    f"of {len(self._data)}"
                )
            return self._data[start : start + size]
        return memoryview(fields["data"])

    def _operator(self, fields: Mapping[str, Any], names: Sequence[str]) -> Operator:
        code = _entry(self._model["operator_codes"], fields["opcode_index"], "operator code")
        number = max(code["old_code"], code["code"])
        kind = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"operator number {number}"
        if kind == "CUSTOM":
            kind = f"CUSTOM {printable(code['custom_code'])}"
        inputs, outputs = (_named(fields[side], names) for side in ("inputs", "outputs"))
        return Operator(kind, inputs, outputs, fields["options"], fields["custom_options"])

    def _metadata(self) -> memoryview | None:
        found = (entry for entry in self._model["metadata"] if entry["name"] == "TFLITE_METADATA")
        entry = next(found, None)
        return None if entry is None else self._buffer(entry["buffer"])


class _Unsupported(Exception):
    """Why a tensor cannot be read; reported with all others."""


def _check_axis(name: str, quantisation: Quantisation, shape: Sequence[int]) -> None:
    axis, count = quantisation.axis, quantisation.scale.size
    if not 0 <= axis < len(shape) or shape[axis] != count:
        raise InputError(
            f"tensor {name} of shape {list(shape)} has {count} scales along its axis {axis}; the file is damaged"
        )


def _states(operators: Sequence[Operator]) -> list[str]:
    """What recurrent layers keep: they start from nothing at every run."""
    kept = [(operator, index) for operator in operators for index in _STATES.get(operator.kind, ())]
    return [operator.inputs[index] for operator, index in kept if index < len(operator.inputs)]


def _entry(table: Sequence[Any], index: int, what: str) -> Any:
    if not 0 <= index < len(table):
        raise InputError(f"the file is damaged: it refers to {what} {index} and has {len(table)}")
    return table[index]


def _named(indices: np.ndarray, names: Sequence[str]) -> list[str]:
    """Tensor indices as names; -1 is an input left out."""
    return ["" if index == -1 else _entry(names, int(index), "tensor") for index in indices]


def _unique_names(names: Sequence[str]) -> list[str]:
    """What each tensor is called: its own name, numbered where several have the same or none."""
    numbers: dict[str, int] = {}
    unique: dict[str, None] = {}
    for index, name in enumerate(names):
        base = printable(name) or f"tensor_{index}"
        candidate = base
        while candidate in unique:
            numbers[base] = numbers.get(base, 1) + 1
            candidate = f"{base}_{numbers[base]}"
        unique[candidate] = None
    return list(unique)
