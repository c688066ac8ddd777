"""Layers that cut tensors, or put a border round them."""

from __future__ import annotations

from collections.abc import Sequence

from ..layer_writer import LayerWriter
from ..windows import borders
from ..wire_schema import enum_name

_SLICE_AXES = {"CHANNEL_AXIS": -3, "HEIGHT_AXIS": -2, "WIDTH_AXIS": -1}
_TO_THE_END = (1 << 63) - 1


def crop(layer: LayerWriter) -> None:
    """Rows and columns cut off: by amounts, or to the size of the second input from an offset on."""
    rank, sizes = len(layer.shape()), layer.sizes(layer.shape()[-2:])
    if len(layer.inputs) > 1:
        starts = [int(value) for value in layer.param.offset] or [0, 0]
        if len(starts) != 2:
            raise layer.error(f"expected two offsets, found {starts}")
        ends = [start + size for start, size in zip(starts, layer.sizes(layer.shape(1)[-2:]), strict=True)]
    else:
        amounts = borders(layer, layer.param.cropAmounts)
        starts = amounts[:2]
        ends = [size - amount for size, amount in zip(sizes, amounts[2:], strict=True)]
    if any(not start < end <= size for start, end, size in zip(starts, ends, sizes, strict=True)):
        raise layer.error(f"cannot cut rows and columns {starts} to {ends} out of {list(sizes)}")
    _slice(layer, starts, ends, [rank - 2, rank - 1])


def _slice(
    layer: LayerWriter, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int] = ()
) -> None:
    layer.emit("Slice", [layer.inputs[0], *_cuts(layer, starts, ends, axes, steps)])


def _cuts(
    layer: LayerWriter, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int], steps: Sequence[int]
) -> list[str]:
    cuts = [layer.ints("starts", starts), layer.ints("ends", ends), layer.ints("axes", axes)]
    return [*cuts, layer.ints("steps", steps)] if steps else cuts


def slice_(layer: LayerWriter) -> None:
    """From one place of an axis to before another; negative ones count from behind."""
    param = layer.param
    axis = layer.axis(_SLICE_AXES[enum_name("SliceAxis", param.axis)])
    _slice(layer, [param.startIndex], [param.endIndex], [axis], [param.stride or 1])


def slice_static(layer: LayerWriter) -> None:
    """As `slice_`, of every axis; where squeezed one place of an axis, which then goes."""
    param, rank = layer.param, len(layer.shape())
    begins, ends, steps = list(param.beginIds), list(param.endIds), list(param.strides)
    masks = [list(param.beginMasks), list(param.endMasks), list(param.squeezeMasks) or [False] * rank]
    if any(len(values) != rank for values in (begins, ends, steps, *masks)) or 0 in steps:
        raise layer.error(f"expected {rank} starts, ends, steps and masks")
    from_start, to_end, squeezed = masks
    for axis in range(rank):
        back = steps[axis] < 0
        if squeezed[axis]:
            ends[axis], steps[axis] = (begins[axis] + 1) or _TO_THE_END, 1
            continue
        if from_start[axis]:
            begins[axis] = _TO_THE_END if back else 0
        if to_end[axis]:
            ends[axis] = -_TO_THE_END if back else _TO_THE_END
    gone = [axis for axis in range(rank) if squeezed[axis]]
    if not gone:
        _slice(layer, begins, ends, range(rank), steps)
        return
    cut = layer.add("cut", "Slice", [layer.inputs[0], *_cuts(layer, begins, ends, range(rank), steps)])
    layer.emit("Squeeze", [cut, layer.ints("squeezed", gone)])


def split(layer: LayerWriter) -> None:
    """The channels in equal parts."""
    _split(layer, layer.channel_axis, [])


def split_nd(layer: LayerWriter) -> None:
    """An axis in equal parts, or in parts of these sizes."""
    _split(layer, layer.axis(layer.param.axis), [int(size) for size in layer.param.splitSizes])


def _split(layer: LayerWriter, axis: int, parts: Sequence[int]) -> None:
    (size,) = layer.sizes(layer.shape()[axis : axis + 1])
    count = len(layer.outputs)
    parts = parts or [size // count] * count
    if len(parts) != count or sum(parts) != size or min(parts) < 1:
        raise layer.error(f"axis {axis} of size {size} cannot be cut into {count} outputs of sizes {list(parts)}")
    if count == 1:
        layer.emit("Identity", layer.inputs)
    else:
        layer.emit_all("Split", [*layer.inputs, layer.ints("parts", parts)], axis=axis)


def padding(layer: LayerWriter) -> None:
    """Rows and columns added: of one number, or of those at the border."""
    param, rank = layer.param, len(layer.shape())
    top, left, bottom, right = borders(layer, param.paddingAmounts)
    front = [0] * (rank - 2)
    amounts = layer.ints("amounts", [*front, top, left, *front, bottom, right])
    if param.HasField("reflection"):
        _check_reflection(layer, [top, left, bottom, right])
        layer.emit("Pad", [layer.inputs[0], amounts], mode="reflect")
    elif param.HasField("replication"):
        layer.emit("Pad", [layer.inputs[0], amounts], mode="edge")
    else:
        layer.emit("Pad", [layer.inputs[0], amounts, layer.constant("value", param.constant.value)])


def _check_reflection(layer: LayerWriter, amounts: Sequence[int]) -> None:
    sizes = layer.sizes(layer.shape()[-2:])
    if any(amount >= size for amount, size in zip(amounts, (*sizes, *sizes), strict=True)):
        raise layer.error(f"cannot reflect {list(amounts)} rows and columns of {list(sizes)}")


def constant_pad(layer: LayerWriter) -> None:
    """Any axes made longer by amounts, or up to a size, with one number."""
    param, shape = layer.param, layer.shape()
    given = [int(amount) for amount in param.padAmounts]
    if len(layer.inputs) != 1 or len(given) != 2 * len(shape):
        raise layer.error(f"expected an amount before and behind each of {len(shape)} axes, found {given}")
    pairs = list(zip(given[::2], given[1::2], strict=True))
    if param.padToGivenOutputSizeMode:
        sizes = zip(pairs, layer.sizes(shape), strict=True)
        pairs = [(max(before - size, 0), max(behind - size, 0)) for (before, behind), size in sizes]
    amounts = [before for before, _ in pairs] + [behind for _, behind in pairs]
    layer.emit("Pad", [*layer.inputs, layer.ints("amounts", amounts), layer.constant("value", param.value)])


LAYERS = {
    "crop": crop,
    "slice": slice_,
    "sliceStatic": slice_static,
    "split": split,
    "splitND": split_nd,
    "padding": padding,
    "constantPad": constant_pad,
}
