"""Layers that go through a sequence step by step: written out, as the cell is clipped in a way ONNX's LSTM has not.

What they keep from one run to the next starts at zero in every run here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..operator_writer import OperatorWriter

_LONGEST = 512  # steps that are written out
_TANH = 4  # of schema.ACTIVATIONS
_LSTM_INPUTS = 20  # those after it are of normalised layers
Step = Callable[[str, str, str], str]  # role, what the input adds [N, gates], state before -> state [N, units]


def lstm(op: OperatorWriter) -> None:
    """Gates input, forget, cell, output; peepholes, a projection, the input gate coupled to the forget gate."""
    _check_floats(op)
    if any(op.has(index) for index in range(_LSTM_INPUTS, len(op.inputs))) or op.option("diagonal_recurrent_tensors"):
        raise op.error("its gates are normalised, or its recurrent weights diagonal; neither is supported")
    if op.option("activation") != _TANH:
        raise op.error(f"its activation has number {op.option('activation')}, expected {_TANH} (TANH)")
    gates = range(4) if op.has(1) else range(1, 4)
    weights = np.concatenate([op.constant(1 + gate) for gate in gates])
    recurrent = np.concatenate([op.constant(5 + gate) for gate in gates])
    bias = np.concatenate([op.constant(12 + gate) for gate in gates])
    cells, units = len(weights) // len(gates), recurrent.shape[1]
    if weights.ndim != 2 or recurrent.shape[0] != len(weights) or bias.shape != (len(weights),):
        raise op.error(f"weights {weights.shape} and {recurrent.shape} do not fit each other")
    projection = _projection(op, cells, units)
    cell = op.array("cell_start", np.zeros((_images(op), cells)))
    recurrent_name = op.array("recurrent", recurrent.T)

    def step(role: str, entering: str, state: str) -> str:
        nonlocal cell
        mixed = op.add(f"{role}/sum", "Add", [entering, op.add(f"{role}/back", "MatMul", [state, recurrent_name])])
        parts = [op.graph.temporary(f"{op.name}/{role}/gate{gate}") for gate in gates]
        op.graph.node("Split", [mixed], parts, name=f"{op.name}/{role}/gates", axis=1)
        of = dict(zip(gates, parts, strict=True))
        forget = _gate(op, f"{role}/forget", of[1], 10, cell)
        if 0 in of:
            enter = _gate(op, f"{role}/input", of[0], 9, cell)
        else:
            enter = op.add(f"{role}/input", "Sub", [op.array(f"{role}/one", 1), forget])
        new = op.add(f"{role}/new", "Mul", [enter, op.add(f"{role}/tanh", "Tanh", [of[2]])])
        cell = op.add(f"{role}/cell", "Add", [op.add(f"{role}/kept", "Mul", [forget, cell]), new])
        cell = _clipped(op, f"{role}/cell_clipped", cell, op.option("cell_clip"))
        shown = _gate(op, f"{role}/output", of[3], 11, cell)
        state = op.add(f"{role}/state", "Mul", [shown, op.add(f"{role}/cell_tanh", "Tanh", [cell])])
        if projection:
            state = op.add(f"{role}/projected", "Gemm", [state, *projection], transB=1)
            state = _clipped(op, f"{role}/projected_clipped", state, op.option("proj_clip"))
        return state

    _walk(op, weights, bias, units, step)


def _gate(op: OperatorWriter, role: str, tensor: str, peephole: int, cell: str) -> str:
    if op.has(peephole):
        seen = op.add(f"{role}_peephole", "Mul", [cell, op.last(peephole)])
        tensor = op.add(f"{role}_seeing", "Add", [tensor, seen])
    return op.add(role, "Sigmoid", [tensor])


def _clipped(op: OperatorWriter, role: str, tensor: str, most: float) -> str:
    if most <= 0:
        return tensor
    return op.add(role, "Clip", [tensor, op.array(f"{role}_least", -most), op.array(f"{role}_most", most)])


def _projection(op: OperatorWriter, cells: int, units: int) -> list[str]:
    """Weights [units, cells] and bias, or nothing where a cell's output is the state itself."""
    if not op.has(16):
        if cells != units:
            raise op.error(f"{cells} cells and {units} outputs without a projection")
        return []
    return [op.last(16), *([op.last(17)] if op.has(17) else [])]


def rnn(op: OperatorWriter) -> None:
    """The activation of what enters and of the state before, each by its weights."""
    _check_floats(op)
    weights, recurrent, bias = (op.constant(index) for index in (1, 2, 3))
    back = op.array("recurrent", recurrent.T)
    if op.option("activation") != _TANH:
        raise op.error(f"its activation has number {op.option('activation')}, expected {_TANH} (TANH)")

    def step(role: str, entering: str, state: str) -> str:
        mixed = op.add(f"{role}/sum", "Add", [entering, op.add(f"{role}/back", "MatMul", [state, back])])
        return op.add(f"{role}/state", "Tanh", [mixed])

    _walk(op, weights, bias, recurrent.shape[1], step)


def _check_floats(op: OperatorWriter) -> None:
    if op.tensor(0).is_quantised or op.output().is_quantised:
        raise op.error("its steps are rounded to 8 bits inside; only float sequences are supported")
    if len(op.shape()) != 3 or not 0 < op.shape()[_time(op)] <= _LONGEST:
        raise op.error(f"expected a sequence of at most {_LONGEST} steps, found the shape {list(op.shape())}")


def _time(op: OperatorWriter) -> int:
    """The axis of the steps."""
    return 0 if op.option("time_major") else 1


def _images(op: OperatorWriter) -> int:
    return op.shape()[1 - _time(op)]


def _walk(op: OperatorWriter, weights: np.ndarray, bias: np.ndarray, units: int, step: Step) -> None:
    """The states of all steps, along the same axis as they came in."""
    entering = op.add("entering", "MatMul", [op.last(0), op.array("weights", weights.T)])
    entering = op.add("entering_biased", "Add", [entering, op.array("bias", bias)])
    state = op.array("start", np.zeros((_images(op), units)))
    states: list[str] = []
    for number in range(op.shape()[_time(op)]):
        role = f"step{number}"
        now = op.add(f"{role}/entering", "Gather", [entering, op.array(role, number, np.int64)], axis=_time(op))
        state = step(role, now, state)
        states.append(op.add(f"{role}/out", "Unsqueeze", [state, op.int_list(f"{role}/axis", [_time(op)])]))
    # Not `emit`, which would apply the activation again: here it is one of the steps.
    op.graph.node("Concat", states, op.name, name=op.name, axis=_time(op))
    op.tensors.made_last(op.name, op.name)


OPERATORS = {"UNIDIRECTIONAL_SEQUENCE_LSTM": lstm, "UNIDIRECTIONAL_SEQUENCE_RNN": rnn}
