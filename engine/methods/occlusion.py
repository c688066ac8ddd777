"""occlusion: how much the score falls when a patch of the image is covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ...importers.provenance import SEED
from ..batching import memory_bytes
from ..images import Images, channels_first, image_input
from ..targets import Target, of_images
from .attributing import Progress, Wanted, attribution
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method
from .baselines import BASELINES, Baseline, baseline_inputs, check_baseline
from .feature_maps import image_size
from .forward import forward, scored, versions_scores
from .options import check_count

if TYPE_CHECKING:
    import torch

    from ..model import Model

Extent: TypeAlias = int | tuple[int, int]  # of a side, or rows and columns

ZERO = "zero"
_MEANING = "how much the score falls when the pixel is covered, on average over the patches that cover it"
_ZERO = "what covers is the network's input 0: the mean colour that preprocessing subtracts"
_AT_ONCE = 32  # positions that run together
_LEAST_GAIN = 1.3  # multiplications saved, below which onnxruntime runs the whole network


def occlusion(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    patch: Extent = 16,  # pixels of the network's input
    stride: Extent = 8,  # from one patch to the next
    fill: Baseline = ZERO,  # what covers: zero, black, mean (the image's own colour), blur, noise, a level, a picture
    seed: int = SEED,  # of the noise
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """A patch slides over the image; the score without what it covers is compared with the score of the whole image.

    Maps are [N, H, W] float32, in units of the score: above 0 what speaks for it. `raw` is [N, rows, columns], the
    score's fall at each position, from the top left; the last of a row or column may reach over the border. Each
    position changes a part of every layer only, and only that is computed, exactly (engine/incremental); where that
    saves nothing onnxruntime runs the whole network.
    Raises InputError when the patch is larger than the image, an option is out of range, the target is not in the
    network, or no image can be read.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2; computed as of Nakandala et al. 2019,
    doi:10.1145/3299869.3319874, without its approximations.
    """
    places = _places(image_size(model), _pair("patch", patch), _pair("stride", stride))
    check_baseline(fill, "fill", (ZERO, *BASELINES))

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        covers = np.zeros_like(batch) if _is_zero(fill) else baseline_inputs(model, batch, fill, seed)
        scores, _ = forward(model, batch, wanted, (), memory)
        seen = _covered_scores(model, batch, covers, wanted, places, memory)
        falls = scores[:, None] - seen  # [n, positions]
        return Maps(scores, places.spread(falls), image, falls.reshape(len(batch), *places.grid))

    image = image_input(model)[0]
    shown = fill if isinstance(fill, str | int | float) else "a picture"
    options = {"patch": list(places.patch), "stride": list(places.stride), "fill": shown, "seed": seed}
    notes = (_ZERO,) if _is_zero(fill) else ()
    method = Method("occlusion", _MEANING, explain, True, "score", FOR_OR_AGAINST, options, notes)
    return attribution(model, images, target, method, progress)


@dataclass(frozen=True)
class Places:
    """Where patches lie."""

    size: tuple[int, int]  # of the image: rows, columns
    patch: tuple[int, int]
    stride: tuple[int, int]
    grid: tuple[int, int]  # positions along rows and columns
    begin: np.ndarray  # [positions, 2] first row and column
    end: np.ndarray  # [positions, 2] behind the last

    def spread(self, values: np.ndarray) -> np.ndarray:  # [n, positions] -> [n, H, W]
        """Each pixel's mean over the patches that cover it; 0 where none does."""
        total, covered = np.zeros((len(values), *self.size)), np.zeros(self.size)
        for number, ((top, left), (bottom, right)) in enumerate(zip(self.begin, self.end, strict=True)):
            total[:, top:bottom, left:right] += values[:, number, None, None]
            covered[top:bottom, left:right] += 1
        mean: np.ndarray = total / np.maximum(covered, 1)
        return mean

    @property
    def inside(self) -> np.ndarray:  # [positions, 2]
        """Where windows of the patch's size begin that lie inside the image and hold what the patch covers."""
        found: np.ndarray = np.minimum(self.begin, np.array(self.size) - self.patch)
        return found

    def masks(self, numbers: np.ndarray) -> np.ndarray:  # [n, h, w] bool
        """Which pixels of these windows are covered."""
        rows, columns = (
            self.inside[numbers, axis, None] + np.arange(self.patch[axis]) >= self.begin[numbers, axis, None]
            for axis in (0, 1)
        )
        covered: np.ndarray = rows[:, :, None] & columns[:, None, :]
        return covered


def _places(size: tuple[int, int], patch: tuple[int, int], stride: tuple[int, int]) -> Places:
    if any(length > most for length, most in zip(patch, size, strict=True)):
        raise InputError(
            f"a patch of {patch[0]} x {patch[1]} is larger than the network's image of {size[0]} x {size[1]}: "
            "choose a smaller one"
        )
    grid = tuple(-(-(most - length) // step) + 1 for most, length, step in zip(size, patch, stride, strict=True))
    rows, columns = (np.arange(count) * step for count, step in zip(grid, stride, strict=True))
    begin = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    return Places(size, patch, stride, (grid[0], grid[1]), begin, np.minimum(begin + patch, size))


def _pair(name: str, extent: Extent) -> tuple[int, int]:
    rows, columns = extent if isinstance(extent, tuple | list) and len(extent) == 2 else (extent, extent)
    for value in (rows, columns):
        check_count(name, value)
    return int(rows), int(columns)


def _is_zero(fill: Baseline) -> bool:
    return isinstance(fill, str) and fill == ZERO


# -- scores ---


def _covered_scores(
    model: Model, batch: np.ndarray, covers: np.ndarray, wanted: Target, places: Places, memory: int | str | None
) -> np.ndarray:  # [n, positions]
    if not _sweepable(model):
        return _by_whole_networks(model, batch, covers, wanted, places, memory)
    from ..incremental.sweep import Sweep

    sweep = Sweep(model, [wanted.tensor(model)], batch[:1], places.inside, places.patch)
    if sweep.gain < _LEAST_GAIN:
        return _by_whole_networks(model, batch, covers, wanted, places, memory)
    tensors = [wanted.tensor(model)]
    most = _AT_ONCE if memory is None else model.session().batching.slice_size(_AT_ONCE, tensors, memory_bytes(memory))
    found = np.empty((len(batch), len(places.begin)))
    for row, (image, cover) in enumerate(zip(batch, covers, strict=True)):
        sweep.set_image(image[None])
        for numbers, (value,) in sweep.run(partial(_patches, places, image, cover), most):
            found[row, numbers] = scored(of_images(wanted, [row] * len(numbers), len(batch)), value.numpy())
    return found


def _sweepable(model: Model) -> bool:
    """Whether positions may run as a batch of images [N, C, H, W]."""
    return model.spec.layout != "NHWC" and len(model.graph.inputs) == 1 and model.session().batching.fixed is None


def _patches(places: Places, image: np.ndarray, cover: np.ndarray, numbers: np.ndarray) -> torch.Tensor:
    """[n, C, h, w]: the windows around what these patches cover, with them."""
    import torch

    height, width = places.patch
    made = np.empty((len(numbers), height, width, len(image)), np.float32)
    for window, (top, left), mask in zip(made, places.inside[numbers], places.masks(numbers), strict=True):
        part = np.s_[:, top : top + height, left : left + width]
        window[...] = np.where(mask, cover[part], image[part]).transpose(1, 2, 0)
    return torch.from_numpy(made).permute(0, 3, 1, 2)


def _by_whole_networks(
    model: Model, batch: np.ndarray, covers: np.ndarray, wanted: Target, places: Places, memory: int | str | None
) -> np.ndarray:  # [n, positions]
    def versions() -> Iterator[np.ndarray]:
        for (top, left), (bottom, right) in zip(places.begin, places.end, strict=True):
            version = batch.copy()
            channels_first(version, model.spec)[:, :, top:bottom, left:right] = channels_first(covers, model.spec)[
                :, :, top:bottom, left:right
            ]
            yield version

    return np.stack(list(versions_scores(model, versions(), wanted, memory)), 1)
