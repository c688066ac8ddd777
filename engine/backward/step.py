"""Step: one node of the forward pass, as the functions see it that write its part of the backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ..structure.graph import Graph, Node
from .writer import Writer


class Unsupported(Exception):
    """Raised by such a function; says what of the operator is missing."""


@dataclass(frozen=True)
class Step:
    """Gradients are of one number for each image. There may be more gradients than images in the forward pass."""

    node: Node
    graph: Graph
    write: Writer
    gradients: Sequence[str | None]  # of the node's outputs; None: nothing depends on that one
    wanted: Sequence[bool]  # which inputs' gradients are needed
    value: Callable[[str], np.ndarray | None]  # of a tensor that is the same for every image, else None
    images_axis: Callable[[str], int | None]  # of a tensor that depends on the image; None: any number may not run
    switches: Callable[[Node], str]  # of a MaxPool: the tensor of where each maximum lies, counted in the whole input

    @property
    def gradient(self) -> str:
        """Of the first output, for nodes that have one."""
        found = self.gradients[0]
        if found is None or any(self.gradients[1:]):
            raise Unsupported("its further outputs")
        return found

    @property
    def x(self) -> str:
        return self.node.inputs[0]

    @property
    def y(self) -> str:
        return self.node.outputs[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        return self.node.attribute(name, default)

    def input(self, number: int) -> str | None:
        """None where it is left out."""
        return self.node.inputs[number] if number < len(self.node.inputs) and self.node.inputs[number] else None

    def shape(self, tensor: str) -> tuple[int, ...]:
        """For one image. Raises Unsupported when the file does not tell."""
        found = self.graph.shape(tensor)
        if found is None or any(size is None for size in found):
            raise Unsupported(f"{tensor}, whose shape is not known")
        return tuple(size for size in found if size is not None)

    def sizes(self, tensor: str) -> list[int]:
        """The shape for any number of images: -1 where they are counted."""
        found, axis = list(self.shape(tensor)), self.images_axis(tensor)
        if axis is not None:
            found[axis] = -1
        return found

    def counts_images(self, tensor: str, axis: int) -> bool:
        return self.images_axis(tensor) == axis

    def constant(self, number: int) -> np.ndarray | None:
        """The value of an input; None where it is left out. Raises Unsupported when it depends on the image."""
        name = self.input(number)
        if name is None:
            return None
        value = self.value(name)
        if value is None:
            raise Unsupported(f"input {number}, as it depends on the image")
        return value

    def depends(self, tensor: str) -> bool:
        """Whether it depends on the image."""
        return self.value(tensor) is None

    def with_gradient(self, gradient: str) -> Step:
        """Another one arrives."""
        return replace(self, gradients=[gradient, *[None] * (len(self.gradients) - 1)])

    # -- what several operators need ---

    def as_large_as(self, gradient: str, tensor: str) -> str:
        """The gradient with the tensor's shape, all values kept in their order."""
        return self.write("Reshape", gradient, self.write.ints(self.sizes(tensor)))

    def spread(self, gradient: str, tensor: str) -> str:
        """The gradient, which has 1 where the tensor has more, repeated."""
        return self.write("Expand", gradient, self.write.ints([max(1, size) for size in self.sizes(tensor)]))

    def summed_to(self, gradient: str, made: str, tensor: str) -> str:
        """The gradient of what was broadcast from `tensor` to the shape of `made`."""
        small, large = self.shape(tensor), self.shape(made)
        missing = len(large) - len(small)
        axes = [axis for axis in range(len(large)) if axis < missing or (small[axis - missing] == 1 < large[axis])]
        if missing and self.depends(tensor):
            raise Unsupported("broadcasting of tensors of different rank, both of which depend on the image")
        return gradient if not axes else self.write("ReduceSum", gradient, self.write.ints(axes), keepdims=1)

    def scaled(self, gradient: str, factor: float) -> str:
        return gradient if factor == 1 else self.write("Mul", gradient, self.write.number(factor))

    def where(self, condition: str, gradient: str) -> str:
        """The gradient where the condition holds, else 0: a product, which takes onnxruntime half as long as Where."""
        return self.write("Mul", gradient, self.write("Cast", condition, to=1))  # float32

    def elements(self, tensor: str, axes: Sequence[int]) -> int:
        return math.prod(self.shape(tensor)[axis] for axis in axes)


Gradients: TypeAlias = Sequence[str | None]  # of the node's inputs; those behind the last may be left out
Backward: TypeAlias = Callable[[Step], Gradients]
