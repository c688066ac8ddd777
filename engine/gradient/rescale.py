"""DeepLIFT's rescale rule: at what bends the network, slopes between an image and its baseline instead of derivatives.

At y = f(x), elementwise, what arrives is multiplied with (y - y') / (x - x'), where x' and y' are the baseline's (the
derivative where x is x'). Then the multipliers of all pixels times their differences add up to the score's difference.
MaxPool hands max(y, y') - y' to the place of the image's maximum and y - max(y, y') to that of the baseline's, which is
complete too, and no multiplier exceeds 1. Softmax counts as elementwise, which is complete.
Everything else keeps its gradient: exact for what is linear, BatchNormalization with stored statistics among it, but
not for products of two tensors and normalisations of a tensor by its own statistics.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..structure.rectifiers import RECTIFIERS
from .rules import Maker, Operation, Rule

ELEMENTWISE = (
    *RECTIFIERS,
    *("Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Softmax", "LogSoftmax", "Clip", "Shrink"),
    *("Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Erf", "Sin", "Cos"),
)


class Rescale:
    """The rule, and what it remembers of the baseline.

    Run the baseline within `recording()`, then the image: the same network, slice by slice the same.
    """

    def __init__(self) -> None:
        functions: dict[str, Maker] = dict.fromkeys(ELEMENTWISE, self._elementwise)
        functions |= {"MaxPool": self._max_pool, "GlobalMaxPool": self._global_max_pool}
        self.rule = Rule("rescale", functions)
        self._recording = False
        self._reference: deque[tuple[torch.Tensor, ...]] = deque()  # of each node in the order they run

    @contextmanager
    def recording(self) -> Iterator[None]:
        """What runs now is the baseline."""
        self._reference.clear()
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def _against(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...] | None:
        """The baseline's for these values of a node; None while they are the baseline's themselves."""
        if self._recording:
            self._reference.append(tuple(value.detach() for value in values))
            return None
        return self._reference.popleft()

    # -- what makes the functions ---

    def _elementwise(self, function: Callable[..., torch.Tensor]) -> Operation:
        def run(x: torch.Tensor, *arguments: Any, **keywords: Any) -> torch.Tensor:
            y = function(x, *arguments, **keywords)
            reference = self._against(x, y)
            if reference is None:
                return y
            change = (x - reference[0]).detach()
            tiny = _is_tiny(change)
            slope = (y - reference[1]).detach() / change.masked_fill(tiny, 1)
            return torch.where(tiny, y, _Sloped.apply(x, y.detach(), slope))

        return run

    def _max_pool(self, function: Callable[..., tuple[torch.Tensor, ...]]) -> Operation:
        def run(x: torch.Tensor, **keywords: Any) -> tuple[torch.Tensor, ...]:
            made = function(x, **keywords)
            asked = {**keywords, "n_outputs": 2, "storage_order": 0}
            return (self._pooled(x, made[0], function(x.detach(), **asked)[1]), *made[1:])

        return run

    def _global_max_pool(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Operation:
        def run(x: torch.Tensor) -> torch.Tensor:
            y = function(x)
            places = x.detach().flatten(2).argmax(2).flatten()
            begins = torch.arange(len(places), device=x.device) * (x.numel() // len(places))
            return self._pooled(x, y, (places + begins).reshape(y.shape))

        return run

    def _pooled(self, x: torch.Tensor, y: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The maxima `y`, at these places of the flattened x."""
        reference = self._against(x, y, places)
        if reference is None:
            return y
        sent: torch.Tensor = _Pooled.apply(x, y.detach(), x.detach() - reference[0], reference[1], places, reference[2])
        return sent


def _is_tiny(change: torch.Tensor) -> torch.Tensor:
    """Where a difference of values of about 1 is rounding."""
    return change.abs() < 10 * torch.finfo(change.dtype).eps


class _Sloped(torch.autograd.Function):
    """The values `y`, as if they were made of `x` with this slope."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slope)
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * ctx.saved_tensors[0], None, None


class _Pooled(torch.autograd.Function):
    """The maxima `y`; where theirs and the baseline's were taken decides what gets the change between them."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, y: torch.Tensor, change: torch.Tensor, *others: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(y, change, *others)
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        y, change, y_reference, places, places_reference = ctx.saved_tensors
        larger = torch.maximum(y, y_reference)
        handed = torch.zeros_like(change).flatten()
        handed.scatter_add_(0, places.flatten(), (gradients[0] * (larger - y_reference)).flatten())
        handed.scatter_add_(0, places_reference.flatten(), (gradients[0] * (y - larger)).flatten())
        plain = torch.zeros_like(handed).scatter_add_(0, places.flatten(), gradients[0].flatten())
        tiny = _is_tiny(change)
        sent = torch.where(
            tiny, plain.reshape(change.shape), handed.reshape(change.shape) / change.masked_fill(tiny, 1)
        )
        return sent, *[None] * 5
