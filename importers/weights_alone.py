"""Weights that nobody named a network for, as an ONNX graph: initializers, and no node that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from .errors import InputError
from .input_spec import get_metadata, set_metadata
from .names import make_printable

METADATA_KEY = "onnxray.family"


def write_family(proto: onnx.ModelProto, family: str) -> None:
    """Store which family of networks they look like."""
    set_metadata(proto, METADATA_KEY, family)


def read_family(proto: onnx.ModelProto) -> str:
    """What `write_family` stored, or nothing."""
    return get_metadata(proto, METADATA_KEY) or ""


def prepare(proto: onnx.ModelProto, given: Mapping[str, Any]) -> None:
    """What `normalise` and the InputSpec are to a network: names that can be printed, and nothing said of an input.

    Raises InputError when `given` (shapes, fields of InputSpec) says something of one.
    """
    said = [name for name, value in given.items() if value]
    if said:
        raise InputError(f"weights without a network have no input; drop {', '.join(said)}, or name the network")
    make_printable(proto.graph)
