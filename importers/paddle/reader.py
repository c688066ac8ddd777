"""A program's bytes to plain data: variables, operators in order, what is fed and what is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from ..errors import InputError
from ..message_table import check_texts
from .wire_schema import enum_name, message_class

NUMBERS = ("bool", "int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64")
_NO_TENSORS = ("FEED_MINIBATCH", "FETCH_LIST", "READER", "RAW")


@dataclass(frozen=True)
class Variable:
    """What the program says of a tensor."""

    name: str
    dtype: str  # NumPy's word, as "float32"
    shape: tuple[int, ...]  # -1: open
    persistable: bool  # a weight


@dataclass
class Operator:
    """One step. Variables are called by the operator's own names for them: {"Input": ["x"], "Filter": ["conv.w_0"]}."""

    type: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Program:
    """A network as written, its main block; `operators` without those that feed and fetch."""

    variables: dict[str, Variable]
    operators: list[Operator]
    feeds: list[str]
    fetches: list[str]

    @property
    def weights(self) -> list[Variable]:
        """In the order of a file that holds all of them."""
        return sorted((each for each in self.variables.values() if each.persistable), key=lambda each: each.name)


def read_program(data: bytes) -> Program:
    """Raises InputError when it is damaged or not meant for inference."""
    message = message_class("Program")()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise InputError(f"expected a PaddlePaddle program, found damaged content ({error})") from None
    check_texts(message)
    if not message.blocks:
        raise InputError("expected a PaddlePaddle program, found one without blocks; the file is damaged")
    variables = {each.name: _variable(each) for block in message.blocks for each in block.vars if _is_tensor(each)}
    operators = [_operator(each) for each in message.blocks[0].ops]
    feeds = [each for each in operators if each.type == "feed"]
    fetches = [each for each in operators if each.type == "fetch"]
    if not feeds or not fetches:
        raise InputError(
            "the program does not say what is fed and what is fetched; save it with paddle.jit.save or "
            "paddle.static.save_inference_model"
        )
    return Program(
        variables,
        [each for each in operators if each.type not in ("feed", "fetch")],
        [_only(each, each.outputs, "Out") for each in sorted(feeds, key=_column)],
        [_only(each, each.inputs, "X") for each in sorted(fetches, key=_column)],
    )


def _is_tensor(message: Any) -> bool:
    return enum_name("Kind", message.type.type) not in _NO_TENSORS


def _variable(message: Any) -> Variable:
    held = message.type.lod_tensor.tensor
    return Variable(message.name, enum_name("Kind", held.data_type), tuple(held.dims), message.persistable)


def _operator(message: Any) -> Operator:
    return Operator(
        message.type,
        {each.parameter: list(each.arguments) for each in message.inputs},
        {each.parameter: list(each.arguments) for each in message.outputs},
        {each.name: _value(each) for each in message.attrs},
    )


def _value(message: Any) -> Any:
    """A number, text or list; None for what refers to something else in the file."""
    kind = enum_name("AttributeKind", message.type)
    if kind == "scalar":
        return _scalar(message.scalar)
    if kind == "scalars":
        return [_scalar(each) for each in message.scalars]
    if kind not in message.DESCRIPTOR.fields_by_name:
        return None
    value = getattr(message, kind)
    return list(value) if hasattr(value, "append") else value


def _scalar(message: Any) -> Any:
    kind = enum_name("ScalarKind", message.type)
    return getattr(message, kind) if kind in message.DESCRIPTOR.fields_by_name else None


def _column(operator: Operator) -> int:
    column = operator.attributes.get("col")
    return column if isinstance(column, int) else 0


def _only(operator: Operator, sides: Mapping[str, list[str]], side: str) -> str:
    names = sides.get(side, [])
    if len(names) != 1:
        raise InputError(f"expected a {operator.type} of one variable, found {len(names)}; the file is damaged")
    return names[0]
