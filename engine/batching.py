"""How many images go through the network at once, and how the values of several runs are put together."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..importers.errors import InputError
from ..importers.onnx_file import graph_inputs
from . import quantities
from .structure.graph import Graph
from .structure.semantics import constant_tensors

if TYPE_CHECKING:
    from .model import Model

_IMAGES_AT_ONCE = 32  # without a budget; more gains nothing on a CPU
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Batching:
    """What a network says about batches."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.resident = resident_bytes()  # before the first run: what a run frees the system does not get back

    @cached_property
    def fixed(self) -> int | None:
        """The batch size that the network insists on, or None when it takes any."""
        declared = (value.type.tensor_type.shape.dim for value in graph_inputs(self.model.proto).values())
        first = next((dims[0] for dims in declared if dims), None)
        if first is None or first.dim_value > 0:
            return None if first is None else first.dim_value
        return 1 if self._merges_images() else None

    def _merges_images(self) -> bool:
        """Whether a network that claims any batch size gives one row for many (a Reshape to [1, -1], say)."""
        one, two = self.model.graph, self._graphs[0]
        shapes = [(one.shape(name), two.shape(name)) for name in one.outputs]
        return any(a is not None and b is not None and a[:1] == b[:1] == (1,) for a, b in shapes)

    @cached_property
    def _graphs(self) -> tuple[Graph, Graph]:
        """The graph's shapes for 2 and for 3 images."""
        shapes = self.model.input_shapes
        two, three = ({name: (n, *shape[1:]) if shape else shape for name, shape in shapes.items()} for n in (2, 3))
        proto, folder = self.model.proto, self.model.folder
        return Graph(proto, two, folder), Graph(proto, three, folder)

    @cached_property
    def _constant(self) -> frozenset[str]:
        """Tensors that are the same whatever is fed."""
        return frozenset(constant_tensors(self.model.graph))

    def axis(self, name: str, shape: tuple[int, ...], size: int) -> int | None:
        """The axis along which the images of a slice of `size` lie in a value of this shape; None: there is none."""
        if self.fixed is None:
            two, three = (graph.shape(name) for graph in self._graphs)
            if two is not None and three is not None and len(two) == len(three) == len(shape):
                grows = [i for i, (a, b) in enumerate(zip(two, three, strict=True)) if a and b and 3 * a == 2 * b]
                if grows or None not in (*two, *three):
                    return grows[0] if len(grows) == 1 else None
        return 0 if shape[:1] == (size,) else None

    def join(self, name: str, parts: Sequence[np.ndarray], size: int, count: int) -> np.ndarray:
        """One value out of those of several slices.

        Raises InputError when that has no meaning.
        """
        if (len(parts) == 1 and size == count) or name in self._constant:
            return parts[0]
        axis = self.axis(name, parts[0].shape, size)
        if axis is not None:
            share = parts[0].shape[axis] // size
            return np.concatenate(parts, axis).take(range(count * share), axis)
        if size == 1:
            return self._stacked(name, parts)
        if all(np.array_equal(parts[0], part) for part in parts[1:]):
            return parts[0]
        raise InputError(f"the tensor {name} has no batch axis: run fewer images at once than {count}")

    def _stacked(self, name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
        if len({part.shape for part in parts}) > 1:
            raise InputError(f"the tensor {name} has another shape for every image: run them one by one")
        return np.stack(parts)

    def has_batch_axis(self, name: str) -> bool:
        """Whether the tensor has, as far as is known, values of its own for every image."""
        shape = self.model.graph.shape(name)
        if name in self._constant or self.fixed == 1 or shape is None or shape[:1] == (None,):
            return name not in self._constant
        return self.axis(name, tuple(size or 0 for size in shape), self.fixed or 1) is not None

    def per_image(self, name: str, value: np.ndarray, count: int) -> np.ndarray:  # [count, …]
        """What `Session.run` gave for `count` images, one entry an image.

        Raises InputError when there is no such thing.
        """
        axis = self.axis(name, value.shape, count)
        if axis is not None:
            rows = np.moveaxis(value, axis, 0)
            return rows if len(rows) == count else rows.reshape(count, -1, *rows.shape[1:])
        if self.fixed == count == 1:
            return value[None]
        raise InputError(f"the tensor {name} {list(value.shape)} has no axis of {count} images: it cannot be stored")

    def stream_size(self, tensors: Sequence[str], memory: int) -> int:
        """Images that a stream handles at a time: whole slices of the network's batch size that fit in `memory`."""
        most = min(self._room(memory) // self._working_bytes(tensors), _IMAGES_AT_ONCE)
        step = self.fixed or 1
        return max(1, most // step) * step

    def slice_size(self, count: int, tensors: Sequence[str], memory: int | None, copies: int = 1) -> int:
        """Images in one run: the network's own batch size, else at most `count` and what fits in `memory` bytes.

        `copies`: how often a run holds every activation; 1 for a forward pass.
        """
        if self.fixed is not None:
            return self.fixed
        most = min(count, _IMAGES_AT_ONCE)
        return most if memory is None else max(1, min(most, self._room(memory) // self._working_bytes(tensors, copies)))

    def check(self, memory: int | None, tensors: Sequence[str], held: int, copies: int = 1) -> None:
        """Raise InputError when one slice, and the values of `held` images beside it, do not fit in `memory`."""
        if memory is None:
            return
        needed = self._working_bytes(tensors, copies) * (self.fixed or 1) + self.bytes_per_image(tensors) * held
        room = self._room(memory)
        if needed > room:
            images = f"{held} image(s)" if held else "one slice"
            budget = f"the memory budget of {quantities.size(memory)} leaves {quantities.size(max(0, room))}"
            raise InputError(
                f"{len(tensors)} tensor(s) of {images} need {quantities.size(needed)}, {budget}: "
                f"give {quantities.size(memory + needed - room)}, ask for fewer, or stream to Zarr"
            )

    def bytes_per_image(self, tensors: Sequence[str]) -> int:
        """Bytes that these tensors take for one image, as far as their shapes are known."""
        types = self.model.graph.types
        known = (types[name] for name in tensors if name in types)
        return sum((kind.elements or 0) * _item_bytes(kind.dtype) for kind in known)

    def _working_bytes(self, tensors: Sequence[str], copies: int = 1) -> int:
        """Upper bound of what a run takes for one image: every activation, and the wanted ones copied twice."""
        computed = [name for node in self.model.graph.nodes for name in node.outputs if name]
        return max(1, copies * self.bytes_per_image(computed) + 2 * self.bytes_per_image(tensors))

    def _room(self, memory: int) -> int:
        """What the budget leaves: this process as it was, and the weights twice, as they are when a session opens."""
        return memory - self.resident - 2 * self.model.proto.ByteSize()


def memory_bytes(size: int | str) -> int:
    """2147483648 or "2GB" (binary units, the B may be left out) as bytes.

    Raises InputError when it is no size.
    """
    text = str(size).strip().upper()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", text)
    if not found or float(found[1]) <= 0:
        raise InputError(f"a memory budget is a size such as 2GB or 500MB, found {size!r}")
    return int(float(found[1]) * _UNITS[found[2]])


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def _item_bytes(dtype: str) -> int:
    try:
        return np.dtype(dtype).itemsize
    except TypeError:  # bfloat16 and the narrow types are not NumPy's
        return 2 if dtype == "bfloat16" else 1
