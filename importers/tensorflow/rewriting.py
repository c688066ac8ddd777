"""An operator as another of the same meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..tflite.operator_writer import OperatorWriter


def rewritten(
    op: OperatorWriter, *, kind: str | None = None, inputs: Sequence[str] | None = None, **options: Any
) -> OperatorWriter:
    """The same outputs, of another operator, of other inputs, or with other options."""
    operator = replace(
        op.operator,
        kind=op.operator.kind if kind is None else kind,
        inputs=op.operator.inputs if inputs is None else list(inputs),
        options={**op.operator.options, **options},
    )
    return OperatorWriter(operator, op.layout)
