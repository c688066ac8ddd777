"""Protobuf messages from a table of field numbers, made at run time.

The messages live in a descriptor pool of their own: no generated code, so neither a version check nor a clash with
another program's classes of the same format. Only what a table names is read; other fields are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from .errors import InputError

_SCALARS = ("double", "float", "int64", "int32", "uint32", "uint64", "bool", "string", "bytes")


def check_texts(message: Any) -> None:
    """Raise InputError at a text in a message, or in those it holds, that is not UTF-8: protobuf gives bytes then."""
    for field in message.DESCRIPTOR.fields:
        if field.type not in (field.TYPE_MESSAGE, field.TYPE_STRING):  # weights above all, which would be copied
            continue
        held = getattr(message, field.name)
        for value in held if hasattr(held, "append") else [held] * message.HasField(field.name):
            if field.type == field.TYPE_MESSAGE:
                check_texts(value)
            elif isinstance(value, bytes):
                raise InputError(f"the text {value[:32]!r} in it is not UTF-8; the file is damaged")


class MessageTable:
    """The messages of one file format.

    `messages`: message -> "field number type", several with commas; * repeated, =value default; a capitalised type is
    a message or an enumeration of the table. Packed numbers may be declared as bytes: the wire is the same, and NumPy
    reads it at once. `enums`: enumeration -> "WORD number", several with commas.
    """

    def __init__(self, package: str, messages: Mapping[str, str], enums: Mapping[str, str]) -> None:
        self._package = package
        self._messages = messages
        self._enums = enums
        self._classes: dict[str, Any] = {}

    def message_class(self, name: str) -> Any:
        """The protobuf class of one message of the table."""
        if name not in self._classes:
            found = self._pool.FindMessageTypeByName(f"{self._package}.{name}")
            self._classes[name] = message_factory.GetMessageClass(found)
        return self._classes[name]

    def enum_name(self, enum: str, number: int) -> str:
        """The word for a number of an enumeration, or the number."""
        words = (entry.split() for entry in self._enums[enum].split(","))
        return next((word for word, value in words if int(value) == number), str(number))

    def enum_number(self, enum: str, word: str) -> int:
        """The number for a word of an enumeration."""
        return next(int(number) for name, number in map(str.split, self._enums[enum].split(",")) if name == word)

    @cached_property
    def _pool(self) -> descriptor_pool.DescriptorPool:
        file_name = f"{self._package.replace('.', '_')}.proto"
        file = descriptor_pb2.FileDescriptorProto(name=file_name, package=self._package, syntax="proto2")
        for name, values in self._enums.items():
            # Inside a message of its own: the words of proto2 enumerations otherwise share one scope.
            enum = file.message_type.add(name=name).enum_type.add(name="Value")
            for word, number in map(str.split, values.split(",")):
                enum.value.add(name=word, number=int(number))
        for name, fields in self._messages.items():
            message = file.message_type.add(name=name)
            for line in filter(None, fields.split(",")):
                self._add_field(message, *line.split())
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        return pool

    def _add_field(self, message: descriptor_pb2.DescriptorProto, name: str, number: str, kind: str) -> None:
        kind, _, default = kind.partition("=")
        base = kind.rstrip("*")
        field = message.field.add(name=name, number=int(number))
        field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
        if default:
            field.default_value = default
        if base in _SCALARS:
            field.type = getattr(field, f"TYPE_{base.upper()}")
        elif base in self._enums:
            field.type, field.type_name = field.TYPE_ENUM, f".{self._package}.{base}.Value"
        else:
            field.type, field.type_name = field.TYPE_MESSAGE, f".{self._package}.{base}"
