"""The same numbers in another shape or order; shapes themselves, which are known now."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...channels_last import to_first
from ..operator_writer import OperatorWriter
from ..reader import NUMPY_TYPES

_LARGEST = 1 << 22  # numbers that are written out


def reshape_to(op: OperatorWriter, shape: Sequence[int], tensor: str | None = None) -> None:
    """What makes the output: `tensor` (in the file's order), or else the first input, in this shape."""
    shape = [int(side) for side in shape]
    if tensor is None and list(op.shape()) == shape:
        (tensor,), first = op.aligned(0)
        op.finish(tensor, first=first, moved=True)
        return
    op.emit("Reshape", [tensor or op.flat(), op.int_list("shape", shape)], moved=True, allowzero=int(0 in shape))


def reshape(op: OperatorWriter) -> None:
    """To the second input, or to the option `new_shape`; -1 is what is left."""
    if not (op.has(1) or op.operator.options):
        raise op.error("it does not say to which shape")
    wanted = op.ints(1) if op.has(1) else [int(side) for side in op.option("new_shape")]
    count = math.prod(op.shape())
    if wanted[:1] == [1] and _has_more_images(op):
        wanted[0] = op.shape()[0]
    known = math.prod(side for side in wanted if side != -1)
    if wanted.count(-1) == 1 and known and count % known == 0:
        wanted[wanted.index(-1)] = count // known
    if min(wanted, default=0) < 0 or math.prod(wanted) != count:
        raise op.error(f"{list(op.shape())} does not fit into {wanted}")
    reshape_to(op, wanted)


def _has_more_images(op: OperatorWriter) -> bool:
    """Whether its input differs from what the file declares only in its first axis, which is 1 there: what follows
    another number of images, each of which fills the shape that the file has for one.
    """
    shape, declared = op.shape(), op.tensor(0).shape
    return len(declared) > 1 and declared[0] == 1 < shape[0] and declared[1:] == shape[1:]


def squeeze(op: OperatorWriter) -> None:
    """Without some axes of one, or all of them."""
    shape = op.shape()
    axes = {op.axis(int(axis), len(shape)) for axis in (op.option("squeeze_dims") if op.operator.options else ())}
    gone = axes or {axis for axis, side in enumerate(shape) if side == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise op.error(f"axes {sorted(gone)} of {list(shape)} are not all 1")
    reshape_to(op, [side for axis, side in enumerate(shape) if axis not in gone])


def expand_dims(op: OperatorWriter) -> None:
    """With an axis of one more."""
    shape = list(op.shape())
    shape.insert(op.axis(op.ints(1)[0], len(shape) + 1), 1)
    reshape_to(op, shape)


def transpose(op: OperatorWriter) -> None:
    """No node where the graph has the tensor in that order already, or the result would be the same channels first."""
    perm, rank = op.ints(1), len(op.shape())
    if sorted(perm) != list(range(rank)):
        raise op.error(f"{perm} is no order of {rank} axes")
    name = op.inputs[0]
    orders = {False: list(range(rank)), True: list(to_first(rank)) if rank > 2 else list(range(rank))}
    sources = [first for first in (True, False) if (op.tensors.is_first(name) if first else op.tensors.is_last(name))]
    for source in sources:
        for result in (False, True):
            if [perm[axis] for axis in orders[result]] == orders[source]:
                op.finish(op.first() if source else op.last(), first=result, moved=True)
                return
    source = sources[0]
    needed = [orders[source].index(axis) for axis in perm]
    op.emit("Transpose", [op.first() if source else op.last()], perm=needed, moved=True)


def pack(op: OperatorWriter) -> None:
    """Tensors of one shape along a new axis."""
    axis = op.axis(op.option("axis"), len(op.shape()) + 1)
    where = op.int_list("axis", [axis])
    parts = [op.add(f"part{index}", "Unsqueeze", [op.last(index), where]) for index in range(len(op.inputs))]
    op.emit("Concat", parts, moved=True, axis=axis)


def unpack(op: OperatorWriter) -> None:
    """One output for each place along an axis, which is gone afterwards."""
    shape = op.shape()
    axis = op.axis(op.option("axis"), len(shape))
    if len(op.outputs) != shape[axis]:
        raise op.error(f"{len(op.outputs)} outputs for the {shape[axis]} places of axis {axis}")
    parts = [op.graph.temporary(f"{output}/part") for output in op.outputs]
    op.graph.node("Split", [op.last()], parts, name=f"{op.name}/split", axis=axis)
    where = op.int_list("axis", [axis])
    for index, part in enumerate(parts):
        op.emit("Squeeze", [part, where], output=index, moved=True)


def tile(op: OperatorWriter) -> None:
    """Repeated along each axis."""
    repeats, shape = op.ints(1), op.shape()
    if len(repeats) != len(shape) or min(repeats, default=1) < 1:
        raise op.error(f"repeats {repeats} do not fit the shape {list(shape)}")
    (tensor,), first = op.aligned(0)
    order = to_first(len(shape)) if first else range(len(shape))
    op.emit("Tile", [tensor, op.int_list("repeats", [repeats[axis] for axis in order])], first=first, moved=True)


def broadcast_to(op: OperatorWriter) -> None:
    """As often as a shape says."""
    op.emit("Expand", [op.last(), op.int_list("shape", op.ints(1))], moved=True)


def fill(op: OperatorWriter) -> None:
    """One number everywhere."""
    shape, value = op.ints(0), op.value(1)
    if min(shape, default=0) < 0 or math.prod(shape) > _LARGEST:
        raise op.error(f"its result of shape {shape} is too large, or none")
    if value is None:
        op.emit("Expand", [op.last(1), op.int_list("shape", shape)], moved=True)
    else:
        op.store(np.full(shape, value.reshape(())))


def zeros_like(op: OperatorWriter) -> None:
    """Zeros in the shape of the input."""
    shape, kind = op.shape(), op.output()
    if math.prod(shape) > _LARGEST:
        raise op.error(f"its result of shape {list(shape)} is too large")
    op.store(np.zeros(shape, np.float32 if kind.is_quantised else NUMPY_TYPES[kind.type]))


def shape_of(op: OperatorWriter) -> None:
    """Known now: sizes are fixed."""
    op.store(np.array(op.shape(), NUMPY_TYPES[op.output().type]))


def rank_of(op: OperatorWriter) -> None:
    """How many axes the input has."""
    op.store(np.array(len(op.shape()), np.int32))


def range_of(op: OperatorWriter) -> None:
    """From start to limit in steps."""
    start, limit, step = (op.constant(index).reshape(()).item() for index in range(3))
    if not step or (limit - start) / step > _LARGEST:
        raise op.error(f"from {start} to {limit} in steps of {step} is no range, or too long")
    op.store(np.arange(start, limit, step).astype(NUMPY_TYPES[op.output().type]))


def broadcast_args(op: OperatorWriter) -> None:
    """The shape that two shapes broadcast to."""
    op.store(np.array(np.broadcast_shapes(tuple(op.ints(0)), tuple(op.ints(1))), NUMPY_TYPES[op.output().type]))


def space_to_depth(op: OperatorWriter) -> None:
    """Blocks of pixels as channels."""
    op.emit("SpaceToDepth", [op.first()], first=True, moved=True, blocksize=_block(op))


def depth_to_space(op: OperatorWriter) -> None:
    """Channels as blocks of pixels."""
    op.emit("DepthToSpace", [op.first()], first=True, moved=True, blocksize=_block(op), mode="DCR")


def _block(op: OperatorWriter) -> int:
    size = int(op.option("block_size"))
    if size < 1 or len(op.shape()) != 4:
        raise op.error(f"blocks of {size} in an image of shape {list(op.shape())}")
    return size


def space_to_batch(op: OperatorWriter) -> None:
    """Every n-th pixel as an image of its own; what encloses a convolution has become its dilation before."""
    shape, blocks, pads = op.shape(), op.ints(1), op.ints(2)
    inner = len(blocks)
    if len(pads) != 2 * inner or min((*blocks, *pads, 1)) < 0 or 0 in blocks or len(shape) < inner + 1:
        raise op.error(f"blocks {blocks} and paddings {pads} do not fit the shape {list(shape)}")
    rest = len(shape) - inner - 1
    padded = op.add(
        "padded", "Pad", [op.last(), op.int_list("pads", [0, *pads[::2], *[0] * rest, 0, *pads[1::2], *[0] * rest])]
    )
    sides = [side + pads[2 * at] + pads[2 * at + 1] for at, side in enumerate(shape[1 : inner + 1])]
    if any(side % block for side, block in zip(sides, blocks, strict=True)):
        raise op.error(f"an image of {sides} does not divide into blocks of {blocks}")
    cells = [side // block for side, block in zip(sides, blocks, strict=True)]
    pairs = [size for pair in zip(cells, blocks, strict=True) for size in pair]
    cut = op.add("blocks", "Reshape", [padded, op.int_list("block_shape", [shape[0], *pairs, *shape[inner + 1 :]])])
    within, between = range(2, 2 * inner + 1, 2), range(1, 2 * inner, 2)
    perm = [*within, 0, *between, *range(2 * inner + 1, 2 * inner + 1 + rest)]
    turned = op.add("turned", "Transpose", [cut], perm=perm)
    reshape_to(op, [shape[0] * math.prod(blocks), *cells, *shape[inner + 1 :]], turned)


def batch_to_space(op: OperatorWriter) -> None:
    """The opposite of `space_to_batch`, and borders cropped."""
    shape, blocks, crops = op.shape(), op.ints(1), op.ints(2)
    inner = len(blocks)
    if len(crops) != 2 * inner or min((*blocks, 1)) < 1 or min((*crops, 0)) < 0 or shape[0] % math.prod(blocks):
        raise op.error(f"blocks {blocks} and crops {crops} do not fit the shape {list(shape)}")
    images, rest = shape[0] // math.prod(blocks), len(shape) - inner - 1
    cut = op.add("blocks", "Reshape", [op.last(), op.int_list("block_shape", [*blocks, images, *shape[1:]])])
    pairs = [axis for at in range(inner) for axis in (inner + 1 + at, at)]
    perm = [inner, *pairs, *range(2 * inner + 1, 2 * inner + 1 + rest)]
    turned = op.add("turned", "Transpose", [cut], perm=perm)
    sides = [side * block for side, block in zip(shape[1 : inner + 1], blocks, strict=True)]
    whole = op.add("whole", "Reshape", [turned, op.int_list("shape", [images, *sides, *shape[inner + 1 :]])])
    ends = [side - crop for side, crop in zip(sides, crops[1::2], strict=True)]
    limits = {"starts": crops[::2], "ends": ends, "axes": range(1, inner + 1)}
    op.emit("Slice", [whole, *(op.int_list(role, values) for role, values in limits.items())], moved=True)


OPERATORS = {
    "RESHAPE": reshape,
    "SQUEEZE": squeeze,
    "EXPAND_DIMS": expand_dims,
    "TRANSPOSE": transpose,
    "PACK": pack,
    "UNPACK": unpack,
    "TILE": tile,
    "BROADCAST_TO": broadcast_to,
    "BROADCAST_ARGS": broadcast_args,
    "FILL": fill,
    "ZEROS_LIKE": zeros_like,
    "SHAPE": shape_of,
    "RANK": rank_of,
    "RANGE": range_of,
    "SPACE_TO_DEPTH": space_to_depth,
    "DEPTH_TO_SPACE": depth_to_space,
    "SPACE_TO_BATCH_ND": space_to_batch,
    "BATCH_TO_SPACE_ND": batch_to_space,
}
