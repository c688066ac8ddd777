"""One number of a network's outputs, by onnxruntime and by the torch bridge, and its gradient by the latter."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..feeds import named_feeds
from .dtypes import to_torch

if TYPE_CHECKING:
    from ..session import Session
    from ..structure.graph import Graph, Node
    from .torch_model import TorchModel

# What these make jumps: which value is largest, which boxes are kept.
_CHOOSING = ("ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "TopK", "Unique", "Hardmax", "Floor", "Ceil", "Sign")
# Saturated at the end of many networks: what they read is taken too, and where all they give is 0 or 1, only that.
_SQUASHING = ("Softmax", "LogSoftmax", "Sigmoid")
_STEPS = 1e-3  # sum of p(1 - p), as a share of that of p

_MOVING = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast")


class Point(dict[str, np.ndarray]):
    """Varied inputs by name; a direction or a gradient with respect to them, too."""

    def __add__(self, other: Point) -> Point:
        return Point({name: self[name] + other[name] for name in self})

    def __sub__(self, other: Point) -> Point:
        return Point({name: self[name] - other[name] for name in self})

    def __mul__(self, factor: float | Mapping[str, float]) -> Point:
        factors = factor if isinstance(factor, Mapping) else dict.fromkeys(self, factor)
        return Point({name: self[name] * factors[name] for name in self})

    def dot(self, other: Point) -> float:
        """Sum of the products of elements."""
        return sum(float(np.vdot(self[name], other[name])) for name in self)

    def length(self) -> float:
        """Euclidean."""
        return float(np.sqrt(self.dot(self)))

    def elements(self) -> int:
        """How many numbers there are."""
        return sum(value.size for value in self.values())

    def total(self) -> float:
        """Sum of all elements."""
        return sum(float(value.sum()) for value in self.values())


class Projection:
    """f(x): the network's real outputs at the inputs x, times seeded random weights, summed.

    `scale`: each varied input's standard deviation; steps and gradients are counted in it.
    """

    def __init__(self, torch_model: TorchModel, session: Session, feeds: Mapping[str, np.ndarray]) -> None:
        self.torch_model, self.session, self.feeds = torch_model, session, dict(feeds)
        varied = [name for name, value in feeds.items() if value.dtype.kind == "f" or name in torch_model.carried]
        self.centre = Point({name: feeds[name].astype(np.float64) for name in varied})
        self.scale = {name: _spread(value) for name, value in self.centre.items()}
        self.whole = [name for name in varied if feeds[name].dtype.kind in "iu"]  # take whole numbers only
        squashed = _squashed(torch_model)
        values = session.run(self.feeds, list(dict.fromkeys((*_outputs(torch_model), *squashed.values()))))
        steps = [name for name in squashed if _is_saturated(values[name])]
        generator = np.random.default_rng(SEED)
        self.weights = {
            name: _weights(value, generator) for name, value in values.items() if _is_real(value) and name not in steps
        }

    def fed(self, point: Point) -> Point:
        """The point as onnxruntime gets it: rounded to the inputs' types."""
        whole = named_feeds(self.torch_model.model, self.feeds | point)
        return Point({name: whole[name].astype(np.float64) for name in point})

    def onnxruntime(self, point: Point) -> Point:
        """Output -> its weighted values, float64; their sum is f.

        Raises InputError when an output has another shape than at the centre.
        """
        return self._weighted(self.session.run(self.feeds | point, list(self.weights)))

    def bridge(self, point: Point) -> Point:
        """As `onnxruntime`."""
        return self._weighted(self.torch_model.run(self.feeds | point, list(self.weights)))

    def _weighted(self, values: Mapping[str, np.ndarray]) -> Point:
        weighted = Point()
        for name, weights in self.weights.items():
            if values[name].shape != weights.shape:
                raise InputError(f"the shape of the output {name} depends on the input's values")
            weighted[name] = np.where(weights != 0, values[name], 0).astype(np.float64) * weights
        return weighted

    def jumps(self, upper: Point, lower: Point) -> bool:
        """Whether an index or another choice, which no gradient knows of, differs between two points."""
        if not self._choices:
            return False
        ends = [self.session.run(self.feeds | point, self._choices) for point in (upper, lower)]
        return not all(np.array_equal(ends[0][name], ends[1][name]) for name in self._choices)

    @cached_property
    def _choices(self) -> list[str]:
        nodes = (node for node in self.torch_model.model.graph.nodes if node.op in _CHOOSING)
        names = (node.outputs[1] if node.op == "TopK" else node.outputs[0] for node in nodes)
        return [name for name in names if name in self.session.tensors]

    @cached_property
    def rounding(self) -> float:
        """By how much f is off for rounding at the centre: the two sides round in different orders."""
        return (self.onnxruntime(self.centre) - self.bridge(self.centre)).length()

    @cached_property
    def is_differentiable(self) -> bool:
        """Whether torch sees any path from the varied inputs to f."""
        return self._traced(self.centre)[1].requires_grad

    @cached_property
    def slope(self) -> Point:
        """The gradient at the centre, in units of `scale`."""
        return self.gradient(self.centre) * self.scale

    def gradient(self, point: Point) -> Point:
        """Of f, by the bridge; 0 for an input that it does not depend on."""
        feeds, total = self._traced(point)
        found = torch.autograd.grad(total, [feeds[name] for name in self.centre], allow_unused=True)
        pairs = zip(self.centre.items(), found, strict=True)
        return Point(
            {name: np.zeros(at.shape) if slope is None else slope.double().cpu().numpy() for (name, at), slope in pairs}
        )

    def _traced(self, point: Point) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        precision = self.torch_model.precision
        feeds = {name: to_torch(value, precision) for name, value in self.feeds.items()}
        for name, value in point.items():
            feeds[name] = to_torch(value, precision or feeds[name].dtype).requires_grad_()
        values = self.torch_model.forward(feeds, list(self.weights))
        total = torch.zeros(())
        for name, made in values.items():
            weights = torch.from_numpy(self.weights[name]).to(made)
            total = total + torch.where(weights != 0, made * weights, 0).sum()
        return feeds, total


def _outputs(torch_model: TorchModel) -> list[str]:
    return [name for name in torch_model.model.graph.outputs if name in torch_model.tensors]


def _squashed(torch_model: TorchModel) -> dict[str, str]:
    """Output -> what its last squashing function reads."""
    graph = torch_model.model.graph
    makers = {output: _maker(graph, output) for output in _outputs(torch_model)}
    squashing = {output: maker for output, maker in makers.items() if maker is not None and maker.op in _SQUASHING}
    return {output: maker.inputs[0] for output, maker in squashing.items() if maker.inputs[0] in torch_model.tensors}


def _is_saturated(value: np.ndarray) -> bool:
    """Whether nearly all of it is 0 or 1, so that it moves in steps. Logarithms of probabilities are below 0."""
    return bool(value.sum() > 0 and (value * (1 - value)).sum(dtype=np.float64) < _STEPS * value.sum(dtype=np.float64))


def _maker(graph: Graph, output: str) -> Node | None:
    """What computes the output's values, which may be moved and reshaped afterwards."""
    maker = graph.producers.get(output)
    while maker is not None and maker.op in _MOVING:
        maker = graph.producers.get(maker.inputs[0])
    return maker


def _is_real(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 0


def _spread(values: np.ndarray) -> float:
    return float(values.std()) or float(np.abs(values).max(initial=0.0)) or 1.0


def _weights(value: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Normal, in units of the output's spread, so that every output has its say; 0 where it is not finite."""
    finite = np.isfinite(value)
    spread = _spread(value[finite].astype(np.float64)) if finite.any() else 1.0
    return np.where(finite, generator.normal(size=value.shape) / spread, 0.0)
