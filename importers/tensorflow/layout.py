"""What all nodes of one network share while it is translated."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..tflite.operator_writer import Layout
from ..tflite.reader import Operator


@dataclass
class NodeLayout(Layout):
    """Beside the tensors, which operator made which."""

    makers: dict[str, Operator] = field(default_factory=dict)
