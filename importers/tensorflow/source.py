"""What an import starts from: the network in a graph file, binary or text, or in a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from ..errors import InputError
from ..sniff import saved_model_file
from .network import Network, frozen_network
from .reader import read_graph
from .saved_model import saved_network
from .wire_schema import message_class


def open_network(path: Path, output_names: str | None, signature: str | None) -> Network:
    """Raises InputError when the file is damaged, or does not say which network is meant."""
    file = graph_file(path)
    try:
        if is_saved_model(file):
            if output_names:
                raise InputError("output_names is for graph files; a SavedModel's signature says its outputs")
            return saved_network(_parsed(file, "SavedModel"), signature, file.parent / "variables" / "variables")
        if signature:
            raise InputError("signature is for SavedModels; this is a graph, say its outputs with --output-names")
        return frozen_network(read_graph(_parsed(file, "Graph")), output_names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def graph_file(path: Path) -> Path:
    """The file itself, or that in a SavedModel's folder."""
    return saved_model_file(path) or path


def is_saved_model(file: Path) -> bool:
    """Whether it is that of a SavedModel: it starts with the number of its schema, a graph does with a node."""
    with file.open("rb") as opened:
        start = opened.read(1 << 16)
    return start.startswith(b"\x08") or b"saved_model_schema_version" in start


def _parsed(file: Path, kind: str) -> Any:
    data = file.read_bytes()
    message = message_class(kind)()
    try:
        if is_text(data):
            return text_format.Parse(data.decode("utf-8"), message, allow_unknown_field=True)
        message.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"expected a TensorFlow graph, found damaged content ({error})") from None
    return message


def is_text(data: bytes) -> bool:
    """Whether it is the text form: no control characters at the start."""
    head = data[: 1 << 12]
    return not any(byte < 9 for byte in head) and b"{" in head
