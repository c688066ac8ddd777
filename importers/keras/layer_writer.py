"""LayerWriter: what a layer function sees of one call of its layer, and how it writes the nodes of it.

Shapes and axes are those of Keras; a layer function says in which order it wants a tensor by how it asks for it
(`spatial`, `source`, `either`), and what it then writes is in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from onnx import TensorProto

from ..channels_last import ChannelsLast, axis_first, channels_first
from ..errors import InputError
from ..graph_builder import Dim, GraphBuilder
from .network import Layer, Network
from .upgrade import Config

BATCH = "batch"
OTHER_MASK = ""  # in place of a mask that is not [N, steps]

# Writes what an activation makes of a tensor: (the layer, the tensor, the activation's own options).
Activation = Callable[["LayerWriter", str, Config], None]


class TensorName(str):
    """A tensor of Keras, among a call's other arguments."""

    __slots__ = ()


class Arrays(Protocol):
    """Where the weights are kept."""

    def read(self, path: str) -> np.ndarray:
        """An array, float32. Raises InputError when the file does not hold it whole."""


@dataclass(eq=False)
class Scope:
    """What the layers of one translation share."""

    graph: GraphBuilder
    tensors: ChannelsLast
    file: Arrays
    version: int  # major version of the Keras that wrote the file
    flipped: bool  # whether kernels are those of Theano, which convolves with them turned round
    run: Callable[[Network, Sequence[str]], list[str]]  # a model on tensors: its outputs
    write: Callable[[LayerWriter], None]  # the function of a layer's type
    images_first: bool = False  # whether Keras' images have channels first, as the graph's
    flattened: dict[str, tuple[int, ...]] = field(default_factory=dict)  # tensor -> sides it had, channels still first
    constants: dict[tuple[int, str], str] = field(default_factory=dict)  # (layer, role) -> initializer
    masks: dict[str, str] = field(default_factory=dict)  # Keras' tensor -> which of its steps count, [N, steps]


class LayerWriter:
    """One call of a layer while it is translated. Its main node takes the layer's name; others get a suffix."""

    def __init__(
        self,
        layer: Layer,
        scope: Scope,
        inputs: Sequence[str],  # Keras' tensors by the names under which `scope.tensors` has them
        kwargs: Config | None = None,  # with names of tensors where the call has tensors
        args: Sequence[Any] = (),  # the same of the positional arguments, for operations that also take numbers
        only_for_dense: bool = False,  # whether nothing but Dense layers reads the result
    ) -> None:
        self.layer = layer
        self.scope = scope
        self.graph = scope.graph
        self.tensors = scope.tensors
        self.inputs = list(inputs)
        self.kwargs = dict(kwargs or {})
        self.args = list(args)
        self.only_for_dense = only_for_dense
        self.first = False  # whether what is written now has channels first, where Keras has them last
        self.results: list[str] = []  # Keras' tensors that were made
        self._node = layer.path
        self._then: Activation | None = None
        self._then_config: Config = {}

    @property
    def name(self) -> str:
        """The layer's name; "model/layer" in a nested model."""
        return self.layer.path

    @property
    def type(self) -> str:
        """The layer's type in today's words."""
        return self.layer.type

    def error(self, reason: str) -> InputError:
        """An InputError that names this layer; to be raised by the caller."""
        return InputError(f"layer {self.name} ({self.layer.type}): {reason}")

    def option(self, name: str, default: Any = None) -> Any:
        """A value of the layer's configuration; `default` where it is missing or null."""
        value = self.layer.config.get(name)
        return default if value is None else value

    def flag(self, name: str, default: bool = False) -> bool:
        """Whether an option is set."""
        return bool(self.option(name, default))

    def per_axis(self, name: str, axes: int, default: int | None = None) -> list[int]:
        """An option that is one number for all spatial axes or one for each."""
        value = self.option(name, default)
        values = [value] * axes if isinstance(value, int) else list(value or [])
        if len(values) != axes or not all(isinstance(entry, int) and entry >= 0 for entry in values):
            raise self.error(f"{name} expects a number for each of {axes} axes, found {value!r}")
        return values

    def shape(self, index: int = 0) -> tuple[Dim, ...]:
        """Shape of an input as Keras has it."""
        return self.tensors.shape(self.inputs[index])

    def sizes(self, dims: Sequence[Dim]) -> tuple[int, ...]:
        """These dimensions as numbers. Raises InputError where the file leaves one open."""
        if not all(isinstance(dim, int) for dim in dims):
            raise self.error("needs the size of its input, which the file leaves open")
        return tuple(dim for dim in dims if isinstance(dim, int))

    @property
    def channels_last(self) -> bool:
        """Whether the layer itself has channels last."""
        return bool(self.option("data_format", "channels_last") == "channels_last")

    # What a layer reads.

    def spatial(self, index: int = 0) -> str:
        """An input as [N, C, *sides], whichever order the layer has."""
        if self.channels_last:
            return self.channels_first(index)
        return self.source(index)

    def channels_first(self, index: int = 0) -> str:
        """An input of channels last, as [N, C, *sides]."""
        self.first = True
        return self.tensors.first(self.inputs[index])

    def source(self, index: int = 0) -> str:
        """An input in Keras' order."""
        self.first = False
        return self.tensors.last(self.inputs[index])

    def either(self, index: int = 0) -> str:
        """An input in the order that it has already: for what treats all axes alike, or asks `axis`."""
        (tensor,), self.first = self.tensors.aligned([self.inputs[index]])
        return tensor

    def aligned(self, names: Sequence[str] | None = None) -> list[str]:
        """Several tensors, all in one order; by default all inputs."""
        tensors, self.first = self.tensors.aligned(self.inputs if names is None else names)
        return tensors

    def axis(self, axis: int, rank: int) -> int:
        """Where an axis of Keras lies in what is written now."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is outside its input of {rank} dimensions")
        return axis_first(axis, rank) if self.first else axis % rank

    def array(self, role: str) -> np.ndarray:
        """A weight as the file has it, float32."""
        if role not in self.layer.weights:
            raise self.error(f"the file holds no {role} for it")
        return self.scope.file.read(self.layer.weights[role])

    def has(self, role: str) -> bool:
        """Whether the layer has such a weight."""
        return role in self.layer.weights

    def mask(self, name: str | None = None) -> str | None:
        """Which steps of the first input, or another tensor of Keras, count: [N, steps] true or false; None: all.

        Raises InputError when the mask is of another shape.
        """
        given = self.kwargs.pop("mask", None) if name is None else None
        mask = self.boolean(given) if given else self.scope.masks.get(self.inputs[0] if name is None else name)
        if mask == OTHER_MASK or (mask is not None and len(self.graph.shape(mask)) != 2):
            raise self.error("reads a mask that is not one of steps, which is not supported")
        return mask

    def boolean(self, name: str) -> str:
        """A tensor of Keras as true and false, in Keras' order."""
        tensor = self.tensors.last(name)
        if self.graph.element(tensor) == TensorProto.BOOL:
            return tensor
        return self.add("boolean", "Cast", [tensor], to=TensorProto.BOOL)

    # What it writes.

    def weight(self, role: str, make: Callable[[], np.ndarray], shape: Sequence[int] | None = None) -> str:
        """A weight as an initializer, made and stored once however often the layer is used.

        `make` gives a view of an array of the file where it can; `shape` is what it has in the graph, if another.
        """
        key = (id(self.layer), role)
        if key not in self.scope.constants:
            value = np.asarray(make(), np.float32)
            self.scope.constants[key] = self.graph.constant(f"{self.name}/{role}", value, shape)
        return self.scope.constants[key]

    def constant(self, role: str, value: Any, dtype: Any = np.float32) -> str:
        """A small constant of this layer."""
        return self.graph.constant(f"{self.name}/{role}", _plain(value, dtype))

    def ints(self, role: str, values: Sequence[int]) -> str:
        """A list of integers: axes, sizes, starts."""
        return self.constant(role, list(values), np.int64)

    def broadcast(self, role: str, value: Any, rank: int) -> str:
        """A constant that lies along the last axes of a tensor of Keras, in the order that is written now."""
        array = _plain(value, np.float32)
        if array.size == 1:
            return self.constant(role, array.reshape(()))
        array = array.reshape((1,) * (rank - array.ndim) + array.shape)
        return self.constant(role, channels_first(array) if self.first else array)

    def add(self, role: str, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """An auxiliary node, named LAYER/role; returns its output."""
        name = f"{self.name}/{role}"
        return self.graph.node(op, inputs, self.graph.temporary(name), name=name, **attributes)

    def then(self, activation: Activation, config: Config) -> None:
        """Follow the layer's own node by an activation; the result of that has the layer's name."""
        self._then, self._then_config = activation, config

    def emit(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The node that makes the layer's (next) result; it carries the layer's name."""
        if self._then is not None:
            activation, self._then = self._then, None
            before = self.add("before_activation", op, inputs, **attributes)
            activation(self, before, self._then_config)
            return self.results[-1]
        result = self._free(self.name if not self.results else f"{self.name}/output_{len(self.results)}")
        self.graph.node(op, inputs, result, name=self._node, **attributes)
        (self.tensors.made_first if self.first else self.tensors.made_last)(result, result)
        self.results.append(result)
        return result

    def part(self, role: str) -> LayerWriter:
        """A writer of nodes inside this layer, whose result is called LAYER/role."""
        layer = Layer(f"{self.name}/{role}", self.type, self.layer.config, self.layer.written)
        return LayerWriter(layer, self.scope, self.inputs)

    def passes(self, name: str | None = None) -> None:
        """The result is the input itself, or another tensor of Keras."""
        self.results.append(self.inputs[0] if name is None else name)

    def _free(self, name: str) -> str:
        """A name that no tensor has; the first call of a layer gets the layer's."""
        return name if name not in self.graph and name not in self.tensors else self.graph.temporary(name)


def _plain(value: Any, dtype: Any) -> np.ndarray:
    """As an array; numbers beyond the type are infinite, as in Keras."""
    with np.errstate(over="ignore"):
        return np.asarray(value, dtype)
