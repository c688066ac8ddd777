"""Filters of a layer as planes, and what kind the first layer's are: grey or coloured, oriented or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..results import Result
from .gabor import fit
from .stored_weights import CONVOLUTIONS, Weight, as_filters, find_weights, read_weight, stored_weights
from .weights import DEAD

if TYPE_CHECKING:
    from ..model import Model

_MEASURES = ("gabor", "blob", "orientation", "frequency")


@dataclass(frozen=True)
class Filters(Result):
    """One filter an output channel or unit."""

    layer: str
    weight: str  # the stored tensor's name
    op: str
    role: str
    channels: str  # "RGB", "BGR" or "GREY" where the input channels are the image's; "" elsewhere
    values: np.ndarray = field(repr=False)  # [out, in, kh, kw] float32; in: of one group; a dense layer has 1x1 kernels

    @property
    def colours(self) -> np.ndarray | None:  # [out, kh, kw, 3]
        """The filters as colours, red first, where the input channels are the image's."""
        if self.channels not in ("RGB", "BGR") or self.values.shape[1] != 3:
            return None
        rgb = self.values[:, ::-1] if self.channels == "BGR" else self.values
        return rgb.transpose(0, 2, 3, 1)

    @property
    def living(self) -> np.ndarray:  # [out] bool
        """Which filters have a finite weight above DEAD of the layer's largest."""
        magnitudes = np.where(np.isfinite(self.values), np.abs(self.values), 0)
        largest = magnitudes.max(axis=(1, 2, 3), initial=0)
        return largest > DEAD * largest.max(initial=0)


@dataclass(frozen=True)
class FilterKinds(Result):
    """What the first layer's filters look for. Filters that are dead or not finite have NaN and are of no kind."""

    layer: str
    channels: str  # "RGB", "BGR" or "GREY"
    grey_energy: np.ndarray  # [out] share of the squared weights along the grey axis (1, 1, 1) of colour space
    gabor: np.ndarray  # [out] R² of the best Gabor function
    blob: np.ndarray  # [out] R² of the best difference of Gaussians
    orientation: np.ndarray  # [out] degrees: 0 horizontal bars or edges, 45 rising to the right, 90 vertical
    frequency: np.ndarray  # [out] cycles a pixel
    oriented: np.ndarray  # [out] bool: a better Gabor function than `chance`, and than a blob
    chance: float  # the Gabor fit that 1 random filter in 100 of this size exceeds; 1: kernel too small to tell

    @property
    def living(self) -> np.ndarray:  # [out] bool
        """Which filters are of some kind: not dead, and finite."""
        return np.isfinite(self.grey_energy)

    @property
    def grey(self) -> np.ndarray:  # [out] bool
        """More than half of the energy along the grey axis."""
        return self.grey_energy > 0.5

    @property
    def colour(self) -> np.ndarray:  # [out] bool
        """Half of the energy or more off the grey axis."""
        return self.grey_energy <= 0.5


def first_layer(model: Model) -> Weight | None:
    """The first convolution's weight that reads the image itself; None when there is none.

    Of weights without their network: the first stored one of a convolution, if it has a colour image's channels or one.
    """
    if model.is_weights_alone:
        return _first_stored(model)
    weights = {w.node.name: w for w in stored_weights(model.graph) if w.node is not None and w.role == "weight"}
    image = model.spec.input if model.spec.input in model.graph.inputs else next(iter(model.graph.inputs), "")
    seen = {image}  # tensors that show the image, before any layer
    for node in model.graph.nodes:
        if not node.inputs or node.inputs[0] not in seen:
            continue
        weight = weights.get(node.name)
        if weight is not None and node.op in CONVOLUTIONS:
            return weight
        if weight is None:
            seen.update(node.outputs)
    return None


def _first_stored(model: Model) -> Weight | None:
    kernels = (weight for weight in stored_weights(model.graph) if weight.role == "weight")
    for weight in kernels:
        shape = model.graph.types[weight.name].shape or ()
        if len(shape) == 4:
            return weight if shape[1] in (1, 3) else None
    return None


def filters(model: Model, layer: str | None = None) -> Filters:
    """The filters of a layer: of the first that sees the image unless `layer` names a node, tensor or weight.

    A tensor that holds no filters (a bias, an embedding, a constant) comes as a matrix of 1x1 kernels.

    Raises InputError when there is no such layer.
    """
    first = first_layer(model)
    if layer is not None:
        chosen = find_weights(model.graph, layer)
    elif first is not None:
        chosen = (first,)
    else:
        raise InputError("no convolution reads the image directly; name a layer with --layer")
    found = next(_each(model, chosen, first), None)
    return found if found is not None else _matrix(model, chosen[0])


def all_filters(model: Model, layer: str | None = None) -> Iterator[Filters]:
    """The filters of every layer that has them, or of one layer's weights, one layer in memory at a time."""
    chosen = stored_weights(model.graph) if layer is None else find_weights(model.graph, layer)
    yield from _each(model, chosen, first_layer(model))


def _each(model: Model, weights: Iterable[Weight], first: Weight | None) -> Iterator[Filters]:
    for weight in weights:
        found = as_filters(weight, read_weight(model.graph, weight))
        if found is not None:
            planes = _planes(found)
            channels = _channels(model, planes) if first is not None and first.name == weight.name else ""
            yield Filters(*_user(weight), channels, planes)


def _channels(model: Model, planes: np.ndarray) -> str:
    """The order of the image's channels that a first layer's filters read."""
    order, count = model.spec.channel_order, planes.shape[1]
    return order if count == {"RGB": 3, "BGR": 3, "GREY": 1}[order] else "GREY" if count == 1 else ""


def _planes(found: np.ndarray) -> np.ndarray:  # [out, in, *kernel] -> [out, planes, kh, kw]
    """Kernels of one dimension become one row; of three, a plane a slice."""
    height, width = (1, 1, *found.shape[2:])[-2:]
    planes = int(np.prod(found.shape[1:], dtype=np.int64)) // max(height * width, 1)
    return found.astype(np.float32).reshape(len(found), planes, height, width)


def _matrix(model: Model, weight: Weight) -> Filters:
    values = read_weight(model.graph, weight).astype(np.float32)
    rows = len(values) if values.ndim > 1 else 1
    return Filters(*_user(weight), "", values.reshape(rows, -1 if values.size else 0, 1, 1))


def _user(weight: Weight) -> tuple[str, str, str, str]:
    """The layer, the weight, its operator and its role."""
    layer, op = (weight.node.name, weight.node.op) if weight.node else (weight.name, "")
    return layer, weight.name, op, weight.role


def filter_kinds(found: Filters) -> FilterKinds | None:
    """Grey, coloured and oriented filters of a first layer; None for a deeper one."""
    if not found.channels:
        return None
    living = found.living & np.isfinite(found.values).all(axis=(1, 2, 3))
    values = np.where(living[:, None, None, None], found.values, 0).astype(np.float64)
    grey = np.where(living, grey_energy(values), np.nan)
    fitted = fit(values)
    shown = {name: np.where(living, getattr(fitted, name), np.nan) for name in _MEASURES}
    return FilterKinds(
        found.layer, found.channels, grey, oriented=fitted.oriented & living, chance=fitted.chance, **shown
    )


def grey_energy(values: np.ndarray) -> np.ndarray:  # [out, C, kh, kw] -> [out]
    """Share of the squared weights that lie along the grey axis: E_grey / E with E_grey = Σ (Σ_c w_c / √C)²."""
    along = np.square(values.sum(1)).sum(axis=(1, 2)) / values.shape[1]
    total = np.square(values).sum(axis=(1, 2, 3))
    return along / np.where(total > 0, total, 1)
