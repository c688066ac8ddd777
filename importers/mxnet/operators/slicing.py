"""Operators that take parts, or join them, and padding."""

from __future__ import annotations

from collections.abc import Sequence

from ..operator_writer import OperatorWriter

_END = 1 << 31  # behind every axis
_MOST_PARTS = 1 << 12


def concat(writer: OperatorWriter) -> None:
    """One behind the other along an axis."""
    writer.emit("Concat", writer.inputs, axis=writer.axis(writer.attributes.whole("dim", 1)))


def stack(writer: OperatorWriter) -> None:
    """Along an axis of their own."""
    axis = writer.axis(writer.attributes.whole("axis", 0), extra=1)
    where = writer.ints("axes", [axis])
    parts = [writer.add(f"part{index}", "Unsqueeze", [value, where]) for index, value in enumerate(writer.inputs)]
    writer.emit("Concat", parts, axis=axis)


def slice_channel(writer: OperatorWriter) -> None:
    """Equal parts of an axis; with squeeze_axis parts of one, without the axis."""
    count, axis = writer.attributes.whole("num_outputs"), writer.axis(writer.attributes.whole("axis", 1))
    [size] = writer.sizes(writer.shape()[axis : axis + 1])
    if not 0 < count <= min(size, _MOST_PARTS) or size % count:
        raise writer.error(f"axis {axis} of size {size} does not divide into {count} parts")
    _split(writer, axis, [size // count] * count)


def split_v2(writer: OperatorWriter) -> None:
    """Parts of an axis: equal ones, or from each index to the next."""
    axis = writer.axis(writer.attributes.whole("axis", 0))
    [size] = writer.sizes(writer.shape()[axis : axis + 1])
    sections = writer.attributes.whole("sections", 0)
    if sections > 0:
        if sections > min(size, _MOST_PARTS) or size % sections:
            raise writer.error(f"axis {axis} of size {size} does not divide into {sections} parts")
        _split(writer, axis, [size // sections] * sections)
        return
    starts = [*writer.attributes.wholes("indices")]
    starts = starts if starts[:1] == [0] else [0, *starts]
    parts = [end - start for start, end in zip(starts, [*starts[1:], size], strict=True)]
    if min(parts) < 1:
        raise writer.error(f"its indices {starts} do not go up to the size {size} of axis {axis}")
    _split(writer, axis, parts)


def _split(writer: OperatorWriter, axis: int, parts: Sequence[int]) -> None:
    writer.name_outputs(len(parts))
    squeezed = writer.attributes.flag("squeeze_axis")
    if squeezed and set(parts) != {1}:
        raise writer.error(f"squeeze_axis expects parts of size 1, found {list(parts)}")
    wanted = writer.outputs
    if squeezed:
        writer.outputs = [writer.graph.temporary(f"{writer.name}/part{number}") for number in range(len(parts))]
    writer.emit_all("Split", [writer.input(), writer.ints("parts", parts)], axis=axis)
    if squeezed:
        axes, made, writer.outputs = writer.ints("axes", [axis]), writer.outputs, wanted
        for number, part in enumerate(made):
            writer.emit("Squeeze", [part, axes], output=number)


def slice_axis(writer: OperatorWriter) -> None:
    """From begin to end of one axis."""
    axis = writer.axis(writer.attributes.whole("axis"))
    end = writer.attributes.wholes_or_none("end")
    _slice(writer, [axis], [writer.attributes.whole("begin", 0)], [_END if end in ((), (None,)) else end[0] or 0])


def slice_(writer: OperatorWriter) -> None:
    """From begin to end of the first axes, with steps."""
    begins, ends, steps = (list(writer.attributes.wholes_or_none(name)) for name in ("begin", "end", "step"))
    steps = [step or 1 for step in steps] or [1] * len(begins)
    if not len(begins) == len(ends) == len(steps) <= len(writer.shape()):
        raise writer.error(f"begin, end and step are of {len(begins)}, {len(ends)} and {len(steps)} numbers")
    signs = [1 if (step or 1) > 0 else -1 for step in steps]
    starts = [(0 if sign > 0 else _END) if at is None else at for at, sign in zip(begins, signs, strict=True)]
    stops = [_END * sign if at is None else at for at, sign in zip(ends, signs, strict=True)]
    _slice(writer, [*range(len(begins))], starts, stops, [step or 1 for step in steps])


def slice_like(writer: OperatorWriter) -> None:
    """As far as the second input goes, along all axes or those listed."""
    axes = writer.axes("axes") or [*range(len(writer.shape()))]
    wanted = [writer.shape(1)[axis] for axis in axes]
    open_axes = [axis for axis, size in zip(axes, wanted, strict=True) if writer.shape()[axis] != size]
    sizes = writer.sizes([writer.shape(1)[axis] for axis in open_axes])
    _slice(writer, open_axes, [0] * len(sizes), list(sizes))


def crop(writer: OperatorWriter) -> None:
    """The height and width of the second input or of h_w, cut out at an offset or in the middle."""
    sides = writer.sizes(writer.shape()[2:])
    wanted = writer.sizes(writer.shape(1)[2:]) if len(writer.inputs) > 1 else tuple(writer.per_axis("h_w", 2, 0))
    if writer.attributes.flag("center_crop"):
        starts = [(side - cut) // 2 for side, cut in zip(sides, wanted, strict=True)]
    else:
        starts = writer.per_axis("offset", 2, 0)
    ends = [start + cut for start, cut in zip(starts, wanted, strict=True)]
    if min(*starts, *wanted) < 0 or 0 in wanted or any(end > side for end, side in zip(ends, sides, strict=True)):
        raise writer.error(f"cannot cut {wanted[0]}x{wanted[1]} at {starts} out of {sides[0]}x{sides[1]}")
    _slice(writer, [2, 3], starts, ends)


def _slice(
    writer: OperatorWriter, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], steps: Sequence[int] = ()
) -> None:
    if not axes:
        writer.emit("Identity", [writer.input()])
        return
    bounds = [writer.ints("starts", starts), writer.ints("ends", ends), writer.ints("axes", axes)]
    writer.emit("Slice", [writer.input(), *bounds, *([writer.ints("steps", steps)] if steps else [])])


def pad(writer: OperatorWriter) -> None:
    """A border of one value, of the edge or of what lies behind it."""
    mode = writer.one_of("mode", ("", "constant", "edge", "reflect"))
    widths, rank = writer.attributes.wholes("pad_width"), len(writer.shape())
    if not mode or len(widths) != 2 * rank or min(widths) < 0:
        raise writer.error(f"mode is {mode!r} and pad_width {list(widths)}; expected a mode and two widths an axis")
    amounts = writer.ints("pads", [*widths[::2], *widths[1::2]])
    value = [writer.constant("value", writer.attributes.real("constant_value", 0.0))] if mode == "constant" else []
    writer.emit("Pad", [writer.input(), amounts, *value], mode=mode)


OPERATORS = {
    "Concat": concat,
    "concat": concat,
    "stack": stack,
    "SliceChannel": slice_channel,
    "split": slice_channel,
    "_split_v2": split_v2,
    "slice_axis": slice_axis,
    "slice": slice_,
    "crop": slice_,
    "slice_like": slice_like,
    "Crop": crop,
    "Pad": pad,
    "pad": pad,
}
