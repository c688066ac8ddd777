"""Writer: collects the nodes that continue a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Writer:
    """Nodes and constants under names that the graph does not have."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.switches: dict[int, str] = {}  # number of a MaxPool -> the name that its second output must have
        self._taken = set(taken)
        self._known: dict[Any, str] = {}  # what a small constant holds -> its name

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node of ONNX's own operators; returns its output."""
        return self.several(op, 1, *inputs, **attributes)[0]

    def several(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """The same with so many outputs."""
        names = [self.free(f"backward/{op}") for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names

    def constant(self, values: np.ndarray) -> str:
        """Store an array; equal ones once."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = self.free("backward/constant")
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), self._known[key]))
        return self._known[key]

    def ints(self, values: Sequence[int]) -> str:  # int64 [n]
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:  # float32 []
        return self.constant(np.array(value, np.float32))

    def free(self, name: str) -> str:
        """A name like this that nothing has."""
        candidate, number = name, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate
