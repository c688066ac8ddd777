"""The program, operator by operator, to ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .operator_writer import OperatorWriter
from .operators import operator_functions
from .reader import NUMBERS, Operator, Program, Variable

_SHOWN = 12  # operators in a message
_IMAGE_SIDES = {2: "height", 3: "width"}
_LOSSES = (ValueError, ArithmeticError, IndexError, KeyError, TypeError, MemoryError)


def translate(
    program: Program,
    weights: Mapping[str, np.ndarray],
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape, where the program leaves it open
    size: tuple[int, int] | None = None,  # height, width of images whose sides it leaves open
) -> onnx.ModelProto:
    """The network as ONNX; sizes that the program and the caller leave open stay open.

    Raises InputError naming all operators that have no function, or the first that does not fit its inputs.
    """
    operators = _live(program)
    _check_known(operators)
    translation = _Translation(program, weights, operators)
    for name in program.feeds:
        translation.feed(name, (shapes or {}).get(name, (shapes or {}).get("", ())), size)
    for operator in operators:
        translation.add(operator)
    return translation.finish()


def _live(program: Program) -> list[Operator]:
    """The operators whose results are fetched, or read by such a one."""
    needed, live = set(program.fetches), []
    for operator in reversed(program.operators):
        made = {name for names in operator.outputs.values() for name in names}
        if needed & made:
            # A variable that is written anew is not the one that was there before, unless it is read here.
            needed -= made
            needed.update(name for names in operator.inputs.values() for name in names)
            live.append(operator)
    return live[::-1]


def _check_known(operators: list[Operator]) -> None:
    unknown: dict[str, int] = {}
    for operator in operators:
        if operator.type not in operator_functions():
            unknown[operator.type] = unknown.get(operator.type, 0) + 1
    if unknown:
        kinds = [f"{kind} ({count})" for kind, count in unknown.items()]
        more = f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
        raise InputError(f"operators that are not supported: {', '.join(kinds[:_SHOWN])}{more}; nothing was written")


class _Translation:
    """One program while it is translated. The last value of a variable has its name, earlier ones NAME_before."""

    def __init__(self, program: Program, weights: Mapping[str, np.ndarray], operators: list[Operator]) -> None:
        self._program = program
        self._weights = weights
        made = [name for each in operators for names in each.outputs.values() for name in names]
        self._writes = Counter(made)  # that are still to come
        self._graph = GraphBuilder("paddle", reserved={*made, *program.feeds} - weights.keys())
        self._tensors: dict[str, str] = {}
        self._lost: dict[str, str] = {}  # variable that is not written -> what it is
        self._lists: dict[str, list[Dim]] = {}

    def feed(self, name: str, given: Sequence[int], size: tuple[int, int] | None) -> None:
        """Declare an input. `given`: its shape; what the program says goes first."""
        variable = self._program.variables.get(name)
        if variable is None or name in self._tensors:
            raise InputError(f"the program does not say what its input {name} is; the file is damaged")
        if variable.dtype not in NUMBERS:
            raise InputError(f"the input {name} is {variable.dtype}, which is not supported")
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(variable.dtype))
        self._tensors[name] = self._graph.input(name, _shape(variable, given, size), dtype)

    def add(self, operator: Operator) -> None:
        """Whatever the operator makes."""
        for name in (name for names in operator.inputs.values() for name in names if name not in self._tensors):
            if name not in self._weights:
                raise InputError(f"{operator.type} reads {name}, {self._why_not(name)}")
            self._tensors[name] = self._graph.constant(name, self._weights[name])
        outputs = {name: self._name(name) for names in operator.outputs.values() for name in names}
        writer = OperatorWriter(operator, self._graph, self._tensors, outputs, self._lists, self._program.variables)
        try:
            operator_functions()[operator.type](writer)
            written = {name: tensor for name, tensor in outputs.items() if tensor in self._graph}
            for tensor in written.values():
                self._graph.shape(tensor)  # whoever reads it relies on knowing its axes
        except _LOSSES as error:
            if isinstance(error, InputError):
                raise
            raise writer.error(f"does not fit its inputs ({error})") from error
        self._tensors.update(written)
        for side, names in operator.outputs.items():
            self._lost.update((name, f"the {side} of {operator.type}") for name in names if name not in written)

    def _why_not(self, variable: str) -> str:
        if variable in self._lost:
            return f"{self._lost[variable]}, which is not supported"
        return "which nothing makes; the file is damaged"

    def _name(self, variable: str) -> str:
        """The tensor that an operator writes a variable to: the last one gets its name."""
        self._writes[variable] -= 1
        is_last = not self._writes[variable] and variable not in self._graph
        return variable if is_last else self._graph.temporary(f"{variable}_before")

    def finish(self) -> onnx.ModelProto:
        """The graph with its outputs."""
        ends: list[str] = []
        for name in self._program.fetches:
            tensor = self._tensors.get(name)
            if tensor is None:
                raise InputError(f"it gives {name}, {self._why_not(name)}")
            if tensor in ends or tensor in self._program.feeds or self._graph.value(tensor) is not None:
                copy = name if name not in self._graph else self._graph.temporary(f"{name}/output")
                tensor = self._graph.node("Identity", [tensor], copy, name=copy)
            ends.append(tensor)
        try:
            return self._graph.finish(ends)
        except ValueError as error:
            raise InputError(f"the program does not make a consistent graph: {error}") from error


def _shape(variable: Variable, given: Sequence[int], size: tuple[int, int] | None) -> tuple[Dim, ...]:
    """As the program has it, else as the caller says; sizes that stay open are named. One image means any number."""
    rank = len(variable.shape)
    shape = list(given) if len(given) == rank else [-1] * rank
    if size is not None and rank == 4:
        shape[2:] = size
    if shape[:1] == [1]:
        shape[0] = -1
    names = {0: "batch", **(_IMAGE_SIDES if rank == 4 else {})}
    return tuple(
        stated if stated > 0 else told if told > 0 else names.get(axis, f"{variable.name}_{axis}")
        for axis, (stated, told) in enumerate(zip(variable.shape, shape, strict=True))
    )
