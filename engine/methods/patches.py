"""patches: where a patch lies that slides over the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from .options import check_count

if TYPE_CHECKING:
    from .surfaces import Surface

Extent: TypeAlias = int | tuple[int, int]  # of a side, or rows and columns


@dataclass(frozen=True)
class Places:
    """Every position of a patch, from the top left, row by row."""

    size: tuple[int, int]  # of the image: rows, columns
    patch: tuple[int, int]
    stride: tuple[int, int]
    grid: tuple[int, int]  # positions along rows and columns
    begin: np.ndarray  # [positions, 2] first row and column
    end: np.ndarray  # [positions, 2] behind the last, inside the image

    def __len__(self) -> int:
        return len(self.begin)

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

    def spread(self, values: np.ndarray) -> np.ndarray:  # [n, positions] -> [n, H, W]
        """Each pixel's mean over the patches that cover it and have a value (not NaN); 0 where none does."""
        total, covered = np.zeros((2, len(values), *self.size))
        known = np.isfinite(values)
        for number, ((top, left), (bottom, right)) in enumerate(zip(self.begin, self.end, strict=True)):
            part = np.s_[:, top:bottom, left:right]
            total[part] += np.where(known[:, number], values[:, number], 0)[:, None, None]
            covered[part] += known[:, number, None, None]
        mean: np.ndarray = total / np.maximum(covered, 1)
        return mean


def sliding_over(surface: Surface, patch: Extent | None, stride: Extent | None) -> Places:
    """All positions on it; None is 16 and 8 pixels of an image, a fourteenth of a layer's sides and half of that."""
    fourteenth = (max(1, surface.size[0] // 14), max(1, surface.size[1] // 14))
    half = ((fourteenth[0] + 1) // 2, (fourteenth[1] + 1) // 2)
    usual = (16, 8) if surface.tensor is None else (fourteenth, half)
    return places(surface.size, usual[0] if patch is None else patch, usual[1] if stride is None else stride)


def places(size: tuple[int, int], patch: Extent, stride: Extent) -> Places:
    """All positions; the last of a row or column may reach over the border.

    Raises InputError when the patch is larger than the image, or an extent is no number of pixels.
    """
    patch, stride = _pair("patch", patch), _pair("stride", stride)
    if any(length > most for length, most in zip(patch, size, strict=True)):
        raise InputError(
            f"a patch of {patch[0]} x {patch[1]} is larger than what it covers, {size[0]} x {size[1]}: "
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
