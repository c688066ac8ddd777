"""What every target has. Scores are made by plain indexing and arithmetic, so that NumPy and torch work alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...importers.errors import InputError, nearest_names

if TYPE_CHECKING:
    from ..model import Model

Inputs = np.ndarray | Mapping[str, np.ndarray]


class Target(Protocol):
    """Anything that names a tensor and makes one number an image of its value."""

    def tensor(self, model: Model) -> str:
        """The tensor it reads. Raises InputError when the network has none such."""

    def score(self, value: Any) -> Any:
        """[N, …] array or torch tensor -> [N]. Raises InputError when the value has no such place."""

    @property
    def label(self) -> str:
        """What a caption calls it."""
        return type(self).__name__

    def labels(self, count: int) -> list[str]:
        """A caption for each of so many images."""
        return [self.label] * count

    def note(self, model: Model) -> str:
        """What the reader must know of how the score is made; often nothing."""
        return ""

    def channels(self) -> tuple[int, ...] | None:
        """Which entries along the tensor's axis 1 the score looks at; None: all, as far as is known."""
        return None

    def settle(self, model: Model, inputs: Inputs) -> Target:
        """The same target, with all that depends on the network or on these images decided."""
        return self


def settled(target: Target, model: Model, inputs: Inputs) -> Target:
    """`target` ready to be scored: a class of the network's own choice chosen, a box found."""
    settle = getattr(target, "settle", None)  # `tensor` and `score` are enough for a target of one's own
    return target if settle is None else settle(model, inputs)


def of_images(target: Any, rows: Sequence[int], count: int) -> Any:
    """A target of `count` images that has one index an image, for these of them; others as they are."""
    index = getattr(target, "index", None)
    if not isinstance(index, tuple) or not is_dataclass(target) or len(index) == 1 == len(rows):
        return target
    if len(index) != count:
        raise InputError(f"expected one index, or one for each of {count} images, found {len(index)}")
    return replace(target, index=tuple(index[row] for row in rows))  # type: ignore[type-var]


def tensor_named(model: Model, name: str) -> str:
    """The computed tensor of this name, or the first output of the node of this name.

    Raises InputError when there is none, or when it has no row an image.
    """
    tensor = find_tensor(model, name)
    if tensor is None:
        nodes, tensors = known_names(model)
        raise InputError(f"the network has no layer {name!r}; {nearest_names(name, [*nodes, *tensors])}")
    shape = model.graph.shape(tensor)
    batch = next((shape[0] for shape in model.input_shapes.values() if shape), 1)
    if shape is not None and (not shape or shape[0] not in (batch, None)):
        raise InputError(f"expected a tensor with a batch axis first, {tensor} is {list(shape)} for {batch} image(s)")
    return tensor


def find_tensor(model: Model, name: str) -> str | None:
    """As `tensor_named`, None where there is none of this name."""
    nodes, tensors = known_names(model)
    return name if name in tensors else nodes.get(name)


def known_names(model: Model) -> tuple[dict[str, str], dict[str, None]]:
    """Node name -> its first output; and the tensors that nodes compute."""
    nodes = {node.name: node.outputs[0] for node in model.graph.nodes if node.name and node.outputs}
    return nodes, {name: None for node in model.graph.nodes for name in node.outputs if name}


def check_index(index: int, size: int, what: str, place: str) -> None:
    """Raise InputError unless 0 <= index < size: `place` has no `what` of that number."""
    if not 0 <= index < size:
        raise InputError(f"{place} has no {what} {index}: expected 0 to {size - 1}")
