"""OperatorWriter: what an operator's function sees of its operator, and how it writes the nodes.

Sizes that the file leaves open stay open. So that the lists of sizes which a program computes (`shape`, then `slice`,
then `concat`) can still be read, every such list is kept as what is known of it: numbers, and names of open sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, TypeVar

import numpy as np
from onnx import TensorProto, helper

from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .reader import NUMBERS, Operator, Variable
from .wire_schema import enum_name

Value = TypeVar("Value")
_MAIN = ("Out", "Output", "Y")  # what an operator makes, which others (statistics, masks) go along with
_LONGEST_LIST = 64  # numbers of a list of sizes, axes, windows
_LONGEST_FULL = 1 << 16  # numbers written out that are all the same


class OperatorWriter:
    """One operator while it is translated. Its nodes are called like what it makes; further ones get a suffix."""

    def __init__(
        self,
        operator: Operator,
        graph: GraphBuilder,
        tensors: Mapping[str, str],  # variable -> the tensor that holds its value now
        outputs: MutableMapping[str, str],  # variable that it makes -> the tensor to write; what is known now: its own
        lists: MutableMapping[str, list[Dim]],  # tensor -> what is known of it, for lists of sizes; shared by all
        variables: Mapping[str, Variable],
    ) -> None:
        self.operator = operator
        self.graph = graph
        self.lists = lists
        self._variables = variables
        self._tensors = tensors
        self._outputs = outputs
        main = next((names for side in _MAIN if (names := operator.outputs.get(side))), [*outputs, operator.type])
        self.name = outputs.get(main[0], main[0])

    # What it reads.

    def error(self, reason: str) -> InputError:
        """An InputError that names this operator; to be raised by the caller."""
        return InputError(f"{self.operator.type} {self.name}: {reason}")

    def attribute(self, name: str, default: Value) -> Value:
        """An attribute of the default's kind. Raises InputError when the file has it as something else."""
        value = self.operator.attributes.get(name, default)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)  # type: ignore[return-value]
        if type(value) is not type(default):
            raise self.error(f"its attribute {name} is {str(value)[:32]!r}, expected {type(default).__name__}")
        return value

    def ints(self, name: str, default: Sequence[int] = ()) -> list[int]:
        """An attribute that is a short list of integers."""
        value = self.attribute(name, list(default))
        if len(value) > _LONGEST_LIST or not all(type(number) is int for number in value):
            raise self.error(f"its attribute {name} is no short list of integers")
        return value

    def choice(self, name: str, default: str, *choices: str) -> str:
        """An attribute that is one of these words. Raises InputError for any other."""
        value = self.attribute(name, default)
        if value not in choices:
            raise self.error(f"its {name} is {value!r}; supported: {', '.join(choices)}")
        return value

    def kind(self, name: str, default: int) -> np.dtype:
        """An attribute that is a type of numbers."""
        word = enum_name("Kind", self.attribute(name, default))
        if word not in NUMBERS:
            raise self.error(f"its type {word} is not supported")
        return np.dtype(word)

    def has(self, side: str) -> bool:
        """Whether it has this input."""
        return bool(self.operator.inputs.get(side))

    def all(self, side: str) -> list[str]:
        """The tensors of an input that may be several."""
        names = self.operator.inputs.get(side, [])
        if not names:
            raise self.error(f"its input {side} is missing")
        return [self._tensors[name] for name in names]

    def tensor(self, side: str = "X") -> str:
        """The tensor of an input."""
        return self.all(side)[0]

    def shape(self, side: str = "X") -> tuple[Dim, ...]:
        """Of an input: numbers, and names (or None) of open sizes."""
        return self.graph.shape(self.tensor(side))

    def sizes(self, dims: Sequence[Dim], of: str = "X") -> list[int]:
        """These dimensions as numbers. Raises InputError when one is open."""
        if any(not isinstance(dim, int) for dim in dims):
            raise self.error(f"it needs the size of its input {of}, which the file leaves open")
        return [dim for dim in dims if isinstance(dim, int)]

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front. Raises InputError when there is none such."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its {rank} dimensions")
        return axis % rank

    def declared(self, output: str = "Out") -> Variable:
        """What the file says of an output. In older files a single number has one axis."""
        names = self.operator.outputs.get(output, [])
        if not names or names[0] not in self._variables:
            raise self.error(f"the program does not say what its output {output} is")
        return self._variables[names[0]]

    def dtype(self, tensor: str) -> np.dtype:
        """The type of a tensor's numbers."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.graph.element(tensor)))

    def value(self, side: str) -> np.ndarray | None:
        """Of an input that is a constant, else None."""
        return self.graph.value(self.tensor(side))

    def dims(self, tensor: str) -> list[Dim]:
        """The shape of a tensor, in which an open size without a name is named after its place."""
        found = self.graph.shape(tensor)
        return [f"{tensor}[{axis}]" if dim is None else dim for axis, dim in enumerate(found)]

    def known(self, tensor: str) -> list[Dim] | None:
        """What is known of a tensor that is a list of sizes, else None."""
        if tensor in self.lists:
            return self.lists[tensor]
        shape = self.graph.shape(tensor)
        count = shape[0] if shape else 1
        if self.dtype(tensor).kind != "i" or len(shape) > 1 or not isinstance(count, int) or count > _LONGEST_LIST:
            return None
        value = self.graph.value(tensor)
        return None if value is None else [int(number) for number in value.ravel()]

    def size_list(self, parts: str, whole: str, attribute: str) -> list[Dim]:
        """A list that may be given as one tensor, as a tensor a number or as an attribute, in this order.

        Unknown numbers are called like the tensor they come from, and their place in it.
        """
        for side, tensors in ((parts, self.has(parts)), (whole, self.has(whole))):
            if tensors:
                return [dim for tensor in self.all(side) for dim in self._listed(tensor)]
        return list(self.ints(attribute))

    def size_tensor(self, parts: str, whole: str, attribute: str) -> str:
        """The list of `size_list` as an int64 tensor."""
        dims = self.size_list(parts, whole, attribute)
        if all(isinstance(dim, int) for dim in dims):
            return self.int_array(attribute, self.sizes(dims))
        if not self.has(parts):
            return self._as_list(attribute, self.tensor(whole))
        pieces = [self._as_list(f"{attribute}/{at}", tensor) for at, tensor in enumerate(self.all(parts))]
        return self.add(attribute, "Concat", pieces, axis=0)

    def _as_list(self, role: str, tensor: str) -> str:
        cast = self.add(role, "Cast", [tensor], to=TensorProto.INT64)
        if len(self.graph.shape(tensor)) == 1:
            return cast
        return self.add(f"{role}/list", "Reshape", [cast, self.int_array(f"{role}/shape", [-1])])

    def _listed(self, tensor: str) -> list[Dim]:
        known = self.known(tensor)
        if known is not None:
            return known
        shape = self.graph.shape(tensor)
        count = shape[0] if shape else 1
        if len(shape) > 1 or not isinstance(count, int) or count > _LONGEST_LIST:
            raise self.error(f"its list of sizes {tensor} is of the shape {list(shape)}, expected a short list")
        self.lists[tensor] = [f"{tensor}[{at}]" for at in range(count)]
        return self.lists[tensor]

    # What it writes.

    def array(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A small constant of this operator."""
        return self.graph.constant(f"{self.name}/{role}", np.asarray(value, dtype))

    def int_array(self, role: str, values: Sequence[int]) -> str:
        """A list of integers: axes, sizes, starts."""
        return self.array(role, list(values), np.int64)

    def like(self, role: str, value: Any, tensor: str) -> str:
        """A small constant of the type of a tensor's numbers."""
        return self.array(role, value, self.dtype(tensor))

    def full(self, role: str, value: float, count: int, tensor: str) -> str:
        """A list of one number, of the type of a tensor's numbers. Raises InputError when it is long."""
        if not 0 <= count <= _LONGEST_FULL:
            raise self.error(f"it has {count} channels, expected at most {_LONGEST_FULL}")
        return self.like(role, np.full(count, value), tensor)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named OUTPUT/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def emit(self, op: str, inputs: Sequence[str], *, output: str = "Out", **attributes: Any) -> None:
        """The node that makes an output."""
        self.graph.node(op, inputs, self.output(output), name=self.name, **attributes)

    def emit_all(self, op: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> None:
        """The node that makes several outputs at once, or all of one that is several."""
        made = [self._outputs[name] for output in outputs for name in self.operator.outputs.get(output, [])]
        self.graph.node(op, inputs, made, name=self.name, **attributes)

    def output(self, output: str = "Out", index: int = 0) -> str:
        """The tensor that an output is to be written to."""
        names = self.operator.outputs.get(output, [])
        if index >= len(names):
            raise self.error(f"its output {output} is missing")
        return self._outputs[names[index]]

    def count(self, output: str = "Out") -> int:
        """How many tensors an output is."""
        return len(self.operator.outputs.get(output, []))

    def store(self, value: np.ndarray, output: str = "Out") -> None:
        """An output that is known now."""
        made = self.output(output)
        self._outputs[self.operator.outputs[output][0]] = self.graph.constant(f"{made}/value", value)

    def emit_list(self, dims: Sequence[Dim] | None, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """`emit` for what may be a list of sizes of which something is known: where all is, it is stored instead."""
        if dims is not None and len(dims) <= _LONGEST_LIST and all(isinstance(dim, int) for dim in dims):
            kind = self.dtype(inputs[0])
            self.store(np.reshape(np.array(dims, kind), -1 if self.declared().shape else ()))
            return
        self.emit(op, inputs, **attributes)
        if dims is not None:
            self.learn(dims)

    def learn(self, dims: Sequence[Dim], output: str = "Out") -> None:
        """Keep what is known of an output that is a list of sizes."""
        self.lists[self.output(output)] = list(dims)
