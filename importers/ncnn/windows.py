"""Windows of convolutions and poolings: their sides, steps and padding, one number a spatial axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..same_padding import same_padding
from .layer_writer import LayerWriter

SAME_UPPER, SAME_LOWER = -233, -234  # instead of a padding: as much as "SAME" needs, the odd one behind or before


@dataclass(frozen=True)
class Keys:
    """The numbers of one axis' parameters; those of h and d default to w's. No dilation: it is 1."""

    kernel: int
    stride: int
    before: int
    after: int
    dilation: int | None = None


CONVOLUTION: Sequence[Keys] = (Keys(1, 3, 4, 15, 2), Keys(11, 13, 14, 16, 12), Keys(21, 23, 24, 17, 22))  # w, h, d
POOLING: Sequence[Keys] = (Keys(1, 2, 3, 14), Keys(11, 12, 13, 15), Keys(21, 22, 23, 16))


@dataclass(frozen=True)
class Window:
    """A window along each spatial axis, outermost first: depth, height, width."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    before: list[int]  # padding, or SAME_UPPER or SAME_LOWER
    after: list[int]

    @property
    def reach(self) -> list[int]:
        """How far a window reaches."""
        return [step * (side - 1) + 1 for side, step in zip(self.kernel, self.dilation, strict=True)]

    @property
    def attributes(self) -> dict[str, Any]:
        """Sides and steps in ONNX's words, without the padding."""
        dilations = {"dilations": self.dilation} if max(self.dilation) > 1 else {}
        return {"kernel_shape": self.kernel, "strides": self.stride, **dilations}


def window(layer: LayerWriter, axes: int, keys: Sequence[Keys]) -> Window:
    """The window that the layer's parameters describe. Raises InputError for sides and steps below 1."""
    rows = []
    first = keys[0]
    for key in keys[:axes]:
        before = layer.whole(key.before, layer.whole(first.before))
        rows.append(
            (
                layer.whole(key.kernel, layer.whole(first.kernel)),
                layer.whole(key.stride, layer.whole(first.stride, 1)),
                1 if key.dilation is None else layer.whole(key.dilation, layer.whole(first.dilation or 0, 1)),
                before,
                layer.whole(key.after, before),
            )
        )
    found = Window(*map(list, zip(*rows[::-1], strict=True)))
    if min(*found.kernel, *found.stride, *found.dilation) < 1:
        raise layer.error(f"expected a window of sides and steps from 1, found {found.kernel} by {found.stride}")
    return found


def same_pads(layer: LayerWriter, view: Window, *, lower: bool) -> list[int]:
    """The padding "SAME" at its input's size, in ONNX's order; the odd place behind, or before where `lower`.

    Raises InputError when the size is open.
    """
    sides = layer.sizes(layer.blob_shape()[1:])
    pairs = [same_padding(*numbers) for numbers in zip(sides, view.stride, view.reach, strict=True)]
    if lower:  # NCNN turns height and width round, not depth
        pairs = [*pairs[:-2], *(pair[::-1] for pair in pairs[-2:])]
    return [pair[0] for pair in pairs] + [pair[1] for pair in pairs]


def pads(layer: LayerWriter, view: Window) -> list[int]:
    """The padding in ONNX's order, that of "SAME" worked out. Raises InputError for negative ones."""
    both = {*view.before, *view.after}
    if both in ({SAME_UPPER}, {SAME_LOWER}):
        return same_pads(layer, view, lower=both == {SAME_LOWER})
    if min(both) < 0:
        raise layer.error(f"padding of {[*view.before, *view.after]} is not known")
    return [*view.before, *view.after]
