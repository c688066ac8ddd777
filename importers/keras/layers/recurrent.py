"""Recurrent layers: LSTM, GRU, SimpleRNN, and a pair of one of them in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import TensorProto

from ..layer_writer import LayerWriter
from ..network import Layer
from .masked import Masked, spread, to_front
from .recurrent_weights import functions, initializers, read_weights

_OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
_MERGES = {"sum": "Add", "mul": "Mul", "ave": "Mean"}


@dataclass(frozen=True)
class _Sequence:
    """What a layer runs over."""

    steps: str  # [T, N, F]
    masked: Masked | None  # of a sequence with a mask; then the steps that count come first


@dataclass(frozen=True)
class _Run:
    """What one direction gives."""

    steps: str  # [T, N, U], in the order of time
    last: str  # [1, N, U]
    states: tuple[str, ...]  # the last ones, [1, N, U]: hidden and, of an LSTM, cell


def recurrent(layer: LayerWriter) -> None:
    """One direction; results: all steps or the last, then the states where they are asked for."""
    mask = _mask(layer)
    run = _direction(layer, layer.layer, "", _sequence(layer, mask), _initial(layer), bool(_zeros(layer.layer)))
    if layer.flag("return_sequences"):
        steps = _backward(layer, run.steps) if layer.flag("go_backwards") else run.steps
        layer.emit("Transpose", [steps], perm=[1, 0, 2])
    elif mask is not None and _zeros(layer.layer):
        raise layer.error("zero_output_for_mask without return_sequences is not supported")
    else:
        layer.emit("Squeeze", [run.last, layer.ints("direction", [0])])
    if layer.flag("return_state"):
        _emit_states(layer, run.states)


def bidirectional(layer: LayerWriter) -> None:
    """Both directions, joined or, without a merge_mode, one after the other; then the states."""
    forward, backward = layer.layer.wrapped
    if any(part.type not in _OPERATORS for part in (forward, backward)) or forward.config.get("go_backwards"):
        raise layer.error(f"expected recurrent layers forward and backward, found {forward.type} and {backward.type}")
    sequence, initial = _sequence(layer, _mask(layer)), _initial(layer)
    whole = bool(forward.config.get("return_sequences"))
    half = len(initial) // 2
    runs = [
        _direction(layer, part, f"{number}/", sequence, start, whole)
        for number, (part, start) in enumerate(((forward, initial[:half]), (backward, initial[half:])))
    ]
    found = []
    for number, run in enumerate(runs):
        if whole:
            found.append(layer.add(f"{number}/steps", "Transpose", [run.steps], perm=[1, 0, 2]))
        else:
            found.append(layer.add(f"{number}/last", "Squeeze", [run.last, layer.ints("direction", [0])]))
    _join(layer, found)
    if forward.config.get("return_state"):
        _emit_states(layer, [state for run in runs for state in run.states])


def _join(layer: LayerWriter, found: list[str]) -> None:
    mode = layer.layer.config.get("merge_mode", "concat")
    if mode is None:
        for result in found:
            layer.emit("Identity", [result])
    elif mode == "concat":
        layer.emit("Concat", found, axis=-1)
    elif mode in _MERGES:
        layer.emit(_MERGES[mode], found)
    else:
        raise layer.error(f"merge_mode {mode} is not supported")


def _emit_states(layer: LayerWriter, states: Sequence[str]) -> None:
    for state in states:
        layer.emit("Squeeze", [state, layer.ints("direction", [0])])


def _mask(layer: LayerWriter) -> str | None:
    """The mask that counts: Keras 3 does not look for one on the sequence where the call has initial states too."""
    states = layer.kwargs.get("initial_state") or len(layer.inputs) > 1
    if layer.scope.version >= 3 and states and not layer.kwargs.get("mask"):
        return None
    return layer.mask()


def _zeros(part: Layer) -> object:
    return part.config.get("zero_output_for_mask")


def _sequence(layer: LayerWriter, mask: str | None) -> _Sequence:
    if len(layer.shape()) != 3:
        raise layer.error(f"expected an input [N, steps, numbers], found {len(layer.shape())} axes")
    x, masked = layer.source(), None
    if mask is not None:
        masked = to_front(layer, x, mask)
        x = masked.front
    return _Sequence(layer.add("time_first", "Transpose", [x], perm=[1, 0, 2]), masked)


def _initial(layer: LayerWriter) -> list[str]:
    """States to begin with, [1, N, U], from the call's further inputs or its `initial_state`."""
    states = [layer.source(index) for index in range(1, len(layer.inputs))]
    given = layer.kwargs.pop("initial_state", None)
    states += [layer.tensors.last(name) for name in ([given] if isinstance(given, str) else given or [])]
    return [
        layer.add(f"initial_{index}", "Unsqueeze", [state, layer.ints("first", [0])])
        for index, state in enumerate(states)
    ]


def _backward(layer: LayerWriter, steps: str) -> str:
    """[T, N, U] from the last step to the first."""
    ends = [layer.ints("last_step", [-1]), layer.ints("before_first", [-(2**62)])]
    return layer.add("reversed", "Slice", [steps, *ends, layer.ints("time", [0]), layer.ints("back", [-1])])


def _direction(
    layer: LayerWriter, part: Layer, role: str, sequence: _Sequence, initial: list[str], zeros: bool
) -> _Run:
    """One pass, backward if the part goes so; `zeros`: what steps give that do not count."""
    for option in ("stateful", "time_major"):
        if part.config.get(option):
            raise layer.error(f"{option} is not supported")
    kind, weights, masked = part.type, read_weights(layer, part, role), sequence.masked
    name = f"{layer.name}/{role}{kind.lower()}"
    count = 3 if kind == "LSTM" else 2
    outputs = [layer.graph.temporary(f"{name}_{what}") for what in ("steps", "hidden", "cell")[:count]]
    attributes = functions(layer, part)
    if kind == "GRU":
        attributes["linear_before_reset"] = int(weights.after_reset)
    backward = bool(part.config.get("go_backwards"))
    lengths = masked.lengths if masked else ""
    layer.graph.node(
        _OPERATORS[kind],
        [
            sequence.steps,
            *initializers(layer, kind, role, weights),
            *([lengths] if initial or masked else []),
            *initial,
        ],
        outputs,
        name=name,
        hidden_size=weights.recurrent.shape[0],
        direction="reverse" if backward else "forward",
        **attributes,
    )
    steps = layer.add(f"{role}steps_of_one", "Squeeze", [outputs[0], layer.ints("direction", [1])])
    states = tuple(outputs[1:])
    if masked is None:
        return _Run(steps, states[0], states)
    turned = layer.add(f"{role}batch_first", "Transpose", [steps], perm=[1, 0, 2])
    turned = spread(layer, role, masked, turned, backward=backward, zeros=zeros)
    steps = layer.add(f"{role}in_time", "Transpose", [turned], perm=[1, 0, 2])
    return _Run(steps, states[0], _kept(layer, role, masked, states, initial))


def _kept(
    layer: LayerWriter, role: str, masked: Masked, states: tuple[str, ...], initial: list[str]
) -> tuple[str, ...]:
    """The states, those of the beginning where no step counts: ONNX has zeros there."""
    if not initial:
        return states
    some = layer.add(f"{role}some", "Cast", [masked.lengths], to=TensorProto.BOOL)
    wide = layer.add(f"{role}some_wide", "Unsqueeze", [some, layer.ints("around", [0, 2])])
    return tuple(
        layer.add(f"{role}kept_{index}", "Where", [wide, state, start])
        for index, (state, start) in enumerate(zip(states, initial, strict=True))
    )


LAYERS = {"Bidirectional": bidirectional, **dict.fromkeys(_OPERATORS, recurrent)}
