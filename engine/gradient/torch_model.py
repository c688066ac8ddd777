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
from ..batching import Batching, memory_bytes
from ..feeds import image_count, images_of, named_feeds
from .builder import Built, build
from .carrying import carried_inputs, carry_casts
from .constants import Constants
from .dtypes import to_numpy, to_torch
from .freed_memory import keep_freed_memory
from .rules import PLAIN, Rule
from .scores import Targets
from .variants import Variants

if TYPE_CHECKING:
    from ..model import Model
    from ..targets import Target

_COPIES = 2  # of every activation in float32, as an upper bound; torchvision's networks took 0.6 to 1.3


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
        keep_freed_memory()
        self.model = model
        self.precision = precision
        built = self._build()
        self.module: fx.GraphModule = built.module
        self.tensors = built.tensors
        self.carried: frozenset[str] = frozenset()  # integer inputs that are fed as floats
        if precision is not None:
            carry_casts(built.module, built.tensors, model.graph)
            self.carried = carried_inputs(model.graph)
        self._batching = Batching(model)
        self._variants = Variants(self.module, fused=precision is not None)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return next((buffer.device for buffer in self.module.buffers()), torch.device("cpu"))

    def to(self, device: str | torch.device) -> TorchModel:
        """Move the network there; returns itself."""
        self.module.to(device)
        self._variants = Variants(self.module, fused=self.precision is not None)
        return self

    def _build(self) -> Built:
        model, proto = self.model, self.model.proto
        opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in proto.opset_import}
        return build(
            proto.graph, model.graph.inputs, opsets, lambda tensor: read_tensor(tensor, model.folder), self.precision
        )

    def run(
        self, inputs: np.ndarray | Mapping[str, np.ndarray], tensors: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Tensor name -> value; arguments, slices of a fixed batch size and errors as of `Session.run`."""
        names = list(self.model.graph.outputs if tensors is None else tensors)
        feeds = named_feeds(self.model, inputs)
        count, size = self._slices(feeds, names, None)
        parts = [self._run_once(images_of(feeds, start, size, count), names) for start in range(0, count, size)]
        return self._joined(parts, names, size, count)

    def forward(
        self, feeds: Mapping[str, torch.Tensor], tensors: Sequence[str], rule: Rule = PLAIN
    ) -> dict[str, torch.Tensor]:
        """Tensor name -> value, part of the autograd graph where a feed requires a gradient."""
        return self._forward(feeds, tensors, rule, [])

    def gradients(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        target: Target | Sequence[Target],  # several: one an image
        of: Sequence[str],  # tensors; graph inputs too
        rule: Rule = PLAIN,
        memory: int | str | None = None,  # what the process may hold, in bytes or as "2GB"
    ) -> Gradients:
        """The target's score for each image, and its gradient with respect to the tensors `of`.

        A network of fixed batch size runs in slices of it, one of any batch size in slices that fit `memory`.
        Raises InputError when a score does not depend differentiably on a tensor of `of`, is no number, or when one
        image does not fit in `memory`.
        """
        from .reach import check_path

        feeds = named_feeds(self.model, inputs)
        targets = Targets(target, self.model, inputs, image_count(feeds))
        for read in targets.tensors:
            check_path(self.model, read, of)
        count, size = self._slices(feeds, [*targets.tensors, *of], None if memory is None else memory_bytes(memory))
        parts = [
            self._gradients_once(images_of(feeds, start, size, count), targets.of_images(start, size), of, rule)
            for start in range(0, count, size)
        ]
        return Gradients(
            np.concatenate([part.scores for part in parts])[:count],
            self._joined([part.values for part in parts], of, size, count),
            self._joined([part.gradients for part in parts], of, size, count),
        )

    def simplified(self, tensors: Sequence[str]) -> tuple[fx.Graph, Constants]:
        """A graph that gives these tensors, and its constants: for what rewrites the network in another way."""
        return self._variants.simplified(self.tensors[name] for name in tensors)

    # -- one slice ---

    def _run_once(self, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            values = self.forward(self._feeds(inputs), names)
        return {name: to_numpy(value) for name, value in values.items()}

    def _gradients_once(
        self, inputs: Mapping[str, np.ndarray], targets: Targets, of: Sequence[str], rule: Rule
    ) -> Gradients:
        feeds = self._feeds(inputs)
        for name in feeds.keys() & set(of):
            feeds[name].requires_grad_()
        with torch.enable_grad():
            values = self._forward(feeds, [*targets.tensors, *of], rule, [name for name in of if name not in feeds])
            scores = targets.scores(values)
            found = torch.autograd.grad(scores.sum(), [values[name] for name in of])
        return Gradients(
            to_numpy(scores),
            {name: to_numpy(values[name]) for name in of},
            {name: to_numpy(value) for name, value in zip(of, found, strict=True)},
        )

    def _forward(
        self, feeds: Mapping[str, torch.Tensor], tensors: Sequence[str], rule: Rule, leaves: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        names = list(dict.fromkeys(tensors))
        for name in names:
            if name not in self.tensors:
                raise InputError(f"the network has no tensor {name!r}; {nearest_names(name, self.tensors)}")
        outputs, begun = ([self.tensors[name] for name in group] for group in (names, leaves))
        module = self._variants.get(outputs, rule, begun)
        try:
            values = module(*(feeds[name] for name in self.model.graph.inputs))
        except RuntimeError as error:  # sizes that the network cannot take, memory that is not there
            raise InputError(f"torch stopped: {' '.join(str(error).split())[:300]}") from error
        return dict(zip(names, values, strict=True))

    def _feeds(self, inputs: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        feeds = {name: to_torch(value, self.precision).to(self.device) for name, value in inputs.items()}
        return feeds | {name: feeds[name].to(self.precision) for name in self.carried}

    # -- slices ---

    def _slices(self, feeds: Mapping[str, np.ndarray], tensors: Sequence[str], memory: int | None) -> tuple[int, int]:
        """Images in all, and in one slice."""
        count = image_count(feeds) if feeds else 1
        if memory is None:
            return count, self._batching.fixed or count
        copies = _COPIES * (2 if self.precision is torch.float64 else 1)
        self._batching.check(memory, tensors, count, copies)
        return count, self._batching.slice_size(count, tensors, memory, copies)

    def _joined(
        self, parts: Sequence[Mapping[str, np.ndarray]], names: Sequence[str], size: int, count: int
    ) -> dict[str, np.ndarray]:
        if len(parts) == 1 and size == count:
            return dict(parts[0])
        return {name: self._batching.join(name, [part[name] for part in parts], size, count) for name in names}
