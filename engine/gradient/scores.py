"""The scores of a batch: one target for all images, or one for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...importers.errors import InputError
from ..targets import of_images, settled

if TYPE_CHECKING:
    from ..model import Model
    from ..targets import Target


class Targets:
    """The targets of `count` images, settled.

    Raises InputError when there are several and not one an image.
    """

    def __init__(
        self,
        target: Target | Sequence[Target],
        model: Model,
        inputs: np.ndarray | Mapping[str, np.ndarray],
        count: int,
    ) -> None:
        self._one = None if isinstance(target, Sequence) else settled(target, model, inputs)
        several = [settled(entry, model, inputs) for entry in target] if isinstance(target, Sequence) else []
        if isinstance(target, Sequence) and len(several) != count:
            raise InputError(f"expected one target, or one for each of {count} images, found {len(several)}")
        self._several = [of_images(entry, [row], count) for row, entry in enumerate(several)]
        self._rows = list(range(count))
        everything = [self._one] if self._one is not None else self._several
        self._reads = [entry.tensor(model) for entry in everything]
        self.tensors = list(dict.fromkeys(self._reads))

    def of_images(self, start: int, size: int) -> Targets:
        """Those of a slice; past the end the last one again."""
        count = len(self._rows)
        rows = np.minimum(np.arange(start, start + size), count - 1).tolist()
        part = object.__new__(Targets)
        part._one = None if self._one is None else of_images(self._one, rows, count)
        part._several = [self._several[row] for row in rows] if self._several else []
        part._reads = [self._reads[row] for row in rows] if self._several else self._reads
        part.tensors, part._rows = self.tensors, rows
        return part

    def scores(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:  # [N]
        """One number an image.

        Raises InputError when one is none.
        """
        if self._one is not None:
            scores = self._one.score(values[self._reads[0]])
        else:
            pairs = zip(self._several, self._reads, strict=True)
            scores = torch.stack(
                [target.score(self._row(values[read], n))[0] for n, (target, read) in enumerate(pairs)]
            )
        wrong = torch.isnan(scores.detach()).nonzero().flatten().tolist()
        if wrong:
            which = ", ".join(dict.fromkeys(str(self._rows[row]) for row in wrong[:5]))
            raise InputError(f"the score of image {which} is not a number: the input or a weight holds NaN or infinity")
        return scores

    def _row(self, value: torch.Tensor, row: int) -> torch.Tensor:
        return value if len(self._rows) == 1 else value[row : row + 1]
