"""Random Core ML layers with what they compute, worked out slowly: from the format's description, place by place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = list[np.ndarray]


@dataclass
class Case:
    """One layer, what enters it and what comes of it."""

    kind: str
    param: dict[str, Any]
    inputs: Arrays
    outputs: Arrays
    of_first_versions: bool = False  # whether networks of [N, C, H, W] throughout may have it


@dataclass
class Draw:
    """Where random choices come from."""

    seed: int
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def integer(self, low: int, high: int) -> int:
        """From low to high, both possible."""
        return int(self.random.integers(low, high + 1))

    def chance(self) -> bool:
        """True in half of the draws."""
        return bool(self.random.random() < 0.5)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[self.integer(0, len(choices) - 1)]

    def numbers(self, *shape: int) -> np.ndarray:
        """Of a normal distribution."""
        return self.random.standard_normal(shape).astype(np.float32)

    def sizes(self, rank: int, low: int = 1, high: int = 5) -> tuple[int, ...]:
        """A random shape."""
        return tuple(self.integer(low, high) for _ in range(rank))


# ---- windows


def windows(
    x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], counts: Sequence[int], dilation: Sequence[int]
):  # type: ignore[no-untyped-def]
    """(place in the result, the numbers of its window [N, C, *kernel]); x [N, C, …] is padded already."""
    for place in itertools.product(*map(range, counts)):
        cuts = [
            slice(at * step, at * step + (side - 1) * gap + 1, gap)
            for at, step, side, gap in zip(place, stride, kernel, dilation, strict=True)
        ]
        yield place, x[(slice(None), slice(None), *cuts)]


def padded(x: np.ndarray, starts: Sequence[int], ends: Sequence[int], value: float = 0.0) -> np.ndarray:
    """The last axes with a border."""
    pairs = [(0, 0)] * (x.ndim - len(starts)) + list(zip(starts, ends, strict=True))
    return np.pad(x, pairs, constant_values=value)


def convolved(x, w, bias, stride, starts, ends, dilation, group):  # type: ignore[no-untyped-def]
    """[N, C, …] with kernels [M, C / group, …]."""
    kernel, x = w.shape[2:], padded(x, starts, ends)
    reach = [(side - 1) * gap + 1 for side, gap in zip(kernel, dilation, strict=True)]
    counts = [(size - span) // step + 1 for size, span, step in zip(x.shape[2:], reach, stride, strict=True)]
    made = np.zeros((len(x), len(w), *counts), np.float64)
    each, inside = len(w) // group, x.shape[1] // group
    for place, window in windows(x, kernel, stride, counts, dilation):
        for m in range(len(w)):
            part = window[:, m // each * inside : (m // each + 1) * inside]
            made[(slice(None), m, *place)] = (part * w[m]).sum(axis=tuple(range(1, part.ndim)))
    return made + (0 if bias is None else bias.reshape(-1, *[1] * len(kernel)))


def transposed(x, w, stride, group):  # type: ignore[no-untyped-def]
    """[N, C, H, W] spread out by kernels [C, M / group, h, w], nothing cut off."""
    kernel, inside, each = w.shape[2:], x.shape[1] // group, w.shape[1]
    sizes = [(size - 1) * step + side for size, step, side in zip(x.shape[2:], stride, kernel, strict=True)]
    made = np.zeros((len(x), each * group, *sizes), np.float64)
    for n, c, i, j in itertools.product(*map(range, x.shape)):
        first = c // inside * each
        rows, columns = slice(i * stride[0], i * stride[0] + kernel[0]), slice(j * stride[1], j * stride[1] + kernel[1])
        made[n, first : first + each, rows, columns] += x[n, c, i, j] * w[c]
    return made


def same_borders(sizes, stride, reach, *, in_front: bool):  # type: ignore[no-untyped-def]
    """Starts and ends so that there is a window for each stride."""
    starts, ends = [], []
    for size, step, span in zip(sizes, stride, reach, strict=True):
        total = max((math.ceil(size / step) - 1) * step + span - size, 0)
        small, large = total // 2, total - total // 2
        starts.append(large if in_front else small)
        ends.append(small if in_front else large)
    return starts, ends


def amounts(starts: Sequence[int], ends: Sequence[int]) -> dict[str, Any]:
    """A BorderAmounts."""
    pairs = zip(starts, ends, strict=True)
    return {"borderAmounts": [{"startEdgeSize": start, "endEdgeSize": end} for start, end in pairs]}


def borders(draw: Draw, sizes, stride, reach):  # type: ignore[no-untyped-def]
    """A padding: (fields, starts, ends)."""
    if draw.chance():
        in_front = draw.chance()
        starts, ends = same_borders(sizes, stride, reach, in_front=in_front)
        return {"same": {"asymmetryMode": int(in_front)}}, starts, ends
    starts, ends = draw.sizes(2, 0, 1), draw.sizes(2, 0, 1)
    return {"valid": {"paddingAmounts": amounts(starts, ends)}}, starts, ends


def convolution(draw: Draw) -> Case:
    group, kernel, stride, dilation = draw.integer(1, 2), draw.sizes(2, 1, 3), draw.sizes(2, 1, 3), draw.sizes(2, 1, 2)
    x = draw.numbers(2, 2 * group, *draw.sizes(2, 5, 8))
    w, bias = draw.numbers(group * draw.integer(1, 3), 2, *kernel), draw.numbers(1)
    bias = draw.numbers(len(w)) if draw.chance() else None
    reach = [(side - 1) * gap + 1 for side, gap in zip(kernel, dilation, strict=True)]
    padding, starts, ends = borders(draw, x.shape[2:], stride, reach)
    param = {"outputChannels": len(w), "kernelChannels": 2, "nGroups": group, "kernelSize": kernel, "stride": stride}
    more = {} if bias is None else {"hasBias": True, "bias": bias}
    y = convolved(x, w, bias, stride, starts, ends, dilation, group)
    return Case("convolution", {**param, **padding, **more, "dilationFactor": dilation, "weights": w}, [x], [y], True)


def deconvolution(draw: Draw) -> Case:
    group, kernel, stride = draw.integer(1, 2), draw.sizes(2, 1, 4), draw.sizes(2, 1, 3)
    x = draw.numbers(1, 2 * group, *draw.sizes(2, 3, 5))
    w = draw.numbers(2 * group, draw.integer(1, 2), *kernel)
    full = transposed(x, w, stride, group)
    param = {"outputChannels": full.shape[1], "kernelChannels": x.shape[1], "nGroups": group, "isDeconvolution": True}
    param |= {"kernelSize": kernel, "stride": stride, "weights": w}
    mode = draw.pick(["valid", "same", "shape"])
    if mode == "valid":
        starts, ends = (
            [draw.integer(0, (side - 1) // 2) for side in kernel],
            [draw.integer(0, (side - 1) // 2) for side in kernel],
        )
        param["valid"] = {"paddingAmounts": amounts(starts, ends)}
        wanted = [size - start - end for size, start, end in zip(full.shape[2:], starts, ends, strict=True)]
    else:
        wanted = [size * step for size, step in zip(x.shape[2:], stride, strict=True)]
        starts = [max(have - want, 0) // 2 for have, want in zip(full.shape[2:], wanted, strict=True)]
        param["same"] = {}
        if mode == "shape":
            param["outputShape"] = wanted
    enough = padded(full, (0, 0), stride)
    y = enough[:, :, starts[0] : starts[0] + wanted[0], starts[1] : starts[1] + wanted[1]]
    return Case("convolution", param, [x], [y], True)


SIDES = ("Depth", "Height", "Width")


def by_side(what: str, values: Sequence[int]) -> dict[str, int]:
    return {f"{what}{side}": value for side, value in zip(SIDES, values, strict=True)}


def volume_borders(draw: Draw, sizes, stride, reach):  # type: ignore[no-untyped-def]
    mode = draw.integer(0, 2)
    if mode == 2:
        return {"paddingType": 2}, *same_borders(sizes, stride, reach, in_front=False)
    starts, ends = (draw.sizes(3, 0, 1), draw.sizes(3, 0, 1)) if mode == 0 else ((0, 0, 0), (0, 0, 0))
    names = ("Front", "Top", "Left", "Back", "Bottom", "Right")
    custom = {f"customPadding{name}": amount for name, amount in zip(names, (*starts, *ends), strict=True)}
    return {"paddingType": mode, **(custom if mode == 0 else {})}, starts, ends


def convolution_3d(draw: Draw) -> Case:
    kernel, stride = draw.sizes(3, 1, 3), draw.sizes(3, 1, 2)
    x, w, bias = draw.numbers(1, 2, *draw.sizes(3, 3, 5)), draw.numbers(3, 2, *kernel), draw.numbers(3)
    padding, starts, ends = volume_borders(draw, x.shape[2:], stride, kernel)
    sides = by_side("kernel", kernel) | by_side("stride", stride) | by_side("dilation", (1, 1, 1))
    param = {"outputChannels": 3, "inputChannels": 2, "nGroups": 1, "hasBias": True, "weights": w, "bias": bias}
    return Case(
        "convolution3d", {**param, **sides, **padding}, [x], [convolved(x, w, bias, stride, starts, ends, (1,) * 3, 1)]
    )


def pooled(x, kind, kernel, stride, starts, ends, counts, *, excluding: bool, border_ends=None):  # type: ignore[no-untyped-def]
    """`border_ends`: where padding counts as numbers; what overhangs it never does."""
    far = [end + side * step for end, side, step in zip(ends, kernel, stride, strict=True)]
    ones = np.ones_like(x)
    real = padded(ones, starts, far)
    counted = (
        real
        if excluding
        else padded(padded(ones, starts, ends, 1.0), [0] * len(ends), [a - b for a, b in zip(far, ends, strict=True)])
    )
    numbers = padded(x, starts, far, -np.inf if kind == 0 else 0.0)
    made = np.zeros((*x.shape[:2], *counts), np.float64)
    shares = windows(counted, kernel, stride, counts, [1] * len(kernel))
    for (place, window), (_, share) in zip(
        windows(numbers, kernel, stride, counts, [1] * len(kernel)), shares, strict=True
    ):
        axes = tuple(range(2, x.ndim))
        total = (window**2).sum(axes) ** 0.5 if kind == 2 else window.sum(axes) / share.sum(axes)
        made[(slice(None), slice(None), *place)] = window.max(axes) if kind == 0 else total
    return made


def pooling(draw: Draw) -> Case:
    kind, kernel = draw.integer(0, 2), draw.sizes(2, 2, 3)
    stride, x = [draw.integer(1, side) for side in kernel], draw.numbers(2, 3, *draw.sizes(2, 5, 8))
    excluding = draw.chance()
    param = {"type": kind, "kernelSize": kernel, "stride": stride, "avgPoolExcludePadding": excluding}
    if kind < 2 and draw.chance():
        pad = draw.sizes(2, 0, 1)
        counts = []
        for size, side, step, edge in zip(x.shape[2:], kernel, stride, pad, strict=True):
            count = math.ceil((size + 2 * edge - side) / step) + 1
            counts.append(count - (any(pad) and (count - 1) * step >= size + edge))
        param["includeLastPixel"] = {"paddingAmounts": pad}
        return Case(
            "pooling", param, [x], [pooled(x, kind, kernel, stride, pad, pad, counts, excluding=excluding)], True
        )
    padding, starts, ends = borders(draw, x.shape[2:], stride, kernel)
    sums = zip(x.shape[2:], starts, ends, kernel, stride, strict=True)
    counts = [(size + start + end - side) // step + 1 for size, start, end, side, step in sums]
    y = pooled(x, kind, kernel, stride, starts, ends, counts, excluding=excluding)
    return Case("pooling", {**param, **padding}, [x], [y], True)


def global_pooling(draw: Draw) -> Case:
    kind, x = draw.integer(0, 2), draw.numbers(2, 3, *draw.sizes(2))
    found = (x.max((2, 3), keepdims=True), x.mean((2, 3), keepdims=True), (x**2).sum((2, 3), keepdims=True) ** 0.5)
    return Case("pooling", {"type": kind, "globalPooling": True, "valid": {}}, [x], [found[kind]], True)


def pooling_3d(draw: Draw) -> Case:
    kind, kernel = draw.integer(0, 1), draw.sizes(3, 2, 3)
    stride, x, excluding = (
        [draw.integer(1, side) for side in kernel],
        draw.numbers(1, 2, *draw.sizes(3, 4, 6)),
        draw.chance(),
    )
    padding, starts, ends = volume_borders(draw, x.shape[2:], stride, kernel)
    sums = zip(x.shape[2:], starts, ends, kernel, stride, strict=True)
    counts = [(size + start + end - side) // step + 1 for size, start, end, side, step in sums]
    param = {"type": kind, "countExcludePadding": excluding, **by_side("kernel", kernel), **by_side("stride", stride)}
    return Case(
        "pooling3d",
        {**param, **padding},
        [x],
        [pooled(x, kind, kernel, stride, starts, ends, counts, excluding=excluding)],
    )


def global_pooling_3d(draw: Draw) -> Case:
    kind, x = draw.integer(0, 1), draw.numbers(2, 3, *draw.sizes(3))
    return Case("globalPooling3d", {"type": kind}, [x], [(x.max if kind == 0 else x.mean)((2, 3, 4), keepdims=True)])


# ---- image sizes


def sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear, at these places, which are kept inside."""
    made = x.astype(np.float64)
    for axis, places in ((-2, rows), (-1, columns)):
        last = made.shape[axis] - 1
        places = np.clip(places, 0, last)
        low = np.floor(places).astype(int)
        share = (places - low).reshape([-1 if axis == at - x.ndim else 1 for at in range(x.ndim)])
        high = np.minimum(low + 1, last)
        made = np.take(made, low, axis) * (1 - share) + np.take(made, high, axis) * share
    return made


def upsample(draw: Draw) -> Case:
    x, factors = draw.numbers(2, 2, *draw.sizes(2, 2, 5)), draw.sizes(2, 1, 3)
    if draw.chance():
        y = x.repeat(factors[0], 2).repeat(factors[1], 3)
        return Case("upsample", {"scalingFactor": factors, "mode": 0}, [x], [y], True)
    mode, places = draw.integer(0, 2), []
    for size, factor in zip(x.shape[2:], factors, strict=True):
        wanted = np.arange(size * factor)
        ends = wanted * (size - 1) / max(size * factor - 1, 1)
        places.append((wanted / factor, ends, (wanted + 0.5) / factor - 0.5)[mode])
    return Case(
        "upsample", {"scalingFactor": factors, "mode": 1, "linearUpsampleMode": mode}, [x], [sampled(x, *places)], True
    )


def resize_bilinear(draw: Draw) -> Case:
    x, target, method = draw.numbers(2, 2, *draw.sizes(2, 2, 5)), draw.sizes(2, 2, 7), draw.integer(0, 2)
    ends = [size - 1 if method < 2 else size - size / want for size, want in zip(x.shape[2:], target, strict=True)]
    places = [np.linspace(0, end, want) for end, want in zip(ends, target, strict=True)]
    return Case(
        "resizeBilinear", {"targetSize": target, "mode": {"samplingMethod": method}}, [x], [sampled(x, *places)], True
    )


WINDOWED: dict[str, Callable[[Draw], Case]] = {
    "convolution": convolution,
    "deconvolution": deconvolution,
    "convolution3d": convolution_3d,
    "pooling": pooling,
    "global pooling": global_pooling,
    "pooling3d": pooling_3d,
    "globalPooling3d": global_pooling_3d,
    "upsample": upsample,
    "resizeBilinear": resize_bilinear,
}
