"""If, Loop and Scan: modules that hold the bodies and run them as the values at hand say; gradients pass through.

All are called with the node's inputs followed by the tensors that the bodies capture, which the bodies take last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from onnx import GraphProto
from torch import fx, nn

from ...importers.errors import InputError


@dataclass(frozen=True)
class Body:
    """A graph that a node runs, as it was written and as torch runs it."""

    graph: GraphProto
    module: fx.GraphModule
    dtype: Callable[[int], torch.dtype]  # of an ONNX element type

    def nothing(self, first: int) -> tuple[torch.Tensor, ...]:
        """For each output from `first` on what zero runs of it stack up to: [0, …]; sizes nobody stated are 0."""
        types = [value.type.tensor_type for value in self.graph.output[first:]]
        return tuple(
            torch.empty([0, *(dim.dim_value for dim in kind.shape.dim)], dtype=self.dtype(kind.elem_type or 1))
            for kind in types
        )


class If(nn.Module):
    """One of two branches; neither has inputs but what it captures."""

    def __init__(self, bodies: Mapping[str, Body], n_inputs: int, version: int) -> None:
        super().__init__()
        self.then_branch, self.else_branch = bodies["then_branch"].module, bodies["else_branch"].module

    def forward(self, condition: torch.Tensor, *captured: Any) -> Any:
        return (self.then_branch if bool(condition) else self.else_branch)(*captured)


class Loop(nn.Module):
    """A body run again and again: state goes round, the other outputs are stacked."""

    def __init__(self, bodies: Mapping[str, Body], n_inputs: int, version: int) -> None:
        super().__init__()
        self.n_inputs, self.n_state = n_inputs, n_inputs - 2
        self.body, self._written = bodies["body"].module, bodies["body"]
        self._counter_shape = [1] * len(self._written.graph.input[0].type.tensor_type.shape.dim)  # some write [1]

    def forward(self, trips: torch.Tensor | None, going: torch.Tensor | None, *values: Any) -> tuple[Any, ...]:
        state, captured = values[: self.n_state], values[self.n_state :]
        if trips is None and going is None:
            raise InputError("a Loop with neither a trip count nor a condition never ends")
        limit = None if trips is None else int(trips)
        condition = torch.tensor(True) if going is None else going
        rows: list[Any] = []
        while (limit is None or len(rows) < limit) and bool(condition):
            counter = torch.tensor(len(rows)).reshape(self._counter_shape)
            condition, *outputs = self.body(counter, condition, *state, *captured)
            state = outputs[: self.n_state]
            rows.append(outputs[self.n_state :])
        return (*state, *(_stacked(rows) if rows else self._written.nothing(1 + self.n_state)))


class Scan(nn.Module):
    """A body run along an axis of its last inputs: state goes round, the other outputs are stacked."""

    def __init__(
        self,
        bodies: Mapping[str, Body],
        n_inputs: int,
        version: int,
        num_scan_inputs: int,
        scan_input_axes: Sequence[int] = (),
        scan_output_axes: Sequence[int] = (),
        scan_input_directions: Sequence[int] = (),
        scan_output_directions: Sequence[int] = (),
        directions: Sequence[int] = (),  # opset 8: of the inputs
    ) -> None:
        super().__init__()
        self.n_inputs, self.batched = n_inputs, version < 9
        self.body, self._written = bodies["body"].module, bodies["body"]
        self.n_state = n_inputs - num_scan_inputs - self.batched
        n_rows = len(self._written.graph.output) - self.n_state
        self.axes, self.row_axes = scan_input_axes or [0] * num_scan_inputs, scan_output_axes or [0] * n_rows
        self.turned = scan_input_directions or directions or [0] * num_scan_inputs
        self.rows_turned = scan_output_directions or [0] * n_rows

    def forward(self, *values: Any) -> tuple[Any, ...]:
        inputs, captured = values[: self.n_inputs], values[self.n_inputs :]
        if self.batched:
            return self._each_of_batch(inputs[0], inputs[1:], captured)
        return self._scan(inputs[: self.n_state], inputs[self.n_state :], captured)

    def _scan(
        self, state: Sequence[Any], scanned: Sequence[torch.Tensor], captured: Sequence[Any], steps: int | None = None
    ) -> tuple[Any, ...]:
        columns = [value.unbind(axis)[:steps] for value, axis in zip(scanned, self.axes, strict=True)]
        columns = [column[::-1] if turned else column for column, turned in zip(columns, self.turned, strict=True)]
        rows: list[Any] = []
        for entries in zip(*columns, strict=True):
            outputs = self.body(*state, *entries, *captured)
            state = outputs[: self.n_state]
            rows.append(outputs[self.n_state :])
        if not rows:
            return (*state, *self._written.nothing(self.n_state))
        stacked = _stacked(rows, self.row_axes)
        return (
            *state,
            *(
                value.flip(axis) if turned else value
                for value, axis, turned in zip(stacked, self.row_axes, self.rows_turned, strict=True)
            ),
        )

    def _each_of_batch(
        self, lengths: torch.Tensor | None, values: Sequence[torch.Tensor], captured: Sequence[Any]
    ) -> tuple[Any, ...]:
        """Opset 8: [batch, time, …] everywhere; what lies past a sequence's length is zero."""
        state, scanned = values[: self.n_state], values[self.n_state :]
        total = scanned[0].shape[1]
        found = []
        for entry in range(len(scanned[0])):
            steps = total if lengths is None else int(lengths[entry])
            outputs = self._scan([value[entry] for value in state], [v[entry] for v in scanned], captured, steps)
            rows = (_lengthened(value, total) for value in outputs[self.n_state :])
            found.append((*outputs[: self.n_state], *rows))
        return _stacked(found)


def _stacked(rows: Sequence[Sequence[torch.Tensor]], axes: Sequence[int] | None = None) -> tuple[torch.Tensor, ...]:
    columns = list(zip(*rows, strict=True))
    return tuple(torch.stack(column, axis) for column, axis in zip(columns, axes or [0] * len(columns), strict=True))


def _lengthened(rows: torch.Tensor, length: int) -> torch.Tensor:
    return torch.cat([rows, rows.new_zeros(length - len(rows), *rows.shape[1:])])


CONTROL_FLOW: dict[str, Callable[..., nn.Module]] = {"If": If, "Loop": Loop, "Scan": Scan}
