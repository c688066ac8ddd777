"""OperatorWriter: what an operator's function sees of its operator, and how it writes the nodes.

Every tensor is float where the file has it quantised: what an operator makes is rounded to the file's steps by a pair
of QuantizeLinear and DequantizeLinear, or, in a float model, clipped to the range that these steps reach.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..channels_last import ChannelsLast
from ..errors import InputError
from ..graph_builder import GraphBuilder
from .reader import Network, Operator, Quantisation, Tensor
from .schema import ACTIVATIONS

_CLIPPED = {"RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
_BOUNDED = ("SOFTMAX", "LOGISTIC", "TANH")  # whose range is that of their steps
Stage = tuple[str, str, list[str], dict[str, Any]]  # role, operator, inputs after the first, attributes


@dataclass
class Layout:
    """What all operators of one network share."""

    network: Network
    graph: GraphBuilder
    dequantize: bool = False
    outputs: Collection[str] = ()
    kept: Collection[str] = ()  # graph outputs that have channels first in the file already
    tensors: ChannelsLast = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = ChannelsLast(self.graph)

    def output_is_first(self, name: str) -> bool:
        """Whether a graph output is turned: images are, as far as they have channels last."""
        return len(self.network.tensors[name].shape) == 4 and name not in self.kept


class OperatorWriter:
    """One operator while it is translated. Its main node is called like its first output, others get a suffix."""

    def __init__(self, operator: Operator, layout: Layout) -> None:
        self.operator = operator
        self.layout = layout
        self.graph = layout.graph
        self.tensors = layout.tensors
        self.inputs, self.outputs = operator.inputs, operator.outputs
        self.name = operator.outputs[0]

    # What it reads.

    def error(self, reason: str) -> InputError:
        """An InputError that names this operator; to be raised by the caller."""
        return InputError(f"{self.operator.kind} {self.name}: {reason}")

    def option(self, name: str) -> Any:
        """An option as the file or the schema says it; nothing (0) where the file leaves out all of them."""
        if not self.operator.options:
            return 0
        if name not in self.operator.options:
            raise self.error(f"it has the options of another operator, expected {name}")
        return self.operator.options[name]

    def has(self, index: int) -> bool:
        """Whether the operator has this input."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def tensor(self, index: int) -> Tensor:
        """What the file says of an input."""
        if not self.has(index):
            raise self.error(f"its input {index} is missing")
        return self.layout.network.tensors[self.inputs[index]]

    def output(self, index: int = 0) -> Tensor:
        """What the file says of an output."""
        return self.layout.network.tensors[self.outputs[index]]

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """Of an input, in the file's order of axes."""
        if self.tensor(index).stored is not None:
            return self.tensor(index).shape
        dims = self.tensors.shape(self._read(index))
        sizes = tuple(dim for dim in dims if isinstance(dim, int))
        if len(sizes) != len(dims):
            raise self.error(f"the shape of its input {self.inputs[index]} depends on what the network computes")
        return sizes

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front. Raises InputError when there is none such."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its {rank} dimensions")
        return int(axis) % rank

    def value(self, index: int) -> np.ndarray | None:
        """Of a constant input, in the file's order, dequantised; else None."""
        return self.tensors.value(self._read(index))

    def constant(self, index: int) -> np.ndarray:
        """Of an input that has to be constant."""
        value = self.value(index)
        if value is None:
            raise self.error(f"its input {self.inputs[index]} is computed, expected a constant")
        return value

    def ints(self, index: int) -> list[int]:
        """A constant list of integers."""
        value = self.constant(index)
        if not np.issubdtype(value.dtype, np.integer):
            raise self.error(f"its input {self.inputs[index]} is {value.dtype}, expected integers")
        return [int(number) for number in value.ravel()]

    def first(self, index: int = 0) -> str:
        """An input's tensor, channels first."""
        return self.tensors.first(self._read(index))

    def last(self, index: int = 0) -> str:
        """An input's tensor as the file has it."""
        return self.tensors.last(self._read(index))

    def aligned(self, *indices: int) -> tuple[list[str], bool]:
        """Inputs that are combined number by number, and whether they have channels first."""
        return self.tensors.aligned([self._read(index) for index in indices])

    def flat(self, index: int = 0) -> str:
        """An input's tensor in whichever order its numbers follow each other as in the file."""
        name = self._read(index)
        shape = self.shape(index)
        same = len(shape) > 2 and (shape[-1] == 1 or all(side == 1 for side in shape[1:-1]))
        return self.tensors.first(name) if same and self.tensors.is_first(name) else self.tensors.last(name)

    def weight(self, index: int, perm: Sequence[int]) -> str:
        """Weights with their axes in this order: stored so, as integers with their scales where the file has them.

        Where only the weights are quantised, they are stored dequantised.
        """
        tensor = self.tensor(index)
        if tensor.stored is None:
            turned = self.last(index)
            return turned if list(perm) == sorted(perm) else self.add("weight", "Transpose", [turned], perm=list(perm))
        if len(perm) != tensor.stored.ndim:
            raise self.error(f"its weights {tensor.name} have {tensor.stored.ndim} axes, expected {len(perm)}")
        if not (self.is_quantised and tensor.is_quantised and tensor.type != "INT16"):
            real = self.constant(index)
            return self.graph.constant(tensor.name, real.transpose(perm))
        return self._dequantised(tensor, perm)

    def bias(self, index: int) -> list[str]:
        """The input of a bias [channels], or nothing."""
        if not self.has(index):
            return []
        tensor = self.tensor(index)
        if tensor.stored is None or tensor.quantisation is None:
            return [self.last(index)]
        if self.is_quantised and tensor.type == "INT32":
            return [self._dequantised(tensor, range(tensor.stored.ndim))]
        return [self.graph.constant(tensor.name, tensor.quantisation.real(tensor.stored))]

    @property
    def is_quantised(self) -> bool:
        """Whether what it makes is rounded to steps in the ONNX graph too."""
        return self.output().is_quantised and not self.layout.dequantize

    def _read(self, index: int) -> str:
        """The name of an input; a constant is stored when it is read."""
        tensor = self.tensor(index)
        if tensor.name not in self.tensors:
            if tensor.real is None:
                raise self.error(f"it reads {tensor.name}, which nothing makes")
            self.tensors.store(tensor.name, tensor.real)
        return tensor.name

    def _dequantised(self, tensor: Tensor, perm: Sequence[int]) -> str:
        stored, quantisation = tensor.stored, tensor.quantisation
        assert stored is not None and quantisation is not None
        weights = self.graph.constant(tensor.name, stored.transpose(perm))
        scalar = quantisation.scale.size == 1
        scale = quantisation.scale.reshape(() if scalar else -1)
        inputs = [weights, self.graph.constant(f"{tensor.name}/scale", scale)]
        if stored.dtype != np.int32:  # a bias is symmetric
            zero_point = quantisation.zero_point.reshape(scale.shape).astype(stored.dtype)
            inputs.append(self.graph.constant(f"{tensor.name}/zero_point", zero_point))
        axis: dict[str, Any] = {} if scalar else {"axis": list(perm).index(quantisation.axis)}
        name = f"{tensor.name}/real"
        return self.graph.node("DequantizeLinear", inputs, self.graph.temporary(name), name=name, **axis)

    # What it writes.

    def array(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A small constant of this operator."""
        return self.graph.constant(f"{self.name}/{role}", np.asarray(value, dtype))

    def int_list(self, role: str, values: Sequence[int]) -> str:
        """A list of integers: axes, sizes, starts."""
        return self.array(role, [int(value) for value in values], np.int64)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named OUTPUT/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        first: bool = False,  # whether what it makes has channels first
        output: int = 0,
        moved: bool = False,  # whether it only moves numbers, so that they need not be rounded again
        **attributes: Any,
    ) -> None:
        """The node that makes an output, then its fused activation and its rounding."""
        stages: list[Stage] = [("", op, list(inputs[1:]), attributes), *self._stages(output, moved)]
        self._write(stages, inputs[0] if inputs else "", first, output)

    def emit_all(self, op: str, inputs: Sequence[str], *, first: bool = False, **attributes: Any) -> None:
        """The node that makes all outputs at once, each of its input's numbers moved."""
        waiting = [self._stages(index, True) for index in range(len(self.outputs))]
        made = [
            self.graph.temporary(f"{name}/part") if stages else self._target(index, first)
            for index, (name, stages) in enumerate(zip(self.outputs, waiting, strict=True))
        ]
        self.graph.node(op, inputs, made, name=self.name, **attributes)
        for index, (tensor, stages) in enumerate(zip(made, waiting, strict=True)):
            self._write(stages, tensor, first, index)

    def finish(self, tensor: str, *, first: bool = False, output: int = 0, moved: bool = False) -> None:
        """An output that a tensor written so far is already, but for its activation and its rounding."""
        self._write(self._stages(output, moved), tensor, first, output)

    def store(self, value: np.ndarray, output: int = 0) -> None:
        """An output that is known now."""
        self.tensors.store(self.outputs[output], value)

    def _target(self, output: int, first: bool) -> str:
        """The file's name, unless that is for the same tensor with its axes in the other order."""
        name = self.outputs[output]
        turned = name in self.layout.outputs and self.layout.output_is_first(name) != first
        if turned and len(self.output(output).shape) > 2:
            return self.graph.temporary(f"{name}/channels_{'first' if first else 'last'}")
        return name

    def _write(self, stages: list[Stage], tensor: str, first: bool, output: int) -> None:
        result = self.outputs[output]
        for index, (role, op, others, attributes) in enumerate(stages):
            last = index == len(stages) - 1
            made = self._target(output, first) if last else self.graph.temporary(f"{result}/{role or op}")
            inputs = [tensor, *others] if tensor else others
            tensor = self.graph.node(op, inputs, made, name=f"{result}/{role}" if role else result, **attributes)
        (self.tensors.made_first if first else self.tensors.made_last)(result, tensor)

    def _stages(self, output: int, moved: bool) -> list[Stage]:
        activation = self._activation()
        return [*activation, *self._rounding(output, moved and not activation)]

    def _activation(self) -> list[Stage]:
        number = self.operator.options.get("activation", 0)
        kind = ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else f"number {number}"
        if kind == "NONE":
            return []
        if kind == "TANH":
            return [("tanh", "Tanh", [], {})]
        if kind not in _CLIPPED:
            raise self.error(f"its activation {kind} is not supported")
        low, high = _CLIPPED[kind]
        if high is None:
            return [("relu", "Relu", [], {})]
        return [(kind.lower(), "Clip", [self.array("least", low), self.array("most", high)], {})]

    def _rounding(self, output: int, moved: bool) -> list[Stage]:
        tensor = self.output(output)
        steps = tensor.quantisation
        if steps is None or not tensor.is_quantised or (moved and self._has_steps(steps)):
            return []
        if self.layout.dequantize and self.operator.kind in _BOUNDED:
            return []
        return rounding(self.graph, tensor, self.layout.dequantize)

    def _has_steps(self, steps: Quantisation) -> bool:
        """Whether its inputs are rounded as its output is."""
        tensors = [self.tensor(index) for index in range(len(self.inputs)) if self.has(index)]
        quantised = [tensor for tensor in tensors if tensor.is_quantised]
        return bool(quantised) and all(steps.same_as(tensor.quantisation) for tensor in quantised)


def rounding(graph: GraphBuilder, tensor: Tensor, dequantize: bool) -> list[Stage]:
    """To the steps that a quantised tensor is stored in; or only to their range."""
    steps = tensor.quantisation
    assert steps is not None
    if steps.scale.size != 1:
        raise InputError(f"tensor {tensor.name} is computed and has {steps.scale.size} scales, expected one")
    bits = np.iinfo(tensor.type.lower())
    if dequantize:
        ends = steps.real(np.array([bits.min, bits.max]))
        names = [
            graph.constant(f"{tensor.name}/{end}", value) for end, value in zip(("least", "most"), ends, strict=True)
        ]
        return [("range", "Clip", names, {})]
    zero_point = int(steps.zero_point[0])
    if not bits.min <= zero_point <= bits.max:
        raise InputError(f"tensor {tensor.name} has the zero point {zero_point}, outside {tensor.type}; damaged")
    scale = graph.constant(f"{tensor.name}/scale", steps.scale.reshape(()))
    if tensor.type == "INT16":  # which QuantizeLinear takes only from operator set 21 on
        reach = [np.asarray(end - zero_point, np.float32) for end in (bits.min, bits.max)]
        limits = [graph.constant(f"{tensor.name}/end", end) for end in reach]
        whole: list[Stage] = [("steps", "Div", [scale], {}), ("rounded", "Round", [], {}), ("kept", "Clip", limits, {})]
        return [*whole, ("real", "Mul", [scale], {})]
    zero = graph.constant(f"{tensor.name}/zero_point", np.asarray(zero_point, tensor.type.lower()))
    return [("quantised", "QuantizeLinear", [scale, zero], {}), ("real", "DequantizeLinear", [scale, zero], {})]
