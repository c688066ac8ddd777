"""Parts of a tensor: slices, and entries by their numbers."""

from __future__ import annotations

from functools import partial

from onnx import TensorProto

from ...graph_builder import Dim
from ..operator_writer import OperatorWriter

_BOUNDS = ("start", "end", "stride")


def cut(op: OperatorWriter) -> None:
    """From starts to ends along some axes; axes of one may go after that."""
    x, axes = op.tensor("Input"), op.ints("axes")
    bounds = {
        word: op.size_list(f"{word.title()}sTensorList", f"{word.title()}sTensor", f"{word}s") for word in _BOUNDS
    }
    bounds["stride"] = bounds["stride"] or [1] * len(axes)
    if any(len(values) != len(axes) for values in bounds.values()):
        raise op.error(f"it has {len(axes)} axes but other numbers of starts, ends or strides")
    inputs = [x]
    for word in _BOUNDS[:2]:
        inputs.append(op.size_tensor(f"{word.title()}sTensorList", f"{word.title()}sTensor", f"{word}s"))
    inputs += [op.int_array("axes", axes), op.int_array("steps", op.sizes(bounds["stride"], "steps"))]
    gone = [op.axis(axis, len(op.shape("Input"))) for axis in op.ints("decrease_axis")]
    dims = _cut_list(op, x, bounds) if axes in ([0], [-1]) else None
    if gone and len(op.declared().shape) == len(op.shape("Input")) - len(gone):
        sliced = op.add("sliced", "Slice", inputs)
        op.emit_list(dims, "Squeeze", [sliced, op.int_array("gone", gone)])
    else:  # in older files one axis stays where all would go
        op.emit_list(dims, "Slice", inputs)


def _cut_list(op: OperatorWriter, x: str, bounds: dict[str, list[Dim]]) -> list[Dim] | None:
    """The same of a list of sizes, where it is one."""
    known = op.known(x)
    if known is None or len(op.shape("Input")) != 1:
        return None
    start, end, step = (bounds[word][0] for word in _BOUNDS)
    if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int)):
        return None
    return known[start:end:step]


def gather(op: OperatorWriter, axis: str) -> None:
    """Entries along an axis."""
    at = op.sizes(op.size_list("", "Axis", ""), "Axis")[0] if op.has("Axis") else op.attribute(axis, 0)
    index = op.tensor("Index")
    if len(op.shape("Index")) == 2:  # a column of numbers is a list here
        index = op.add("list", "Reshape", [index, op.int_array("list/shape", [-1])])
    op.emit("Gather", [op.tensor(), index], axis=op.axis(at, len(op.shape())))


def gather_places(op: OperatorWriter) -> None:
    """Entries whose places in the first axes are listed."""
    places = op.add("places", "Cast", [op.tensor("Index")], to=TensorProto.INT64)
    op.emit("GatherND", [op.tensor(), places])


def look_up(op: OperatorWriter) -> None:
    """Rows of a table; the padding's row is stored as zeros in it."""
    op.emit("Gather", [op.tensor("W"), op.tensor("Ids")], axis=0)


def where(op: OperatorWriter) -> None:
    """Either of two tensors, number by number."""
    op.emit("Where", [op.tensor("Condition"), op.tensor("X"), op.tensor("Y")])


def flip(op: OperatorWriter) -> None:
    """Along some axes."""
    axes = op.ints("axis")
    least = -(1 << 31)
    bounds = [[-1] * len(axes), [least] * len(axes), axes, [-1] * len(axes)]
    names = [op.int_array(role, values) for role, values in zip(("start", "end", "axes", "steps"), bounds, strict=True)]
    op.emit("Slice", [op.tensor(), *names])


OPERATORS = {
    "slice": cut,
    "strided_slice": cut,
    "gather": partial(gather, axis="axis"),
    "index_select": partial(gather, axis="dim"),
    "gather_nd": gather_places,
    "where": where,
    "flip": flip,
    "lookup_table_v2": look_up,
}
