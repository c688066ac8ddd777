"""TorchModel: a differentiable copy of a Model's graph, run by torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import fx

from ...importers.errors import InputError, nearest_names
from ...importers.tensors import read_tensor
from ..feeds import named_feeds
from ..targets import settled
from .builder import Built, build
from .carrying import carried_inputs, carry_casts
from .dtypes import to_numpy, to_torch
from .rules import PLAIN, Rule
from .variants import variant

if TYPE_CHECKING:
    from ..model import Model
    from ..targets import Target


@dataclass(frozen=True)
class Gradients:
    """What a target says of N images, and how it depends on some tensors."""

    scores: np.ndarray  # [N]
    values: Mapping[str, np.ndarray]  # tensor name -> [N, …]
    gradients: Mapping[str, np.ndarray]  # tensor name -> [N, …], d score / d tensor


class TorchModel:
    """The network as torch has it. Parameters are frozen; nothing is ever left behind by a run.

    `precision`: the type all floats are computed in; None: the types that the file states.
    Raises InputError naming every operator that torch has no equal for.
    """

    def __init__(self, model: Model, precision: torch.dtype | None = torch.float32) -> None:
        self.model = model
        self.precision = precision
        built = self._build()
        self.module: fx.GraphModule = built.module
        self.tensors = built.tensors
        self.carried: frozenset[str] = frozenset()  # integer inputs that are fed as floats
        if precision is not None:
            carry_casts(built.module, built.tensors, model.graph)
            self.carried = carried_inputs(model.graph)
        self._variants: dict[tuple[tuple[str, ...], Rule], fx.GraphModule] = {}

    def _build(self) -> Built:
        model, proto = self.model, self.model.proto
        opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in proto.opset_import}
        return build(
            proto.graph, model.graph.inputs, opsets, lambda tensor: read_tensor(tensor, model.folder), self.precision
        )

    def run(
        self, inputs: np.ndarray | Mapping[str, np.ndarray], tensors: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Tensor name -> value; arguments as of `Session.run`."""
        names = list(self.model.graph.outputs if tensors is None else tensors)
        feeds = self._feeds(inputs)
        with torch.no_grad():
            values = self.forward(feeds, names)
        return {name: to_numpy(value) for name, value in values.items()}

    def forward(
        self, feeds: Mapping[str, torch.Tensor], tensors: Sequence[str], rule: Rule = PLAIN
    ) -> dict[str, torch.Tensor]:
        """Tensor name -> value, part of the autograd graph where a feed requires a gradient."""
        names = list(dict.fromkeys(tensors))
        module = self._variant(names, rule)
        return dict(zip(names, module(*(feeds[name] for name in self.model.graph.inputs)), strict=True))

    def gradients(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        target: Target,
        of: Sequence[str],  # tensors; graph inputs too
        rule: Rule = PLAIN,
    ) -> Gradients:
        """The target's score for each image, and its gradient with respect to the tensors `of`."""
        target = settled(target, self.model, inputs)
        feeds = self._feeds(inputs)
        for value in feeds.values():
            value.requires_grad_(value.is_floating_point())
        read = target.tensor(self.model)
        values = self.forward(feeds, [read, *of], rule)
        scores = target.score(values[read])
        found = torch.autograd.grad(scores.sum(), [values[name] for name in of])
        return Gradients(
            to_numpy(scores),
            {name: to_numpy(values[name]) for name in of},
            {name: to_numpy(value) for name, value in zip(of, found, strict=True)},
        )

    def _feeds(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        feeds = {name: to_torch(value, self.precision) for name, value in named_feeds(self.model, inputs).items()}
        return feeds | {name: feeds[name].to(self.precision) for name in self.carried}

    def _variant(self, names: Sequence[str], rule: Rule) -> fx.GraphModule:
        for name in names:
            if name not in self.tensors:
                raise InputError(f"the network has no tensor {name!r}; {nearest_names(name, self.tensors)}")
        key = (tuple(names), rule)
        if key not in self._variants:
            self._variants[key] = variant(self.module, [self.tensors[name] for name in names], rule)
        return self._variants[key]
