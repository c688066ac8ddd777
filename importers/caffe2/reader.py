"""Caffe2 files to plain data: a net of operators, from the binary or the text form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from ..errors import InputError
from ..message_table import check_texts
from .kinds import is_text
from .wire_schema import message_class


@dataclass(eq=False)
class Operator:
    """One operator; blobs are named, and may be written several times."""

    type: str
    inputs: list[str]
    outputs: list[str]
    name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)  # numbers, bytes, or messages of repeated ones


@dataclass(frozen=True)
class Net:
    """A whole net, as written."""

    name: str
    operators: list[Operator]
    inputs: list[str]  # declared, with the weights among them
    outputs: list[str]


def read_net(path: Path) -> Net:
    """Read a net.

    Raises InputError when the file is damaged or has no operators.
    """
    try:
        message = _from_text(path) if is_text(path) else message_class("Net").FromString(path.read_bytes())
        check_texts(message)
    except OSError as error:
        raise InputError(f"cannot read the Caffe2 net {path}: {error.strerror}") from error
    except DecodeError as error:
        raise InputError(f"{path}: expected a Caffe2 net, but the file is truncated or damaged ({error})") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if not message.op:
        raise InputError(f"{path}: expected a Caffe2 net, found no operators in it")
    operators = [_operator(entry) for entry in message.op]
    return Net(message.name, operators, list(message.external_input), list(message.external_output))


def _from_text(path: Path) -> Any:
    message = message_class("Net")()
    try:
        text_format.Parse(path.read_text("utf-8", "replace"), message, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise InputError(f"syntax error in line {error.GetLine() or '?'}: {error}") from error
    except RecursionError as error:
        raise InputError("expected a Caffe2 net, but its brackets are nested too deep") from error
    return message


def _operator(entry: Any) -> Operator:
    arguments = {argument.name: argument for argument in entry.arg}
    return Operator(entry.type, list(entry.input), list(entry.output), entry.name, arguments)
