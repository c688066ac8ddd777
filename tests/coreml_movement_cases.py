"""Random Core ML layers that move numbers, with where these go."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from coreml_cases import Case, Draw, amounts

Array = np.ndarray


def reshaped(draw: Draw) -> Case:
    """[C, H, W] anew, by channels first or last."""
    x, (height, width) = draw.numbers(2, 4, 3, 2), draw.pick([(2, 3), (1, 6), (4, 1), (24, 1)])
    channels, mode = 24 // height // width, draw.integer(0, 1)
    target = [1] * draw.integer(0, 1) + [channels, height, width]
    if mode == 0:
        y = x.reshape(2, channels, height, width)
    else:
        y = x.transpose(0, 2, 3, 1).reshape(2, height, width, channels).transpose(0, 3, 1, 2)
    return Case("reshape", {"targetShape": target, "mode": mode}, [x], [y], True)


def flattened(draw: Draw) -> Case:
    x, mode = draw.numbers(2, 3, 4, 5), draw.integer(0, 1)
    rows = (x if mode == 0 else x.transpose(0, 2, 3, 1)).reshape(2, 60)
    return Case("flatten", {"mode": mode}, [x], [rows], True)


def permuted(draw: Draw) -> Case:
    x, order = draw.numbers(2, 3, 4, 5), [0, *(draw.random.permutation(3) + 1).tolist()]
    return Case("permute", {"axis": order}, [x], [x.transpose(order)], True)


def transposed(draw: Draw) -> Case:
    x = draw.numbers(*draw.sizes(draw.integer(1, 5)))
    order = draw.random.permutation(x.ndim).tolist()
    return Case("transpose", {"axes": order}, [x], [x.transpose(order)])


def reorganized(draw: Draw) -> Case:
    """Block by block, as the description writes it out."""
    mode, size = draw.integer(0, 2), draw.integer(2, 3)
    if mode == 0:
        x = draw.numbers(1, 2, 2 * size, 3 * size)
        blocks = x.reshape(1, 2, 2, size, 3, size).transpose(0, 3, 5, 1, 2, 4)
        return Case("reorganizeData", {"mode": 0, "blockSize": size}, [x], [blocks.reshape(1, -1, 2, 3)], True)
    x = draw.numbers(1, 2 * size**2, 2, 3)
    if mode == 1:
        pixels = x.reshape(1, size, size, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2)
    else:
        pixels = x.reshape(1, 2, size, size, 2, 3).transpose(0, 1, 4, 2, 5, 3)
    return Case(
        "reorganizeData", {"mode": mode, "blockSize": size}, [x], [pixels.reshape(1, 2, 2 * size, 3 * size)], True
    )


def reshaped_nd(draw: Draw) -> Case:
    x = draw.numbers(4, 3, 2)
    target = draw.pick([[6, 4], [2, -1], [24], [1, 4, 3, 1, 2], [0, 6, 1], [2, 0, -1], [12, 1, 2]])
    kind = "rankPreservingReshape" if len(target) == 3 else "reshapeStatic"
    copied = [x.shape[at] if size == 0 else size for at, size in enumerate(target)]
    return Case(kind, {"targetShape": target}, [x], [x.reshape(copied)])


def like(draw: Draw) -> Case:
    if draw.chance():
        x, other = draw.numbers(4, 3), draw.numbers(2, 6)
        return Case("reshapeLike", {}, [x, other], [x.reshape(2, 6)])
    x, other = draw.numbers(3, 1), draw.numbers(2, 3, 4)
    return Case("broadcastToLike", {}, [x, other], [np.broadcast_to(x, (2, 3, 4))])


def axes_of_one(draw: Draw) -> Case:
    x = draw.numbers(1, 3, 1, 2)
    kind, param, y = draw.pick(
        [
            ("squeeze", {"axes": [0, -2]}, x[0, :, 0]),
            ("squeeze", {"axes": [2]}, x[:, :, 0]),
            ("squeeze", {"squeezeAll": True}, x[0, :, 0]),
            ("expandDims", {"axes": [0]}, x[None]),
            ("expandDims", {"axes": [-1]}, x[..., None]),
        ]
    )
    return Case(kind, param, [x], [y])


def as_matrix(draw: Draw) -> Case:
    x = draw.numbers(*draw.sizes(draw.integer(1, 4)))
    axis = draw.integer(-x.ndim, x.ndim)
    rows = math.prod(x.shape[: axis if axis >= 0 else x.ndim + axis])
    return Case("flattenTo2D", {"axis": axis}, [x], [x.reshape(rows, -1)])


def repeated(draw: Draw) -> Case:
    x = draw.numbers(2, 1, 3)
    reps = draw.sizes(draw.integer(1, 3), 1, 3)
    if draw.chance():
        return Case(
            "broadcastToStatic", {"targetShape": [4, 2, 5, 3]}, [x], [np.broadcast_to(x, (4, 2, 1, 3)).repeat(5, 2)]
        )
    return Case("tile", {"reps": reps}, [x], [np.tile(x, reps)])


def joined(draw: Draw) -> Case:
    xs, axis = [draw.numbers(2, 3, 4) for _ in range(draw.integer(2, 3))], draw.integer(-3, 2)
    if draw.chance():
        return Case("stack", {"axis": axis}, xs, [np.stack(xs, axis)])
    if draw.chance():
        y = np.empty([size * (len(xs) if at == axis % 3 else 1) for at, size in enumerate(xs[0].shape)], np.float32)
        for at, x in enumerate(xs):
            cut: list[Any] = [slice(None)] * 3
            cut[axis] = slice(at, None, len(xs))
            y[tuple(cut)] = x
        return Case("concatND", {"axis": axis, "interleave": True}, xs, [y])
    return Case("concatND", {"axis": axis}, xs, [np.concatenate(xs, axis)])


def joined_channels(draw: Draw) -> Case:
    xs = [draw.numbers(2, draw.integer(1, 3), 2, 3) for _ in range(3)]
    return Case("concat", {}, xs, [np.concatenate(xs, 1)], True)


def cut(draw: Draw) -> Case:
    x = draw.numbers(2, 3, 6, 7)
    if draw.chance():
        starts, ends = draw.sizes(2, 0, 2), draw.sizes(2, 0, 2)
        y = x[:, :, starts[0] : 6 - ends[0], starts[1] : 7 - ends[1]]
        return Case("crop", {"cropAmounts": amounts(starts, ends)}, [x], [y], True)
    other, offset = draw.numbers(2, 3, *draw.sizes(2, 1, 4)), draw.sizes(2, 0, 2)
    y = x[:, :, offset[0] : offset[0] + other.shape[2], offset[1] : offset[1] + other.shape[3]]
    return Case("crop", {"offset": offset}, [x, other], [y], True)


def sliced(draw: Draw) -> Case:
    x, axis = draw.numbers(2, 5, 6, 7), draw.integer(0, 2)
    start, end, stride = draw.pick([(0, 3, 1), (1, 5, 2), (-4, -1, 1), (2, -1, 2), (1, 4, 0)])
    where: list[Any] = [slice(None)] * 4
    where[axis + 1] = slice(start, end, stride or 1)
    param = {"startIndex": start, "endIndex": end, "stride": stride, "axis": axis}
    return Case("slice", param, [x], [x[tuple(where)]], True)


def sliced_nd(draw: Draw) -> Case:
    x = draw.numbers(4, 5, 6)
    where: list[Any] = []
    lists: dict[str, list[Any]] = {
        name: [] for name in ("beginIds", "beginMasks", "endIds", "endMasks", "strides", "squeezeMasks")
    }
    for size in x.shape:
        begin, end, stride = draw.pick([(0, size, 1), (1, size - 1, 2), (-3, size, 1), (size - 1, 0, -1), (-1, -4, -2)])
        masks = draw.chance(), draw.chance(), draw.integer(0, 3) == 0
        values = (begin, masks[0], end, masks[1], stride, masks[2])
        for entries, value in zip(lists.values(), values, strict=True):
            entries.append(value)
        where.append(begin if masks[2] else slice(None if masks[0] else begin, None if masks[1] else end, stride))
    if all(lists["squeezeMasks"]):
        lists["squeezeMasks"][0] = False
        first = [lists[name][0] for name in ("beginIds", "beginMasks", "endIds", "endMasks", "strides")]
        where[0] = slice(None if first[1] else first[0], None if first[3] else first[2], first[4])
    return Case("sliceStatic", lists, [x], [x[tuple(where)]])


def split(draw: Draw) -> Case:
    if draw.chance():
        x, count = draw.numbers(2, 6, 2, 2), draw.pick([2, 3])
        return Case("split", {"nOutputs": count}, [x], np.split(x, count, 1), True)
    x, axis = draw.numbers(6, 6), draw.integer(-2, 1)
    if draw.chance():
        return Case("splitND", {"axis": axis, "numSplits": 3}, [x], np.split(x, 3, axis))
    return Case("splitND", {"axis": axis, "splitSizes": [1, 3, 2]}, [x], np.split(x, [1, 4], axis))


def bordered(draw: Draw) -> Case:
    x, starts, ends = draw.numbers(2, 2, 4, 5), draw.sizes(2, 0, 3), draw.sizes(2, 0, 3)
    kind, mode = draw.pick([("constant", "constant"), ("reflection", "reflect"), ("replication", "edge")])
    pairs = [(0, 0), (0, 0), (starts[0], ends[0]), (starts[1], ends[1])]
    more: dict[str, Any] = {"constant_values": 0.5} if kind == "constant" else {}
    param = {kind: {"value": 0.5} if kind == "constant" else {}, "paddingAmounts": amounts(starts, ends)}
    return Case("padding", param, [x], [np.pad(x, pairs, mode, **more)], True)


def bordered_nd(draw: Draw) -> Case:
    x, given = draw.numbers(3, 4), draw.sizes(4, 0, 3)
    if draw.chance():
        y = np.pad(x, [given[:2], given[2:]], constant_values=0.5)
        return Case("constantPad", {"value": 0.5, "padAmounts": given}, [x], [y])
    y = np.pad(x, [(2, 0), (0, 3)], constant_values=0.5)
    return Case("constantPad", {"value": 0.5, "padAmounts": [5, 0, 0, 7], "padToGivenOutputSizeMode": True}, [x], [y])


def stored(draw: Draw) -> Case:
    shape = draw.sizes(draw.integer(1, 4))
    if draw.chance():
        return Case("fillStatic", {"value": 0.5, "targetShape": shape}, [], [np.full(shape, 0.5, np.float32)])
    data = draw.numbers(*shape)
    return Case("loadConstantND", {"shape": shape, "data": data}, [], [data])


MOVEMENTS: dict[str, Callable[[Draw], Case]] = {
    "reshape": reshaped,
    "flatten": flattened,
    "permute": permuted,
    "transpose": transposed,
    "reorganizeData": reorganized,
    "reshape nd": reshaped_nd,
    "like": like,
    "axes of one": axes_of_one,
    "flattenTo2D": as_matrix,
    "repeated": repeated,
    "joined": joined,
    "concat": joined_channels,
    "crop": cut,
    "slice": sliced,
    "sliceStatic": sliced_nd,
    "split": split,
    "padding": bordered,
    "constantPad": bordered_nd,
    "stored": stored,
}
