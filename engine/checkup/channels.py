"""Statistics of every channel over all images and places, merged batch by batch."""

from __future__ import annotations

import numpy as np

NEAR = 1e-3  # of a bounded activation function's range: a value that close to a bound is at it


class ChannelStatistics:
    """Range, mean and spread of the channels of one tensor, and how often they are at a bound."""

    def __init__(self, bounds: tuple[float, float]) -> None:
        self.bounds = bounds
        self.count = 0  # values a channel so far
        self.places = 1  # of one image

    def add(self, values: np.ndarray) -> None:  # [N, C, H, W] or [N, C]
        """Merge the values of some images. Means merge as of T. Chan et al. (1979), without cancellation."""
        with np.errstate(invalid="ignore", over="ignore"):  # a network may answer NaN or infinity
            for image in values.reshape(*values.shape[:2], -1):  # [C, places]
                exact = image.astype(np.float64)
                mean = exact.mean(1)
                squares = np.square(exact - mean[:, None]).sum(1)
                at = np.stack([self._at(image, bound) for bound in self.bounds])
                self._merge(exact.shape[1], mean, squares, exact.min(1), exact.max(1), at)

    def _merge(
        self, count: int, mean: np.ndarray, squares: np.ndarray, low: np.ndarray, high: np.ndarray, at: np.ndarray
    ) -> None:
        self.places = max(self.places, count)
        if not self.count:
            self.count, self.mean, self.squares = count, mean, squares
            self.low, self.high, self.at = low, high, at
            return
        total, gap = self.count + count, mean - self.mean
        self.squares = self.squares + squares + np.square(gap) * self.count * count / total
        self.mean = self.mean + gap * count / total
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.at, self.count = self.at + at, total

    def _at(self, image: np.ndarray, bound: float) -> np.ndarray:  # [C] how many values are at the bound
        if not np.isfinite(bound):
            return np.zeros(len(image), np.int64)
        return (np.abs(image - bound) <= NEAR * self._range).sum(1)

    @property
    def _range(self) -> float:
        low, high = self.bounds
        return high - (low if np.isfinite(low) else 0.0)

    @property
    def deviation(self) -> np.ndarray:  # [C]
        """Standard deviation."""
        return np.sqrt(self.squares / max(self.count, 1))

    @property
    def relative_range(self) -> np.ndarray:  # [C]
        """From the smallest to the largest value, over the largest magnitude of all channels."""
        magnitudes = np.maximum(np.abs(self.low), np.abs(self.high))
        with np.errstate(invalid="ignore"):
            reach = self.high - self.low
        return reach / (magnitudes[np.isfinite(magnitudes)].max(initial=0) or 1.0)

    @property
    def stuck(self) -> np.ndarray:  # [C]
        """Share of the values at the bound where more of them are."""
        return self.at.max(0) / max(self.count, 1)
