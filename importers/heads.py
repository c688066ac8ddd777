"""Heads: how a detector's raw outputs become boxes. Kept in the ONNX file's `metadata_props`.

A detector's graph ends in numbers that only make boxes with anchors and a rule that no ONNX operator has. Importers
write what the source file says of it; the engine reads it back and decodes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from .errors import InputError
from .input_spec import get_metadata, set_metadata

METADATA_KEY = "onnxray.heads"


@dataclass(frozen=True)
class Head:
    """Graph outputs that one rule makes boxes of."""

    kind: str  # the rule: one of the engine's decoders
    tensors: tuple[str, ...]  # the outputs it reads, in the rule's order
    classes: int
    options: Mapping[str, Any] = field(default_factory=dict)  # numbers, texts and lists that the rule asks for


def write_heads(proto: onnx.ModelProto, heads: Sequence[Head]) -> None:
    """Store the heads in the model's metadata, replacing earlier ones; none: nothing is stored."""
    if heads:
        set_metadata(proto, METADATA_KEY, json.dumps([dataclasses.asdict(head) for head in heads]))


def read_heads(proto: onnx.ModelProto) -> tuple[Head, ...]:
    """What `write_heads` stored. Raises InputError when it is something else, or names no outputs of the graph."""
    text = get_metadata(proto, METADATA_KEY)
    if text is None:
        return ()
    try:
        heads = tuple(_head(stored) for stored in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"the model's metadata {METADATA_KEY} is damaged ({error}); remove it") from None
    outputs = {value.name for value in proto.graph.output}
    lacking = next((name for head in heads for name in head.tensors if name not in outputs), None)
    if lacking is not None:
        raise InputError(f"the model's metadata {METADATA_KEY} names {lacking}, which is no output of its graph")
    return heads


def _head(stored: Mapping[str, Any]) -> Head:
    head = Head(stored["kind"], tuple(map(str, stored["tensors"])), int(stored["classes"]), dict(stored["options"]))
    if not isinstance(head.kind, str) or not head.tensors or head.classes < 1:
        raise ValueError(f"{head.kind} of {head.classes} classes")
    return head
