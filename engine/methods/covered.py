"""covered: scores of images with a patch over them, for every position of the patch.

Window by window (engine/incremental) where that saves work, else by whole networks on onnxruntime.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ..batching import memory_bytes, resident_bytes
from ..images import channels_first, image_input
from ..structure.macs import macs
from ..targets import ClassScore, Target, TopClass, of_images
from .attribution import Report, Stop
from .forward import scored, session
from .patches import Places

if TYPE_CHECKING:
    import torch

    from ..incremental.plan import Plan
    from ..incremental.sweep import Sweep
    from ..model import Model

Values: TypeAlias = tuple[np.ndarray, Mapping[str, np.ndarray]]  # numbers of positions [n]; tensor -> its value [n, …]

_AT_ONCE = 32  # positions that run together
# What they should take at most, so that one who asks to stop need not wait: by the clock, and guessed beforehand.
_SECONDS, _MULTIPLICATIONS = 0.5, 2e10
_FLOAT = 4  # bytes
_LEAST_WORK = 1e10  # multiplications of all positions, below which planning takes longer than they do
_LEAST_GAIN = 1.3  # multiplications saved, below which onnxruntime runs the whole network


class Covering:
    """One network, what is asked of it, and a patch's positions."""

    def __init__(
        self, model: Model, targets: Sequence[Target], places: Places, memory: int | str | None = None
    ) -> None:
        self._model, self._places, self._memory = model, places, memory
        self._tensors = list(dict.fromkeys(target.tensor(model) for target in targets))
        self._warm = False  # whether some positions have run
        self._sweep: Sweep | None = None
        self._channels: Mapping[str, Sequence[int]] | None = None  # that it is for
        # Which class is the first depends on the image; for planning any will do.
        self._planned = [ClassScore(0) if isinstance(target, TopClass) else target for target in targets]
        self.why_whole = self._why_whole()  # why whole networks are run; "": windows are

    def _why_whole(self) -> str:
        graph = self._model.graph
        if len(self._places) * sum(macs(graph, node) or 0 for node in graph.nodes) < _LEAST_WORK:
            return "there is so little to compute that planning would take longer"
        try:
            gain = self.sweep().gain
        except InputError as error:
            return f"windows are not possible: {error}"
        return "" if gain >= _LEAST_GAIN else f"windows would save too little: {gain:.2f} times fewer multiplications"

    def sweep(self, targets: Sequence[Target] | None = None) -> Sweep:
        """For the channels that these targets look at; None: those it was made for.

        Raises InputError when torch cannot run the network, or it takes several images at a time.
        """
        from ..incremental.sweep import Sweep

        channels = _channels_read(self._model, self._planned if targets is None else targets)
        if self._sweep is None or self._channels != channels:
            blank = np.zeros((1, *image_input(self._model)[1][1:]), np.float32)
            at, self._channels = self._places, channels
            self._sweep = Sweep(self._model, self._tensors, blank, at.inside, at.patch, channels)
        return self._sweep

    def scores(
        self,
        batch: np.ndarray,  # n images as the network takes them
        covers: np.ndarray,  # what covers each of them, as large as they are
        targets: Sequence[Target],  # settled, of the tensors
        report: Report,
    ) -> tuple[np.ndarray, str]:  # [targets, n, positions]
        """NaN where it was told to stop before, and how far it came then."""
        found = np.full((len(targets), len(batch), len(self._places)), np.nan)
        done, total = 0, len(batch) * len(self._places)
        try:
            for row, (image, cover) in enumerate(zip(batch, covers, strict=True)):
                runs = self._whole(image, cover) if self.why_whole else self._windows(image, cover, targets)
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

    def _windows(self, image: np.ndarray, cover: np.ndarray, targets: Sequence[Target]) -> Iterator[Values]:
        sweep = self.sweep(targets)
        sweep.set_image(image[None])
        patches = partial(self._patches, self._laid_out(image), self._laid_out(cover))
        for numbers, values in sweep.run(patches, self._most):
            yield numbers, dict(zip(self._tensors, (value.numpy() for value in values), strict=True))

    def _whole(self, image: np.ndarray, cover: np.ndarray) -> Iterator[Values]:
        run, at_once, start = session(self._model, self._memory).run, _AT_ONCE, 0
        while start < len(self._places):
            numbers, begun = np.arange(start, min(start + at_once, len(self._places))), time.monotonic()
            yield numbers, run(self._versions(image, cover, numbers), self._tensors)
            start += len(numbers)
            if time.monotonic() - begun > _SECONDS:
                at_once = max(1, at_once // 2)

    def _versions(self, image: np.ndarray, cover: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The image once a position, covered there."""
        versions = np.repeat(image[None], len(numbers), 0)
        planes, covers = channels_first(versions, self._model.spec), self._laid_out(cover)
        for version, (top, left), (bottom, right) in zip(
            planes, self._places.begin[numbers], self._places.end[numbers], strict=True
        ):
            version[:, top:bottom, left:right] = covers[:, top:bottom, left:right]
        return versions

    def _laid_out(self, image: np.ndarray) -> np.ndarray:  # [C, H, W]
        return channels_first(image[None], self._model.spec)[0]

    def _patches(self, image: np.ndarray, cover: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
        """[n, C, h, w], or as the network's layout says: the windows around what these patches cover, with them."""
        import torch

        height, width = self._places.patch
        made = np.empty((len(numbers), height, width, len(image)), np.float32)
        masks = self._places.masks(numbers)
        for window, (top, left), mask in zip(made, self._places.inside[numbers], masks, strict=True):
            part = np.s_[:, top : top + height, left : left + width]
            window[...] = np.where(mask, cover[part], image[part]).transpose(1, 2, 0)
        found = torch.from_numpy(made)
        return found if self._model.spec.layout == "NHWC" else found.permute(0, 3, 1, 2)

    def _most(self, plan: Plan) -> int:
        """Positions that run together: within the budget, and in a time that one can wait."""
        most = min(_AT_ONCE, int(_MULTIPLICATIONS / max(1.0, plan.incremental_macs)))
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
