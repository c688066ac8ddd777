"""What an import starts from: the network in a graph file, binary or text, in a SavedModel or beside a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from ..errors import InputError
from .kinds import GRAPH, META_GRAPH, SAVED_MODEL, graph_file, kind_of
from .network import Network, frozen_network
from .reader import read_graph
from .saved_model import checkpoint_network, saved_network
from .wire_schema import message_class

_OF_BROWSERS = "tensorflowjs_model.pb"
_ADVICE = "which is not read; convert the model it was made from"


def open_network(path: Path, output_names: str | None, signature: str | None) -> Network:
    """Raises InputError when the file is damaged, or does not say which network is meant."""
    file = graph_file(path)
    if file.name == _OF_BROWSERS and file.with_name("weights_manifest.json").is_file():
        raise InputError(f"{path}: its weights are beside it, in the form of TensorFlow.js before version 1, {_ADVICE}")
    try:
        kind = kind_of(file) or (SAVED_MODEL if file.stem == "saved_model" else GRAPH)
        message = parsed(file, kind)
        if kind == SAVED_MODEL:
            if output_names:
                raise InputError("output_names is for graph files; a SavedModel's signature says its outputs")
            return saved_network(message, signature, file.parent / "variables" / "variables")
        if kind == META_GRAPH:
            return checkpoint_network(message, output_names, signature, file.with_suffix(""))
        if signature:
            raise InputError("signature is for SavedModels; this is a graph, say its outputs with --output-names")
        return frozen_network(read_graph(message), output_names)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parsed(file: Path, kind: str) -> Any:
    """Its message, binary or text. Raises InputError when it is damaged."""
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
