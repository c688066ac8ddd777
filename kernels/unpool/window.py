"""A pooling's window: how it lies in the input, and which sizes belong to which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Ints = int | Sequence[int]


@dataclass(frozen=True)
class Window:
    """One number an axis; padding in front of and behind the input."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    dilation: tuple[int, ...]

    @staticmethod
    def of(kernel: Sequence[int], stride: Ints | None, padding: Ints, dilation: Ints) -> Window:
        """From what torch and ONNX say.

        padding: one number, one an axis, or as ONNX's pads: those in front of all axes, then those behind.
        """
        if isinstance(kernel, int) or not 1 <= len(kernel) <= 3:
            raise ValueError(f"kernel is {kernel}, expected the sizes of 1 to 3 axes, as in (2, 2)")
        axes = len(kernel)
        pads = _each("padding", padding, axes, 0, 2 * axes)
        return Window(
            _each("kernel", kernel, axes, 1),
            _each("stride", kernel if stride is None else stride, axes, 1),
            pads[:axes],
            pads[-axes:],
            _each("dilation", dilation, axes, 1),
        )

    @property
    def places(self) -> int:
        return math.prod(self.kernel)

    @property
    def extent(self) -> tuple[int, ...]:
        """From a window's first place to its last, both counted."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def least_size(self, windows: Sequence[int]) -> tuple[int, ...]:
        """The smallest input that has so many windows without ceil mode, as torch's max_unpool assumes."""
        axes = zip(windows, self.stride, self.extent, self.before, self.after, strict=True)
        return tuple(max(0, (count - 1) * s + e - b - a) for count, s, e, b, a in axes)

    def windows(self, size: Sequence[int], *, ceil_mode: bool = False) -> tuple[int, ...]:
        """How many windows an input has. With ceil_mode one more where places are left over, as in torch."""
        axes = zip(size, self.stride, self.extent, self.before, self.after, strict=True)
        return tuple(_windows(n, s, e, b, a, ceil_mode) for n, s, e, b, a in axes)

    def overlaps(self, windows: Sequence[int]) -> bool:
        """Whether one place can lie in two windows."""
        axes = zip(windows, self.stride, self.kernel, self.dilation, strict=True)
        return any(tap * d % s == 0 and tap * d < count * s for count, s, k, d in axes for tap in range(1, k))


def _windows(size: int, stride: int, extent: int, before: int, after: int, ceil_mode: bool) -> int:
    room = size + before + after - extent
    if ceil_mode and -(-room // stride) * stride < size + before:  # a window may not begin in the padding behind
        return max(0, -(-room // stride) + 1)
    return max(0, room // stride + 1)


def _each(name: str, value: Ints, axes: int, least: int, *more: int) -> tuple[int, ...]:
    numbers = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(numbers) not in (axes, *more) or any(number < least for number in numbers):
        counts = " or ".join(map(str, (axes, *more)))
        raise ValueError(f"{name} is {value}, expected one number or {counts} of them, all at least {least}")
    return numbers


@dataclass(frozen=True)
class Geometry:
    """The arrays of one call: planes of `windows` pooled values and of `size` places."""

    window: Window
    planes: int
    windows: tuple[int, ...]
    size: tuple[int, ...]

    def numbers(self) -> list[int]:
        """For the compiled kernels: planes; for three axes size, windows, kernel, stride, padding, dilation."""
        window = self.window
        lead = 3 - len(self.size)
        axes = zip(self.size, self.windows, window.kernel, window.stride, window.before, window.dilation, strict=True)
        return [self.planes, *(1, 1, 1, 1, 0, 1) * lead, *(number for axis in axes for number in axis)]
