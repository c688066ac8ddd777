"""Filters of a layer as planes, and what kind the first layer's are: grey or coloured, oriented or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..results import Result
from .gabor import fit
from .graph import Graph
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
        """Which filters have a weight above DEAD of the layer's largest."""
        largest = np.abs(self.values).max(axis=(1, 2, 3), initial=0)
        return largest > DEAD * largest.max(initial=0)


@dataclass(frozen=True)
class FilterKinds(Result):
    """What the first layer's filters look for. Dead filters have NaN and are of no kind."""

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
        """Which filters are not dead."""
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
    """The first convolution's weight that reads the image itself; None when there is none."""
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


def filters(model: Model, layer: str | None = None) -> Filters:
    """The filters of a layer: of the first that sees the image unless `layer` names a node, tensor or weight.

    Raises InputError when there is no such layer or it has no filters.
    """
    first = first_layer(model)
    if layer is None and first is None:
        raise InputError("no convolution reads the image directly; name a layer")
    candidates = (first,) if layer is None and first is not None else find_weights(model.graph, layer or "")
    for weight in candidates:
        values = read_weight(model.graph, weight)
        planes = _planes(weight, values)
        if planes is not None:
            is_first = first is not None and first.name == weight.name
            return _filters(model, weight, planes, is_first)
    shapes = ", ".join(f"{w.name} {_shape(model.graph, w)}" for w in candidates)
    raise InputError(f"{layer} holds no filters that can be drawn: {shapes}")


def _filters(model: Model, weight: Weight, planes: np.ndarray, is_first: bool) -> Filters:
    channels = model.spec.channel_order if is_first else ""
    if planes.shape[1] != {"RGB": 3, "BGR": 3, "GREY": 1}.get(channels):
        channels = "GREY" if is_first and planes.shape[1] == 1 else ""
    node = weight.node
    name, op = (node.name, node.op) if node else (weight.name, "")
    return Filters(name, weight.name, op, weight.role, channels, planes)


def _planes(weight: Weight, values: np.ndarray) -> np.ndarray | None:
    """[out, in, kh, kw]: kernels of other ranks laid out in two dimensions; None for what is no filter."""
    found = as_filters(weight, values)
    if found is None:
        if weight.role not in ("constant", "weight", "operand", "embedding", "recurrence") or values.ndim < 2:
            return None
        found = values
    found = found.astype(np.float32)
    out, inputs, *kernel = found.shape
    height, width = (1, *kernel)[-2:] if kernel else (1, 1)
    return found.reshape(out, -1 if found.size else inputs, height, width)


def _shape(graph: Graph, weight: Weight) -> str:
    known = graph.shape(weight.name)
    return "x".join(map(str, known or ())) or "scalar"


def filter_kinds(found: Filters) -> FilterKinds | None:
    """Grey, coloured and oriented filters of a first layer; None for a deeper one."""
    if not found.channels:
        return None
    living = found.living
    grey = np.where(living, grey_energy(found.values.astype(np.float64)), np.nan)
    fitted = fit(found.values)
    shown = {name: np.where(living, getattr(fitted, name), np.nan) for name in _MEASURES}
    return FilterKinds(
        found.layer, found.channels, grey, oriented=fitted.oriented & living, chance=fitted.chance, **shown
    )


def grey_energy(values: np.ndarray) -> np.ndarray:  # [out, C, kh, kw] -> [out]
    """Share of the squared weights that lie along the grey axis: E_grey / E with E_grey = Σ (Σ_c w_c / √C)²."""
    along = np.square(values.sum(1)).sum(axis=(1, 2)) / values.shape[1]
    total = np.square(values).sum(axis=(1, 2, 3))
    return along / np.where(total > 0, total, 1)
