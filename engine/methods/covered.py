"""covered: scores of images with a patch over them, or over one of their feature maps, for every position of the patch.

Window by window (engine/incremental) where that saves work, else by whole networks on onnxruntime.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ..batching import memory_bytes, resident_bytes
from ..images import image_input
from ..targets import ClassScore, Target, TopClass, of_images
from .attribution import Report, Stop
from .forward import scored
from .patches import Places
from .surfaces import Surface, tensors_of

if TYPE_CHECKING:
    import torch

    from ..incremental.plan import Plan
    from ..incremental.sweep import Sweep
    from ..model import Model

Cover: TypeAlias = Callable[[int, np.ndarray], np.ndarray]  # number of an image, planes [C, H, W] -> what covers them
PlaneCover: TypeAlias = Callable[[np.ndarray], np.ndarray]  # the same for one image
Values: TypeAlias = tuple[np.ndarray, Mapping[str, np.ndarray]]  # numbers of positions [n]; tensor -> its value [n, …]

_AT_ONCE = 64  # positions that run together
_ELEMENTS = 1 << 28  # numbers that they may take without a budget: 1 GiB
# What they should take at most, so that one who asks to stop need not wait: by the clock, and guessed beforehand.
_SECONDS, _MULTIPLICATIONS = 0.5, 2e10
_FLOAT = 4  # bytes
_LEAST_WORK = 1e10  # multiplications of all positions, below which planning takes longer than they do
_LEAST_GAIN = 1.3  # multiplications saved, below which onnxruntime runs the whole network


class Covering:
    """One network, what is asked of it, what is covered, and a patch's positions there."""

    def __init__(
        self,
        model: Model,
        targets: Sequence[Target],
        surface: Surface,
        places: Places,
        memory: int | str | None = None,
    ) -> None:
        self._model, self._surface, self._places, self._memory = model, surface, places, memory
        self._tensors = tensors_of(model, targets)
        self._warm = False  # whether some positions have run
        self._sweep: Sweep | None = None
        self._channels: Mapping[str, Sequence[int]] | None = None  # that it is for
        # Which class is the first depends on the image; for planning any will do.
        self._planned = [ClassScore(0) if isinstance(target, TopClass) else target for target in targets]
        self.why_whole = self._why_whole()  # why whole networks are run; "": windows are

    def _why_whole(self) -> str:
        if len(self._places) * self._surface.macs < _LEAST_WORK:
            return "there is so little to compute that planning would take longer"
        try:
            gain = self.sweep().gain
        except InputError as error:
            return f"windows are not possible: {error}"
        return "" if gain >= _LEAST_GAIN else f"windows would save too little: {gain:.2f} times fewer multiplications"

    def sweep(self, targets: Sequence[Target] | None = None) -> Sweep:
        """For the channels that these targets look at; None: those it was made for.

        Raises InputError when torch cannot run the network, it takes several images at a time, or what is covered has
        no rows and columns.
        """
        from ..incremental.sweep import Sweep

        channels = _channels_read(self._model, self._planned if targets is None else targets)
        if self._sweep is None or self._channels != channels:
            blank = np.zeros((1, *image_input(self._model)[1][1:]), np.float32)
            at, on, self._channels = self._places, self._surface, channels
            self._sweep = Sweep(
                self._model, self._tensors, blank, at.inside, at.patch, channels, on.tensor, self._axes()
            )
        return self._sweep

    def scores(
        self,
        batch: np.ndarray,  # n images as the network takes them
        cover: Cover,
        targets: Sequence[Target],  # settled, of the tensors
        report: Report,
    ) -> tuple[np.ndarray, str]:  # [targets, n, positions]
        """NaN where it was told to stop before, and how far it came then."""
        found = np.full((len(targets), len(batch), len(self._places)), np.nan)
        done, total = 0, len(batch) * len(self._places)
        try:
            for row in range(len(batch)):
                image, covers = batch[row : row + 1], partial(cover, row)
                runs = self._whole(image, covers) if self.why_whole else self._windows(image, covers, targets)
                for numbers, values in runs:
                    for number, target in enumerate(targets):
                        of_row = of_images(target, [row] * len(numbers), len(batch))
                        found[number, row, numbers] = scored(of_row, values[target.tensor(self._model)])
                    done += len(numbers)
                    report(done / total)
        except Stop:
            if done < total:
                return found, f"stopped after {done} of {total} positions"
        return found, ""

    def _axes(self) -> tuple[int, int]:
        if self._surface.axes is None:
            raise InputError(f"{self._surface.name} is a row of tokens")
        return self._surface.axes

    def _windows(self, image: np.ndarray, cover: PlaneCover, targets: Sequence[Target]) -> Iterator[Values]:
        sweep = self.sweep(targets)
        sweep.set_image(image)
        (planes,) = self._surface.planes(sweep.clean)
        for numbers, values in sweep.run(partial(self._patches, planes, cover(planes)), self._most):
            yield numbers, dict(zip(self._tensors, (value.numpy() for value in values), strict=True))

    def _whole(self, image: np.ndarray, cover: PlaneCover) -> Iterator[Values]:
        clean, run = self._surface.at(image)
        covers, at_once, start = cover(self._surface.planes(clean)[0]), _AT_ONCE, 0
        while start < len(self._places):
            numbers, begun = np.arange(start, min(start + at_once, len(self._places))), time.monotonic()
            yield numbers, run(self._versions(clean, covers, numbers))
            start += len(numbers)
            if time.monotonic() - begun > _SECONDS:
                at_once = max(1, at_once // 2)

    def _versions(self, clean: np.ndarray, covers: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """What is covered, once a position, covered there."""
        versions = np.repeat(clean, len(numbers), 0)
        for planes, (top, left), (bottom, right) in zip(
            self._surface.planes(versions), self._places.begin[numbers], self._places.end[numbers], strict=True
        ):
            planes[:, top:bottom, left:right] = covers[:, top:bottom, left:right]
        return versions

    def _patches(self, planes: np.ndarray, covers: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
        """[n, C, h, w], or as the surface has its axes: the windows around what these patches cover, with them."""
        import torch

        height, width = self._places.patch
        made = np.empty((len(numbers), height, width, len(planes)), np.float32)
        masks = self._places.masks(numbers)
        for window, (top, left), mask in zip(made, self._places.inside[numbers], masks, strict=True):
            part = np.s_[:, top : top + height, left : left + width]
            window[...] = np.where(mask, covers[part], planes[part]).transpose(1, 2, 0)
        return torch.from_numpy(made).movedim((1, 2), self._axes())

    def _most(self, plan: Plan) -> int:
        """Positions that run together: within the budget, and in a time that one can wait."""
        most = min(_AT_ONCE, int(_MULTIPLICATIONS / max(1.0, plan.incremental_macs)), _ELEMENTS // plan.elements)
        if self._memory is not None:
            # Weights are laid out when they are first used: until then one position runs alone.
            room = memory_bytes(self._memory) - resident_bytes() if self._warm else 0
            self._warm = True
            most = min(most, room // (plan.elements * _FLOAT))
        return max(1, most)


def _channels_read(model: Model, targets: Sequence[Target]) -> dict[str, list[int]]:
    """Of tensors that no target looks at as a whole: which entries along axis 1 are."""
    read: dict[str, list[tuple[int, ...] | None]] = {}
    for target in targets:
        channels = getattr(target, "channels", None)  # a target of one's own need not have it
        read.setdefault(target.tensor(model), []).append(None if channels is None else channels())
    return {
        name: sorted({channel for some in each for channel in some or ()})
        for name, each in read.items()
        if None not in each
    }
