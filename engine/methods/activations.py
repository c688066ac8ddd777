"""activations: what every layer answers to one image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.errors import InputError, nearest_names
from ..images import ImageBatches, displayable
from ..results import Result
from ..structure.classifier import find_classifier
from ..structure.default_layers import DEFAULT_RULE, default_layers
from ..structure.graph import Graph
from .predict import Predictions, best_classes, classifier_of, predictions

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

__all__ = ["DEFAULT_RULE", "Activations", "LayerActivation", "activations", "default_layers", "find_tensors"]

_BINS = 64


@dataclass(frozen=True)
class LayerActivation:
    """One tensor's answer to the image. Statistics are over all of its finite values."""

    tensor: str
    node: str  # what computes it
    op: str
    values: np.ndarray = field(repr=False)  # [C, H, W], [C] for a dense layer; other ranks without the batch axis
    mean: float
    std: float
    min: float
    max: float
    zeros: float  # share of values that are exactly 0
    silent: float  # share of channels that are 0 everywhere
    not_finite: int  # values that are NaN or infinite
    activity: np.ndarray = field(repr=False)  # [C] mean magnitude of every channel
    histogram: np.ndarray = field(repr=False)  # [64] counts
    edges: np.ndarray = field(repr=False)  # [65] their bounds

    @property
    def most_active(self) -> list[int]:
        """Channels by mean magnitude, the largest first."""
        return [int(channel) for channel in np.argsort(-self.activity, kind="stable")]


@dataclass(frozen=True)
class Activations(Result):
    """The image as the network sees it, and what its layers make of it."""

    image: str
    picture: np.ndarray  # [H, W, 3] uint8: the network's input, made visible again
    layers: tuple[LayerActivation, ...]
    rule: str  # how the layers were chosen
    predictions: Predictions | None  # None: the network is no classifier

    def arrays(self) -> dict[str, np.ndarray]:
        """The picture, and every layer's values as layers/TENSOR."""
        return {"picture": self.picture, **{f"layers/{layer.tensor}": layer.values for layer in self.layers}}


def activations(
    model: Model,
    image: str | Path | np.ndarray,  # a file, or pixels [H, W, 3]
    layers: Sequence[str] | None = None,  # tensors or nodes by name, * stands for any part; None: a few, by a rule
    *,
    top: int = 5,
    session: Session | None = None,
) -> Activations:
    """Feature maps of an image with their statistics, and the top classes where the network is a classifier.

    Raises InputError when a layer's name is unknown or the image cannot be read.
    """
    session = session or model.session()
    asked = default_layers(model.graph) if layers is None else find_tensors(model.graph, layers, session.tensors)
    classifier = classifier_of(model) if find_classifier(model.graph) is not None else None
    path, batch = _one_image(model, image)
    values = session.run(batch, asked if classifier is None else [*asked, *classifier.tensors])
    found = [] if classifier is None else [best_classes(classifier, values, 1, top)]
    return Activations(
        image=str(path),
        picture=displayable(batch, model.spec),
        layers=tuple(_layer(model.graph, name, values[name]) for name in asked),
        rule=DEFAULT_RULE if layers is None else "the layers asked for",
        predictions=None if classifier is None else predictions(model, classifier, [str(path)], found),
    )


def find_tensors(graph: Graph, names: Sequence[str], computed: Sequence[str]) -> list[str]:
    """Tensors by their own name or their node's, in the order asked for; * stands for any part of a name.

    Raises InputError when there is none of that name.
    """
    known = set(computed)
    nodes = {node.name: node.outputs[0] for node in graph.nodes if node.outputs and node.outputs[0] in known}
    found: list[str] = []
    for name in names:
        if name in known:
            found.append(name)
        elif name in nodes:
            found.append(nodes[name])
        elif "*" in name and (
            matches := [tensor for tensor in computed if fnmatchcase(tensor, name.replace("[", "[[]"))]
        ):
            found += matches
        else:
            raise InputError(f"the network has no layer {name!r}; {nearest_names(name, [*nodes, *computed])}")
    return list(dict.fromkeys(found))


def _one_image(model: Model, image: str | Path | np.ndarray) -> tuple[Path, np.ndarray]:
    batches = ImageBatches(image, model, batch_size=1)
    if len(batches) > 1:
        raise InputError(
            f"expected one image, found {len(batches)} in {image if isinstance(image, (str, Path)) else 'the array'}"
        )
    paths, batch = next(iter(batches))
    return paths[0], batch


def _layer(graph: Graph, tensor: str, value: np.ndarray) -> LayerActivation:
    values = value[0] if value.shape[:1] == (1,) else value
    finite = values[np.isfinite(values)].astype(np.float64) if values.dtype.kind == "f" else values.astype(np.float64)
    finite = finite.reshape(-1)
    magnitudes = _channel_magnitudes(values)
    counts, edges = np.histogram(finite, _BINS)
    node = graph.producers[tensor]
    return LayerActivation(
        tensor=tensor,
        node=node.name,
        op=node.op,
        values=values,
        mean=_statistic(finite, np.mean),
        std=_statistic(finite, np.std),
        min=_statistic(finite, np.min),
        max=_statistic(finite, np.max),
        zeros=float(np.mean(values == 0)) if values.size else 0.0,
        silent=float(np.mean(magnitudes == 0)) if len(magnitudes) else 0.0,
        not_finite=int(values.size - finite.size),
        activity=magnitudes,
        histogram=counts,
        edges=edges,
    )


def _channel_magnitudes(values: np.ndarray) -> np.ndarray:  # [C]
    """Mean magnitude of each entry of the first axis, the channel; what is not finite counts as 0."""
    if values.ndim == 0:
        return np.zeros(0)
    return np.abs(np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)).reshape(len(values), -1).mean(1)


def _statistic(values: np.ndarray, function: Callable[[np.ndarray], np.floating[Any]]) -> float:
    return float(function(values)) if values.size else math.nan
