"""TensorFlow's messages as plain data: nodes with their inputs and attributes, functions, constants as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..errors import InputError
from .wire_schema import enum_name, enum_number

_LARGEST = 1 << 26  # numbers of a constant that the file does not store one by one
_MOST_AXES = 8

# TensorFlow's type -> how this package calls it, NumPy's type, and the field of the values stored one by one.
_TYPES: Mapping[str, tuple[str, str, str]] = {
    "DT_FLOAT": ("FLOAT32", "<f4", "float_val"),
    "DT_DOUBLE": ("FLOAT64", "<f8", "double_val"),
    "DT_HALF": ("FLOAT16", "<f2", "half_val"),
    "DT_INT8": ("INT8", "i1", "int_val"),
    "DT_INT16": ("INT16", "<i2", "int_val"),
    "DT_INT32": ("INT32", "<i4", "int_val"),
    "DT_INT64": ("INT64", "<i8", "int64_val"),
    "DT_UINT8": ("UINT8", "u1", "int_val"),
    "DT_UINT16": ("UINT16", "<u2", "int_val"),
    "DT_UINT32": ("UINT32", "<u4", "uint32_val"),
    "DT_UINT64": ("UINT64", "<u8", "uint64_val"),
    "DT_BOOL": ("BOOL", "?", "bool_val"),
}
# Functions refer to outputs by name; operators with several named ones. All others have one, or one list.
_OUTPUTS: Mapping[str, Sequence[str]] = {
    "FusedBatchNorm": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV2": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV3": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"),
    "TopK": ("values", "indices"),
    "TopKV2": ("values", "indices"),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
    "RefSwitch": ("output_false", "output_true"),
    "RefMerge": ("output", "value_index"),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "Unique": ("y", "idx"),
}


@dataclass
class Node:
    """One node; its inputs are tensors, called like their node or, if not its first output, "node:1"."""

    name: str
    op: str
    inputs: list[str]
    attributes: Mapping[str, Any]  # numbers, text, tuples (shapes; None: unknown rank), arrays, lists of those


@dataclass
class Function:
    """A graph that a node can call."""

    name: str
    inputs: list[str]
    outputs: list[tuple[str, str]]  # name -> tensor of its nodes, or one of its inputs
    nodes: list[Node]
    types: list[str] = field(default_factory=list)  # of its inputs
    shapes: Mapping[int, tuple[int, ...] | None] = field(default_factory=dict)  # input -> what the file says of it


@dataclass
class Graph:
    """Nodes in the file's order, and the functions they call."""

    nodes: list[Node]
    functions: dict[str, Function]


def read_graph(message: Any) -> Graph:
    """Raises InputError when a constant does not hold what it claims."""
    functions = [_function(entry) for entry in message.library.function]
    return Graph([_node(entry) for entry in message.node], {entry.name: entry for entry in functions})


def text_of(value: str | bytes) -> str:
    """A name. Raises InputError when it is no text: protobuf gives bytes then."""
    if isinstance(value, bytes):
        raise InputError(f"a name in it, {value[:32]!r}, is not UTF-8 text; the file is damaged")
    return value


def tensor_name(reference: str) -> str:
    """Of "node", "node:0" or "node:1"."""
    return reference.removesuffix(":0")


def type_name(number: int) -> str:
    """FLOAT32, UINT8 …; of a type without numbers TensorFlow's own word."""
    word = enum_name("Type", number)
    return _TYPES[word][0] if word in _TYPES else word.removeprefix("DT_")


def numpy_type(number: int) -> np.dtype | None:
    """As the file stores it; None for a type without numbers."""
    word = enum_name("Type", number)
    return np.dtype(_TYPES[word][1]) if word in _TYPES else None


def type_number(name: str) -> int | None:
    """TensorFlow's number of a type; None where that is the name of none."""
    words = {ours: word for word, (ours, _, _) in _TYPES.items()}
    return enum_number("Type", words[name]) if name in words else None


def _node(message: Any, called: Callable[[str], str] = tensor_name) -> Node:
    inputs = [called(reference) for reference in map(text_of, message.input) if not reference.startswith("^")]
    name = text_of(message.name)
    return Node(name, text_of(message.op), inputs, _attributes(message, name))


def _attributes(message: Any, owner: str) -> dict[str, Any]:
    return {text_of(entry.key): _attribute(entry.value, owner) for entry in message.attr}


def _attribute(message: Any, owner: str) -> Any:
    for description, value in message.ListFields():
        if description.name == "list":
            return [_plain(of.name, entry, owner) for of, entries in value.ListFields() for entry in entries]
        return _plain(description.name, value, owner)
    return [] if message.HasField("list") else None


def _plain(kind: str, value: Any, owner: str) -> Any:
    if kind == "s":
        return value.decode("utf-8", "replace")
    if kind == "type":
        return type_name(value)
    if kind == "shape":
        return shape_of(value)
    if kind == "tensor":
        return read_tensor(value, owner)
    return text_of(value.name) if kind == "func" else value


def shape_of(message: Any) -> tuple[int, ...] | None:
    """Sizes, -1 where unknown; None where not even their number is known."""
    return None if message.unknown_rank else tuple(dim.size for dim in message.dim)


def read_tensor(message: Any, owner: str) -> np.ndarray | list[str]:
    """The value of a constant; a list where it holds text, an empty one where it holds something else.

    Raises InputError when it claims more or less than the file holds.
    """
    word = enum_name("Type", message.dtype)
    if word not in _TYPES:
        return [text.decode("utf-8", "replace") for text in message.string_val]
    _, kind, values = _TYPES[word]
    shape = shape_of(message.tensor_shape) or ()
    if len(shape) > _MOST_AXES or min(shape, default=0) < 0:
        raise InputError(f"the constant {owner} has the shape {list(shape)}; the file is damaged")
    dtype, count, content = np.dtype(kind), math.prod(shape), message.tensor_content
    if content:
        if len(content) != count * dtype.itemsize:
            claimed = count * dtype.itemsize
            raise InputError(f"the constant {owner} claims {claimed} bytes, the file holds {len(content)}; damaged")
        return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    return _listed(getattr(message, values), dtype, shape, owner)


def _listed(entries: Sequence[Any], dtype: np.dtype, shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Values one by one; where there are fewer than the shape says, the last one stands for the rest."""
    count, wide = math.prod(shape), np.dtype("u2") if dtype == np.float16 else dtype
    if max(shape, default=0) > _LARGEST or count > _LARGEST or len(entries) > max(count, 1):
        raise InputError(f"the constant {owner} has {len(entries)} values for the shape {list(shape)}; damaged")
    try:
        listed = np.array(entries, np.int64 if wide.kind in "iu" and wide.itemsize < 8 else wide).astype(wide)
    except OverflowError:
        raise InputError(f"the constant {owner} has values outside its type; the file is damaged") from None
    result = np.zeros(count, wide)
    result[: len(listed)] = listed[:count]
    if len(listed):
        result[len(listed) :] = listed[-1]
    return result.view(dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


def _function(message: Any) -> Function:
    signature = message.signature
    name = text_of(signature.name)
    kinds = {text_of(entry.name): text_of(entry.op) for entry in message.node_def}
    nodes = [_node(entry, partial(_inner, kinds=kinds)) for entry in message.node_def]
    returned = {text_of(entry.key): text_of(entry.value) for entry in message.ret}
    wanted = [text_of(output.name) for output in signature.output_arg]
    missing = [output for output in wanted if output not in returned]
    if missing:
        raise InputError(f"the function {name} does not say what its output {missing[0]} is; damaged")
    outputs = [(output, _inner(returned[output], kinds)) for output in wanted]
    return Function(
        name,
        [text_of(argument.name) for argument in signature.input_arg],
        outputs,
        nodes,
        [type_name(argument.type) for argument in signature.input_arg],
        _argument_shapes(message),
    )


def _argument_shapes(message: Any) -> dict[int, tuple[int, ...] | None]:
    attributes = {entry.key: _attributes(entry.value, "") for entry in message.arg_attr}
    return {number: shapes[0] for number, found in attributes.items() if (shapes := found.get("_output_shapes"))}


def _inner(reference: str, kinds: Mapping[str, str]) -> str:
    """ "node:output:1" as "node:1"; an input of the function is called by its bare name."""
    parts = reference.split(":")
    if len(parts) < 3:
        return tensor_name(reference)
    node, output, number = parts[0], parts[1], parts[2]
    if not number.isdigit():
        raise InputError(f"the reference {reference} is no output of a node; the file is damaged")
    named = _OUTPUTS.get(kinds.get(node, ""), ())
    index = named.index(output) if output in named else int(number)
    return node if index == 0 else f"{node}:{index}"
