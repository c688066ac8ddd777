"""What is fed to a network: arrays by graph input, checked against what the graph declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..importers.errors import InputError, nearest_names
from ..importers.onnx_file import graph_inputs
from .images import image_input

if TYPE_CHECKING:
    from .model import Model

_NUMBER = "a single number"


def named_feeds(model: Model, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by graph input, with its element type.

    Raises InputError when one is missing, unknown or of another shape.
    """
    declared = graph_inputs(model.proto)
    if isinstance(inputs, Mapping):
        named = inputs
    else:  # sound and volumes too, where there is only one place for them
        named = {next(iter(declared)) if len(declared) == 1 else image_input(model)[0]: inputs}
    for name in named:
        if name not in declared:
            raise InputError(f"the network has no input {name!r}; {nearest_names(name, declared)}")
    missing = [name for name in declared if name not in named]
    if missing:
        unfed = ", ".join(missing)
        raise InputError(
            f"the network has {len(declared)} inputs, expected arrays by name; nothing was given for {unfed}"
        )
    return {name: _feed(model, name, np.asarray(value)) for name, value in named.items()}


def _feed(model: Model, name: str, value: np.ndarray) -> np.ndarray:
    kind = graph_inputs(model.proto)[name].type.tensor_type
    if kind.HasField("shape"):
        sizes = [dim.dim_value for dim in kind.shape.dim]  # 0: any
        pairs = zip(sizes[1:], value.shape[1:], strict=False)  # the first is the batch, which may be sliced
        if len(sizes) != value.ndim or any(size not in (0, found) for size, found in pairs):
            wanted = "x".join(str(size or "?") for size in sizes)
            found = "x".join(map(str, value.shape))
            raise InputError(f"the input {name} is {wanted or _NUMBER}, found {found or _NUMBER}")
    return _cast(value, model.graph.types[name].dtype)


def _cast(value: np.ndarray, dtype: str) -> np.ndarray:
    """Whole numbers are rounded and clipped to their range: pixels for a network that takes uint8."""
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InputError(f"inputs of type {dtype} cannot be fed; convert the network to float32") from None
    if kind.kind in "iu" and value.dtype.kind == "f":
        limits = np.iinfo(kind)
        value = np.clip(np.rint(value), limits.min, limits.max)
    return np.asarray(value, kind, order="C")


def images_of(feeds: Mapping[str, np.ndarray], start: int, size: int, count: int) -> dict[str, np.ndarray]:
    """`size` images from `start` on, the last one repeated past the end; inputs without a batch axis stay whole."""
    if size == count:
        return dict(feeds)
    rows = np.minimum(np.arange(start, start + size), count - 1)
    contiguous = slice(start, start + size) if start + size <= count else rows
    return {name: value[contiguous] if value.shape[:1] == (count,) else value for name, value in feeds.items()}


def image_count(feeds: Mapping[str, np.ndarray]) -> int:
    """How many images there are: what the first input says.

    Raises InputError when there are none.
    """
    first = next(iter(feeds.values()), np.empty(1))  # a network without inputs answers once
    count = first.shape[0] if first.ndim else 1
    if count == 0:
        raise InputError("expected at least one image, found an array of none")
    return count
