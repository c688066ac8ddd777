"""Which kind of Core ML model a file is, from the top-level fields of its protobuf."""

from __future__ import annotations

from collections.abc import Collection

from ..wire import BYTES, VARINT

NEURAL_NETWORKS = frozenset({(303, BYTES), (403, BYTES), (500, BYTES)})  # a regressor's, a classifier's, any other
PROGRAM = (502, BYTES)
PACKAGE = "Data/com.apple.CoreML/model.mlmodel"  # where an .mlpackage, a folder, has its model
_KINDS = range(200, 4000)


def is_core_ml(fields: Collection[tuple[int, int]]) -> bool:
    """A version, a description, then one field whose number says what the model is."""
    known = {(1, VARINT), (2, BYTES)} <= set(fields)
    return known and any(number in _KINDS for number, _ in fields)
