"""Random TensorFlow operators that only move numbers."""

from __future__ import annotations

import numpy as np
from tensorflow_graphs import Net


def reshape(net: Net, name: str) -> str:
    """Into another number of axes."""
    value = net.values[name]
    shape = list(value.shape)
    if shape and net.chance():
        at = net.integer(0, len(shape) - 1)
        shape[max(at - 1, 0) : at + 1] = [int(np.prod(shape[max(at - 1, 0) : at + 1]))]
    else:
        shape.insert(net.integer(0, len(shape)), 1)
    shape = shape if len(shape) <= 5 else [-1]
    written = list(shape)
    if written and net.chance():
        written[net.integer(0, len(written) - 1)] = -1 if -1 not in written else written[0]
    return net.add("Reshape", [name, net.ints(written)], value.reshape(shape))


def transpose(net: Net, name: str) -> str:
    """Any order of axes; the two between channels first and last more often."""
    value = net.values[name]
    perm = net.random.permutation(value.ndim).tolist()
    if value.ndim == 4 and net.chance():
        perm = net.pick(([0, 3, 1, 2], [0, 2, 3, 1]))
    return net.add("Transpose", [name, net.ints(perm)], value.transpose(perm))


def squeeze(net: Net, name: str) -> str:
    """Without all axes of one, or with one more."""
    value = net.values[name]
    ones = [axis for axis, side in enumerate(value.shape) if side == 1]
    if ones and net.chance():
        axes = [net.pick(ones)] if net.chance() else []
        return net.add("Squeeze", [name], value.squeeze(tuple(axes) if axes else None), squeeze_dims=axes)
    if value.ndim == 5:
        return transpose(net, name)
    axis = net.integer(-value.ndim - 1, value.ndim)
    return net.add("ExpandDims", [name, net.ints(axis)], np.expand_dims(value, axis))


def pad(net: Net, name: str) -> str:
    """With zeros, a number, or mirrored."""
    value = net.values[name]
    if value.ndim == 0:
        return squeeze(net, name)
    kind = net.pick(("Pad", "PadV2", "MirrorPad"))
    mode = net.pick(("REFLECT", "SYMMETRIC"))
    most = [2 if kind != "MirrorPad" else min(2, side - (mode == "REFLECT")) for side in value.shape]
    pads = [(net.integer(0, limit), net.integer(0, limit)) if net.chance() else (0, 0) for limit in most]
    written = net.ints(pads)
    if kind == "Pad":
        return net.add(kind, [name, written], np.pad(value, pads), Tpaddings="INT32")
    if kind == "PadV2":
        found = np.pad(value, pads, constant_values=-0.5)
        return net.add(kind, [name, written, net.constant(-0.5)], found, Tpaddings="INT32")
    return net.add(kind, [name, written], np.pad(value, pads, mode=mode.lower()), mode=mode, Tpaddings="INT32")


def take(net: Net, name: str) -> str:
    """Slice."""
    value = net.values[name]
    begin = [net.integer(0, side - 1) for side in value.shape]
    size = [net.pick((-1, net.integer(1, side - start))) for side, start in zip(value.shape, begin, strict=True)]
    ends = [None if count == -1 else start + count for start, count in zip(begin, size, strict=True)]
    found = value[tuple(slice(*pair) for pair in zip(begin, ends, strict=True))]
    return net.add("Slice", [name, net.ints(begin), net.ints(size)], found, Index="INT32")


def strided(net: Net, name: str) -> str:
    """StridedSlice with masks; never of no numbers."""
    value = net.values[name]
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    begins, ends, steps, index = [], [], [], []
    axes = list(value.shape)
    new = value.ndim < 5 and net.chance(0.2)
    for at, side in enumerate([None, *axes] if new else axes):
        begin, end, step, part = 0, 0, 1, None
        if side is None:
            masks["new_axis_mask"] |= 1 << at
        elif net.chance(0.2):
            begin = net.integer(-side, side - 1)
            end, part = begin + 1, begin
            masks["shrink_axis_mask"] |= 1 << at
        else:
            begin, end, step = net.integer(0, side - 1), side + net.integer(0, 2), net.integer(1, 2)
            if net.chance(0.3):
                begin, step = net.integer(0, side - 1), -1
                masks["end_mask"] |= 1 << at
            open_start = net.chance(0.3)
            masks["begin_mask"] |= int(open_start) << at
            part = slice(None if open_start else begin, None, step)
        begins.append(begin)
        ends.append(end)
        steps.append(step)
        index.append(part)
    inputs = [name, *map(net.ints, (begins, ends, steps))]
    return net.add("StridedSlice", inputs, value[tuple(index)], Index="INT32", **masks)


def join(net: Net, name: str) -> str:
    """Concatenated or stacked with another version of itself."""
    value = net.values[name]
    other = net.add("Tanh", [name], np.tanh(value))
    if value.ndim and net.chance(0.7):
        axis = net.integer(-value.ndim, value.ndim - 1)
        found = np.concatenate([value, net.values[other]], axis)
        return net.add("ConcatV2", [name, other, net.ints(axis)], found, N=2, Tidx="INT32")
    if value.ndim == 5:
        return transpose(net, name)
    axis = net.integer(0, value.ndim)
    return net.add("Pack", [name, other], np.stack([value, net.values[other]], axis), N=2, axis=axis)


def cut(net: Net, name: str) -> str:
    """Split, SplitV or Unpack, and one of the parts."""
    value = net.values[name]
    if value.ndim == 0:
        return squeeze(net, name)
    axis = net.integer(0, value.ndim - 1)
    side = value.shape[axis]
    kind = net.pick(("Split", "SplitV", "Unpack"))
    if kind == "Unpack":
        parts = [value.take(at, axis) for at in range(side)]
        made = net.add_many(kind, [name], parts, T="FLOAT32", num=side, axis=axis)
    elif kind == "Split":
        count = net.pick([number for number in (1, 2, 3, side) if side % number == 0])
        parts = np.split(value, count, axis)
        made = net.add_many(kind, [net.ints(axis), name], parts, T="FLOAT32", num_split=count)
    else:
        first = net.integer(1, side)
        sizes = [first, side - first] if first < side else [side]
        parts = np.split(value, np.cumsum(sizes)[:-1], axis)
        inputs = [name, net.ints(sizes), net.ints(axis)]
        made = net.add_many(kind, inputs, parts, T="FLOAT32", Tlen="INT32", num_split=len(sizes))
    return net.pick(made)


def gather(net: Net, name: str) -> str:
    """GatherV2, the numbers as the graph has them or behind a transpose."""
    value = net.values[name]
    if value.ndim == 0:
        return squeeze(net, name)
    axis = net.integer(0, value.ndim - 1)
    index = net.random.integers(0, value.shape[axis], net.integer(1, 3))
    inputs = [name, net.ints(index), net.ints(axis)]
    more = {"Tparams": "FLOAT32", "Tindices": "INT32", "Taxis": "INT32", "batch_dims": 0}
    made = net.node("GatherV2", inputs, **more)
    net.values[made] = value.take(index, axis)
    return made


def repeat(net: Net, name: str) -> str:
    """Tile or ReverseV2."""
    value = net.values[name]
    if net.chance() or value.ndim == 0:
        repeats = [net.integer(1, 2) for _ in value.shape]
        return net.add("Tile", [name, net.ints(repeats)], np.tile(value, repeats), Tmultiples="INT32")
    axis = net.integer(0, value.ndim - 1)
    return net.add("ReverseV2", [name, net.ints([axis])], np.flip(value, axis), Tidx="INT32")


def largest(net: Net, name: str) -> str:
    """TopKV2: the values, or where they are."""
    value = net.values[name]
    if value.ndim == 0 or len(np.unique(value)) < value.size:  # ties are a matter of taste
        return transpose(net, name)
    count = net.integer(1, value.shape[-1])
    order = np.argsort(-value, axis=-1, kind="stable")[..., :count]
    values = np.take_along_axis(value, order, -1)
    made = net.add_many("TopKV2", [name, net.ints(count)], [values, order.astype(np.int32)], T="FLOAT32", sorted=True)
    return made[0] if net.chance(0.7) else made[1]


MOVEMENTS = (reshape, transpose, transpose, squeeze, pad, take, strided, join, cut, gather, repeat, largest)
