"""randomisation: whether the explanation depends on what the network learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..images import Images, displayable
from ..methods.attributing import Progress
from ..methods.options import check_count
from ..results import Result
from .correlation import spearman
from .explaining import Explains, explained_versions
from .random_weights import RandomisedModel, WeightedLayer, weighted_layers
from .scoring import Explained, Targets, explained

if TYPE_CHECKING:
    from ..model import Model


@dataclass(frozen=True)
class Likeness:
    """Rank correlations with the true maps, from -1 to 1; NaN: a map is flat."""

    values: np.ndarray  # [R]
    magnitudes: np.ndarray  # [R] of the maps without their sign, which alone may survive

    @property
    def largest(self) -> np.ndarray:  # [R]
        """The one that says more against the method."""
        return np.maximum(np.abs(self.values), np.abs(self.magnitudes))


@dataclass(frozen=True)
class RandomisedLayer:
    """What is left of the maps without what a layer learned."""

    layer: str
    op: str
    weights: tuple[str, ...]  # the stored tensors that became random
    cascading: Likeness | None  # with all layers from the output to this one random; None: not asked for
    independent: Likeness | None  # with this one alone random; None: not asked for


@dataclass(frozen=True)
class Randomisation(Result):
    """A row a layer, from the output to the input."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    layers: tuple[RandomisedLayer, ...]
    settings: Mapping[str, Any]


def randomisation(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    method: Explains,  # called as method(model, images, target=…); functools.partial holds its other options
    *,
    target: Targets = None,  # what is explained: for random networks too, what the true one decided
    layers: int | None = None,  # how many, evenly spaced from the output's to the input's; None: every one
    cascading: bool = True,  # all layers from the output on
    independent: bool = True,  # each layer alone
    seed: int = SEED,
    progress: Progress | None = None,  # called with (networks explained, networks in all)
) -> Randomisation:
    """The method run again on networks whose weights are random, and Spearman's rank correlation of its maps with the
    true ones. A method that explains the network must give other maps, so that values near 0 are good; an edge detector
    stays at 1. Random weights are the layer's own in random order: shape, mean and standard deviation are kept exactly.
    The running statistics of batch normalisation stay. Images are taken as the network sees them, in whole grey levels.
    Unlike in the paper, only pixels count where the true map is not 0: those outside a target's receptive field are 0
    for every network, and would make any two maps of a neuron or a box alike.

    Raises InputError as the method does, or when no layer before the targets has weights.
    Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292,
    section 3 (model parameter randomisation).
    """
    if layers is not None:
        check_count("layers", layers)
    seen = list(explained(model, images, target))
    every = weighted_layers(model, [entry.tensor(model) for entry in seen[0].targets])
    if not every:
        raise InputError("expected targets that depend on learned weights, found none that could be made random")
    chosen = _evenly(len(every), layers)
    copy = RandomisedModel(model, seed)
    true = _maps(method, model, seen)
    done, networks = 0, len(chosen) * (cascading + independent)

    def likeness() -> Likeness:
        nonlocal done
        found = _likeness(true.maps, _maps(method, copy.model(), seen).maps)
        done += 1
        if progress is not None:
            progress(done, networks)
        return found

    in_cascade: dict[int, Likeness] = {}
    for depth, layer in enumerate(every if cascading else ()):
        copy.shuffle(layer)
        if depth in chosen:
            in_cascade[depth] = likeness()
    for layer in every:
        copy.restore(layer)
    alone: dict[int, Likeness] = {}
    for depth in chosen if independent else ():
        copy.shuffle(every[depth])
        alone[depth] = likeness()
        copy.restore(every[depth])
    return Randomisation(
        true.method,
        true.images,
        true.targets,
        tuple(_row(every[depth], in_cascade.get(depth), alone.get(depth)) for depth in chosen),
        {"layers": layers, "cascading": cascading, "independent": independent, "seed": seed},
    )


def _row(layer: WeightedLayer, cascading: Likeness | None, independent: Likeness | None) -> RandomisedLayer:
    return RandomisedLayer(layer.name, layer.op, layer.weights, cascading, independent)


@dataclass(frozen=True)
class _Maps:
    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    maps: np.ndarray  # [R, H, W]


def _maps(method: Explains, model: Model, seen: Sequence[Explained]) -> _Maps:
    """Each image's maps for its own targets."""
    found = [
        next(explained_versions(method, model, [displayable(entry.image, model.spec)], entry.targets)) for entry in seen
    ]
    names = tuple(entry.name for entry in seen for _ in entry.targets)
    labels = tuple(label for entry in seen for label in entry.labels)
    return _Maps(found[0].method, names, labels, np.concatenate([result.maps for result in found]))


def _likeness(true: np.ndarray, found: np.ndarray) -> Likeness:
    pairs = [(one[one != 0], other[one != 0]) for one, other in zip(true, found, strict=True)]
    return Likeness(
        np.array([spearman(one, other) for one, other in pairs]),
        np.array([spearman(np.abs(one), np.abs(other)) for one, other in pairs]),
    )


def _evenly(count: int, wanted: int | None) -> list[int]:
    """So many of the first `count` numbers, first and last among them; None: all."""
    places = np.linspace(0, count - 1, count if wanted is None else min(wanted, count))
    return sorted({round(place) for place in places})
