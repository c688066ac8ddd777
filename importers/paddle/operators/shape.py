"""The same numbers in another shape or order, parts joined and split; borders."""

from __future__ import annotations

from functools import partial

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter
from .convolution import both_ends

_MOST_PARTS = 1 << 12  # that a tensor is split into


def reshape(op: OperatorWriter) -> None:
    """To a shape in which 0 keeps the size of that axis and one -1 is what is left."""
    x = op.tensor()
    target, here = op.size_list("ShapeTensor", "Shape", "shape"), op.dims(x)
    kept: list[Dim] = [
        0 if not isinstance(dim, int) and axis < len(here) and here[axis] == dim else dim
        for axis, dim in enumerate(target)
    ]
    open_axes = [axis for axis, dim in enumerate(kept) if not isinstance(dim, int)]
    if len(open_axes) == 1 and -1 not in kept:
        kept[open_axes.pop()] = -1
    if open_axes:
        shape = [dim if isinstance(dim, int) and dim > 0 else None for dim in kept]
        op.emit("Reshape", [x, op.size_tensor("ShapeTensor", "Shape", "shape")], shape=shape)
        return
    value, sizes = op.graph.value(x), op.sizes(kept)
    if value is not None and 0 not in sizes:  # a weight
        op.store(value.reshape(sizes))
        return
    op.emit_list(_list_of_one_axis(op, x, kept), "Reshape", [x, op.int_array("shape", sizes)])


def _list_of_one_axis(op: OperatorWriter, x: str, target: list[Dim]) -> list[Dim] | None:
    return op.known(x) if len(target) < 2 else None


def flatten(op: OperatorWriter) -> None:
    """To a matrix: the axes before one, and the others."""
    op.emit("Flatten", [op.tensor()], axis=op.attribute("axis", 1))


def flatten_range(op: OperatorWriter) -> None:
    """Axes from one to another as a single one."""
    x, dims = op.tensor(), op.dims(op.tensor())
    start, stop = (op.axis(op.attribute(name, 1), len(dims)) for name in ("start_axis", "stop_axis"))
    if stop < start:
        raise op.error(f"it flattens axes {start} to {stop}")
    if start == 1 and stop == len(dims) - 1:
        op.emit("Flatten", [x], axis=1)
        return
    behind = dims[stop + 1 :]
    if all(isinstance(dim, int) for dim in behind):
        op.emit("Reshape", [x, op.int_array("shape", [*[0] * start, -1, *op.sizes(behind)])])
        return
    parts = [op.add("before", "Shape", [x], end=start), op.int_array("flat", [-1])]
    parts.append(op.add("behind", "Shape", [x], start=stop + 1))
    shape = [*op.shape()[:start], None, *op.shape()[stop + 1 :]]
    op.emit("Reshape", [x, op.add("shape", "Concat", parts, axis=0)], shape=shape)


def transpose(op: OperatorWriter) -> None:
    """Axes in another order."""
    op.emit("Transpose", [op.tensor()], perm=op.ints("axis"))


def squeeze(op: OperatorWriter) -> None:
    """Without some axes of one, those of other sizes stay; or without all of them."""
    x, shape = op.tensor(), op.shape()
    wanted = {op.axis(axis, len(shape)) for axis in op.ints("axes")}
    axes = [
        axis
        for axis, dim in enumerate(shape)
        if (dim == 1 or not isinstance(dim, int) if axis in wanted else dim == 1 and not wanted)
    ]
    if axes:
        op.emit_list(op.known(x), "Squeeze", [x, op.int_array("axes", axes)])
    else:
        op.emit_list(op.known(x), "Identity", [x])


def unsqueeze(op: OperatorWriter) -> None:
    """With axes of one, put in one after the other."""
    x = op.tensor()
    order: list[int] = [0] * len(op.shape())
    for axis in op.sizes(op.size_list("AxesTensorList", "AxesTensor", "axes"), "axes"):
        order.insert(op.axis(axis, len(order) + 1), 1)
    places = [at for at, new in enumerate(order) if new]
    op.emit_list(op.known(x) if len(order) < 2 else None, "Unsqueeze", [x, op.int_array("axes", places)])


def concat(op: OperatorWriter) -> None:
    """One behind the other."""
    tensors, rank = op.all("X"), len(op.shape())
    known = [op.known(tensor) for tensor in tensors]
    dims = None if rank != 1 or None in known else [dim for part in known for dim in part or []]
    op.emit_list(dims, "Concat", tensors, axis=op.axis(_axis(op), rank))


def _axis(op: OperatorWriter) -> int:
    if not op.has("AxisTensor"):
        return op.attribute("axis", 0)
    return op.sizes(op.size_list("", "AxisTensor", "axis"), "AxisTensor")[0]


def stack(op: OperatorWriter) -> None:
    """Side by side, along a new axis."""
    tensors, rank = op.all("X"), len(op.shape()) + 1
    axis = op.axis(op.attribute("axis", 0), rank)
    place, known = op.int_array("axes", [axis]), [op.known(tensor) for tensor in tensors]
    raised = [op.add(f"part{at}", "Unsqueeze", [tensor, place]) for at, tensor in enumerate(tensors)]
    op.emit("Concat", raised, output="Y", axis=axis)
    if rank == 1 and None not in known:
        op.learn([dim for part in known for dim in part or []], "Y")


def split(op: OperatorWriter) -> None:
    """Into parts of one size or of given ones, of which one may be -1: what is left."""
    if op.has("SectionsTensorList"):
        raise op.error("the sizes of its parts are computed, which is not supported")
    shape, sections = op.shape(), op.ints("sections")
    axis = op.axis(_axis(op), len(shape))
    if sections.count(-1) == 1:
        (side,) = op.sizes(shape[axis : axis + 1])
        sections[sections.index(-1)] = side - sum(sections) - 1
    op.emit_all("Split", [op.tensor(), *([op.int_array("sizes", sections)] if sections else [])], "Out", axis=axis)


def unstack(op: OperatorWriter, output: str) -> None:
    """Into slices along an axis, which goes."""
    axis = op.axis(op.attribute("axis", 0), len(op.shape()))
    if not 0 < op.count(output) <= _MOST_PARTS:
        raise op.error(f"it makes {op.count(output)} parts")
    for index in range(op.count(output)):
        place = op.array(f"place{index}", index, "int64")
        op.graph.node("Gather", [op.tensor(), place], op.output(output, index), name=op.name, axis=axis)


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "replicate": "edge"}


def pad_image(op: OperatorWriter) -> None:
    """Borders of the last two axes: above, below, left, right."""
    op.choice("data_format", "NCHW", "NCHW")
    pads = both_ends(op, op.sizes(op.size_list("", "Paddings", "paddings"), "Paddings"), 2)
    _pad(op, [0, 0, *pads[:2], 0, 0, *pads[2:]], op.attribute("pad_value", 0.0))


def pad_volume(op: OperatorWriter) -> None:
    """Borders of the last three axes, the last one first."""
    op.choice("data_format", "NCDHW", "NCDHW")
    pads = both_ends(op, op.sizes(op.size_list("", "Paddings", "paddings"), "Paddings"), 3)
    _pad(op, [0, 0, *pads[2::-1], 0, 0, *pads[:2:-1]], op.attribute("value", 0.0))


def pad_any(op: OperatorWriter) -> None:
    """Borders of every axis."""
    _pad(op, both_ends(op, op.ints("paddings"), len(op.shape())), op.attribute("pad_value", 0.0))


def _pad(op: OperatorWriter, pads: list[int], value: float) -> None:
    x, mode = op.tensor(), op.choice("mode", "constant", *_MODES)
    op.emit("Pad", [x, op.int_array("pads", pads), op.like("value", value, x)], mode=_MODES[mode])


def pixel_shuffle(op: OperatorWriter) -> None:
    """Channels as blocks of pixels."""
    op.choice("data_format", "NCHW", "NCHW")
    op.emit("DepthToSpace", [op.tensor()], blocksize=op.attribute("upscale_factor", 1), mode="CRD")


def shuffle(op: OperatorWriter, attribute: str) -> None:
    """Channels of each group side by side with those of the others."""
    op.choice("data_format", "NCHW", "NCHW")
    x, groups = op.tensor(), op.attribute(attribute, 1)
    (channels,) = op.sizes(op.shape()[1:2])
    if groups < 1 or channels % groups:
        raise op.error(f"{channels} channels are no multiple of its {groups} groups")
    grouped = op.add("grouped", "Reshape", [x, op.int_array("groups", [0, groups, channels // groups, -1])])
    turned = op.add("turned", "Transpose", [grouped], perm=[0, 2, 1, 3])
    op.emit("Reshape", [turned, op.add("shape", "Shape", [x])], shape=op.shape())


def expand(op: OperatorWriter) -> None:
    """Repeated along axes of one to a shape in which -1 keeps the size."""
    dims = op.size_list("expand_shapes_tensor", "Shape", "shape")
    if all(isinstance(dim, int) for dim in dims):
        target = op.int_array("shape", [max(dim, 1) for dim in op.sizes(dims)])
        op.emit("Expand", [op.tensor(), target])
    else:
        op.emit("Expand", [op.tensor(), op.size_tensor("expand_shapes_tensor", "Shape", "shape")], shape=_known(dims))


def _known(dims: list[Dim]) -> list[Dim]:
    return [dim if isinstance(dim, int) and dim > 0 else None for dim in dims]


def expand_as(op: OperatorWriter) -> None:
    """To the shape of another tensor, or to one that is written down."""
    other = next((side for side in ("Y", "target_tensor") if op.has(side)), "")
    if other:
        op.emit("Expand", [op.tensor(), op.add("shape", "Shape", [op.tensor(other)])], shape=op.shape(other))
    else:
        sizes = [max(dim, 1) for dim in op.ints("target_shape")]
        op.emit("Expand", [op.tensor(), op.int_array("shape", sizes)])


def tile(op: OperatorWriter, parts: str, whole: str, attribute: str) -> None:
    """Repeated so often along each axis; missing axes of either are in front."""
    times = op.sizes(op.size_list(parts, whole, attribute), attribute)
    x, missing = op.tensor(), len(times) - len(op.shape())
    if missing > 0:
        x = op.add("raised", "Unsqueeze", [x, op.int_array("axes", range(missing))])
    op.emit("Tile", [x, op.int_array("times", [1] * -missing + times)])


OPERATORS = {
    "reshape": reshape,
    "reshape2": reshape,
    "flatten": flatten,
    "flatten2": flatten,
    "flatten_contiguous_range": flatten_range,
    "transpose": transpose,
    "transpose2": transpose,
    "squeeze": squeeze,
    "squeeze2": squeeze,
    "unsqueeze": unsqueeze,
    "unsqueeze2": unsqueeze,
    "concat": concat,
    "stack": stack,
    "split": split,
    "unstack": partial(unstack, output="Y"),
    "unbind": partial(unstack, output="Out"),
    "pad": pad_any,
    "pad2d": pad_image,
    "pad3d": pad_volume,
    "pixel_shuffle": pixel_shuffle,
    "shuffle_channel": partial(shuffle, attribute="group"),
    "channel_shuffle": partial(shuffle, attribute="groups"),
    "expand_v2": expand,
    "expand_as_v2": expand_as,
    "tile": partial(tile, parts="repeat_times_tensor", whole="RepeatTimes", attribute="repeat_times"),
    "expand": partial(tile, parts="expand_times_tensor", whole="ExpandTimes", attribute="expand_times"),
}
