"""Random TensorFlow Lite networks, continued: operators that move, pick, reduce and resize; and several in a row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tflite_cases import FUSED, Net, conv


def reshaped(net: Net) -> None:
    """RESHAPE, SQUEEZE or EXPAND_DIMS."""
    kind, shape = net.pick(("RESHAPE", "SQUEEZE", "EXPAND_DIMS")), net.sizes(net.integer(2, 4), 1, 4)
    if kind == "RESHAPE":
        count = int(np.prod(shape))
        first = net.pick([number for number in range(1, count + 1) if count % number == 0])
        wanted = [first, count // first] if net.chance() else [1, count // first, first, 1]
        written = [-1 if index == 0 else side for index, side in enumerate(wanted)] if net.chance() else wanted
        net.add(kind, [net.source(shape), net.ints(written)], wanted, "Reshape", new_shape=written)
    elif kind == "SQUEEZE":
        shape[net.integer(0, len(shape) - 1)] = 1
        ones = [axis for axis, side in enumerate(shape) if side == 1]
        gone = ones if net.chance() else [net.pick(ones)]
        left = [side for axis, side in enumerate(shape) if axis not in gone]
        net.add(kind, [net.source(shape)], left, "Squeeze", squeeze_dims=[] if gone == ones else gone)
    else:
        axis = net.integer(-len(shape) - 1, len(shape))
        place = axis % (len(shape) + 1)
        net.add(kind, [net.source(shape), net.ints(axis)], [*shape[:place], 1, *shape[place:]], "ExpandDims")


def transposed_axes(net: Net) -> None:
    """Any order, and sometimes a second one behind it."""
    shape = net.sizes(net.integer(2, 4))
    tensor = net.source(shape)
    for _ in range(net.integer(1, 2)):
        perm = net.random.permutation(len(shape)).tolist()
        shape = [shape[axis] for axis in perm]
        tensor = net.add("TRANSPOSE", [tensor, net.ints(perm)], shape, "Transpose")


def joined(net: Net) -> None:
    """CONCATENATION or PACK."""
    shape = net.sizes(net.integer(1, 4), 1, 4)
    axis = net.integer(-len(shape), len(shape) - 1)
    if net.chance(0.3):
        place = axis % len(shape)
        parts = [net.source(shape) for _ in range(net.integer(1, 3))]
        result = [*shape[:place], len(parts), *shape[place:]]
        net.add("PACK", parts, result, "Pack", values_count=len(parts), axis=place)
        return None
    shapes = [[net.integer(1, 3) if at == axis % len(shape) else side for at, side in enumerate(shape)] for _ in "abc"]
    parts = [net.source(part) if net.chance(0.8) else net.constant(net.numbers(*part)) for part in shapes]
    result = [sum(part[at] for part in shapes) if at == axis % len(shape) else shape[at] for at in range(len(shape))]
    if not any(part in net.inputs or "made" in part for part in parts):
        return joined(net)
    net.add("CONCATENATION", parts, result, "Concatenation", axis=axis)
    return None


def parted(net: Net) -> None:
    """SPLIT, SPLIT_V or UNPACK."""
    shape, kind = net.sizes(net.integer(1, 4), 1, 6), net.pick(("SPLIT", "SPLIT_V", "UNPACK"))
    axis, tensor = net.integer(0, len(shape) - 1), net.source(shape)
    side = shape[axis]
    if kind == "UNPACK":
        net.add_many(kind, [tensor], [shape[:axis] + shape[axis + 1 :]] * side, "Unpack", num=side, axis=axis)
    elif kind == "SPLIT":
        count = net.pick([number for number in range(1, side + 1) if side % number == 0])
        part = [side // count if at == axis else size for at, size in enumerate(shape)]
        net.add_many(kind, [net.ints(axis), tensor], [part] * count, "Split", num_splits=count)
    else:
        cut = net.integer(0, side - 1)
        sizes = [cut, side - cut] if cut else [side]
        parts = [[size if at == axis else old for at, old in enumerate(shape)] for size in sizes]
        if net.chance():
            sizes[-1] = -1
        net.add_many(kind, [tensor, net.ints(sizes), net.ints(axis)], parts, "SplitV", num_splits=len(sizes))


def sliced(net: Net) -> None:
    """SLICE or STRIDED_SLICE with masks."""
    shape = net.sizes(net.integer(1, 4))
    tensor = net.source(shape)
    if net.chance(0.3):
        begin = [net.integer(0, side - 1) for side in shape]
        size = [net.integer(1, side - start) for side, start in zip(shape, begin, strict=True)]
        written = [-1 if start + count == side and net.chance() else count
                   for start, count, side in zip(begin, size, shape, strict=True)]  # fmt: skip
        net.add("SLICE", [tensor, net.ints(begin), net.ints(written)], size, "Slice")
        return
    steps = [net.pick((1, 1, 2, -1, -2)) for _ in shape]
    ends = [net.integer(-side - 1, side + 1) for side in shape]
    begins = [net.integer(-side, side - 1) for side in shape]
    masks = dict.fromkeys(("begin_mask", "end_mask", "shrink_axis_mask"), 0)
    result = []
    for axis, side in enumerate(shape):
        one = net.chance(0.15)
        for name in ("begin_mask", "end_mask"):
            masks[name] |= (not one and net.chance(0.4)) << axis
        low = None if masks["begin_mask"] >> axis & 1 else begins[axis]
        high = None if masks["end_mask"] >> axis & 1 else ends[axis]
        count = len(range(*slice(low, high, steps[axis]).indices(side)))
        if one or not count:  # one number, so that nothing is empty
            masks["begin_mask"] &= ~(1 << axis)
            masks["shrink_axis_mask"] |= 1 << axis
            steps[axis] = 1
            ends[axis] = begins[axis] + 1 if begins[axis] != -1 else side
        else:
            result.append(count)
    inputs = [tensor, net.ints(begins), net.ints(ends), net.ints(steps)]
    net.add("STRIDED_SLICE", inputs, result, "StridedSlice", **masks)


def padded(net: Net) -> None:
    """PAD, PADV2 or MIRROR_PAD."""
    kind, shape = net.pick(("PAD", "PADV2", "MIRROR_PAD")), net.sizes(net.integer(1, 4), 2, 6)
    limit = 1 if kind == "MIRROR_PAD" else 3
    pads = [[net.integer(0, limit), net.integer(0, limit)] for _ in shape]
    result = [side + sum(pair) for side, pair in zip(shape, pads, strict=True)]
    more = [net.constant(net.numbers())] if kind == "PADV2" else []
    options = {"mode": net.integer(0, 1)} if kind == "MIRROR_PAD" else {}
    table = {"PAD": "Pad", "PADV2": "PadV2", "MIRROR_PAD": "MirrorPad"}[kind]
    net.add(kind, [net.source(shape), net.ints(pads), *more], result, table, **options)


def resized(net: Net) -> None:
    """Both kinds, all three ways of placing pixels."""
    image, size = net.image(2, 8), net.sizes(2, 1, 15)
    kind, table = net.pick(
        (("RESIZE_BILINEAR", "ResizeBilinear"), ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"))
    )
    corners, centres = net.pick(((False, False), (True, False), (False, True)))
    batch, _, _, channels = net.shape(image)
    net.add(kind, [image, net.ints(size)], [batch, *size, channels], table, align_corners=corners,
            half_pixel_centers=centres)  # fmt: skip


def blocks(net: Net) -> None:
    """SPACE_TO_DEPTH, DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND."""
    kind, size = net.pick(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")), 2
    n, h, w, c = net.integer(1, 2), net.integer(1, 4), net.integer(1, 4), net.integer(1, 3)
    if kind == "SPACE_TO_DEPTH":
        net.add(kind, [net.source([n, 2 * h, 2 * w, c])], [n, h, w, 4 * c], "SpaceToDepth", block_size=size)
    elif kind == "DEPTH_TO_SPACE":
        net.add(kind, [net.source([n, h, w, 4 * c])], [n, 2 * h, 2 * w, c], "DepthToSpace", block_size=size)
    elif kind == "SPACE_TO_BATCH_ND":
        source = net.source([n, 2 * h, 3 * w + 1, c])
        net.add(kind, [source, net.ints([2, 3]), net.ints([[2, 0], [1, 1]])], [6 * n, h + 1, w + 1, c])
    else:
        source = net.source([6 * n, h + 1, w + 1, c])
        net.add(kind, [source, net.ints([2, 3]), net.ints([[1, 0], [1, 1]])], [n, 2 * h + 1, 3 * w + 1, c])


def dilated(net: Net) -> None:
    """A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""
    n, channels, count, block, kernel = 1, net.integer(1, 4), net.integer(1, 4), net.integer(2, 3), 3
    height, width = net.integer(4, 10), net.integer(4, 10)
    before = block if net.chance() else 0
    sides, pads, crops = [], [], []
    for side in (height, width):
        after = before + (-(side + 2 * before)) % block
        full = (side + before + after) // block
        if full < kernel:
            after, full = after + block * kernel, full + kernel
        sides.append(full)
        pads.append([before, after])
        crops.append([0, net.integer(0, min(after, block - 1))])
    blocks_ = net.ints([block, block])
    image = net.source([n, height, width, channels])
    cut = net.add("SPACE_TO_BATCH_ND", [image, blocks_, net.ints(pads)], [n * block * block, *sides, channels])
    made = [side - kernel + 1 for side in sides]
    weights = [net.constant(net.numbers(count, kernel, kernel, channels)), net.constant(net.numbers(count))]
    convolved = net.add("CONV_2D", [cut, *weights], [n * block * block, *made, count], "Conv2D", padding=1, stride_h=1,
                        stride_w=1, activation=net.pick(FUSED))  # fmt: skip
    result = [side * block - sum(crop) for side, crop in zip(made, crops, strict=True)]
    net.add("BATCH_TO_SPACE_ND", [convolved, blocks_, net.ints(crops)], [n, *result, count])


def reduced(net: Net) -> None:
    """Sums, means, extremes; and where extremes are."""
    shape = net.sizes(net.integer(2, 4))
    tensor = net.source(shape)
    kind = net.pick(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "ARG_MAX", "ARG_MIN", "CUMSUM"))
    axis = net.integer(-len(shape), len(shape) - 1)
    if kind.startswith("ARG"):
        left = [side for at, side in enumerate(shape) if at != axis % len(shape)]
        table = {"ARG_MAX": "ArgMax", "ARG_MIN": "ArgMin"}[kind]
        wide = net.chance()
        net.add(kind, [tensor, net.ints(axis)], left, table, "int64" if wide else "int32", output_type=4 if wide else 2)
    elif kind == "CUMSUM":
        net.add(kind, [tensor, net.ints(axis)], shape, "Cumsum", exclusive=net.chance(), reverse=net.chance())
    else:
        axes = {axis % len(shape), net.integer(0, len(shape) - 1)}
        keep = net.chance()
        left = [1 if at in axes else side for at, side in enumerate(shape) if keep or at not in axes]
        written = [axis, *(axes - {axis % len(shape)})]
        net.add(kind, [tensor, net.ints(written)], left, "Reducer", keep_dims=keep)


def picked(net: Net) -> None:
    """GATHER, GATHER_ND, ONE_HOT, TOPK_V2, REVERSE_V2, TILE, BROADCAST_TO, SELECT."""
    kind = net.pick(("GATHER", "GATHER_ND", "ONE_HOT", "TOPK_V2", "REVERSE_V2", "TILE", "BROADCAST_TO"))
    shape = net.sizes(net.integer(1, 4), 1, 5)
    axis = net.integer(0, len(shape) - 1)
    if kind == "ONE_HOT":
        values = [net.ints(net.random.integers(0, 5, shape)), net.ints(5), net.constant(2.0), net.constant(-1.0)]
        hot = net.add(kind, values, [*shape, 5], "OneHot", axis=-1)
        net.add("ADD", [hot, net.input([*shape, 5])], [*shape, 5], "Add")
    elif kind == "GATHER":
        places = net.random.integers(0, shape[axis], net.sizes(net.integer(0, 2), 1, 3))
        result = [*shape[:axis], *places.shape, *shape[axis + 1 :]]
        net.add(kind, [net.source(shape), net.ints(places)], result, "Gather", axis=axis)
    elif kind == "GATHER_ND":
        places = np.stack([net.random.integers(0, side, 3) for side in shape[: axis + 1]], axis=-1)
        net.add(kind, [net.source(shape), net.ints(places)], [3, *shape[axis + 1 :]])
    elif kind == "TOPK_V2":
        count = net.integer(1, shape[-1])
        names = net.add_many(kind, [net.source(shape), net.ints(count)], [[*shape[:-1], count]] * 2, "TopKV2")
        net.tensors[names[1]].type = "int32"
    elif kind == "REVERSE_V2":
        net.add(kind, [net.source(shape), net.ints([axis])], shape)
    elif kind == "TILE":
        times = net.sizes(len(shape), 1, 3)
        net.add(kind, [net.source(shape), net.ints(times)], [a * b for a, b in zip(shape, times, strict=True)])
    else:
        wide = [3 if side == 1 else side for side in shape]
        net.add(kind, [net.source(shape), net.ints(wide)], wide)


def product(net: Net) -> None:
    """BATCH_MATMUL, either side transposed."""
    rows, inner, columns = net.sizes(3)
    lead = net.sizes(net.integer(0, 2), 1, 3)
    adj_x, adj_y = net.chance(0.3), net.chance(0.3)
    left = [*lead, inner, rows] if adj_x else [*lead, rows, inner]
    right = [*lead, columns, inner] if adj_y else [*lead, inner, columns]
    second = net.source(right)
    net.add("BATCH_MATMUL", [net.source(left), second], [*lead, rows, columns], "BatchMatMul", adj_x=adj_x, adj_y=adj_y)


def normalised(net: Net) -> None:
    """L2_NORMALIZATION or LOCAL_RESPONSE_NORMALIZATION."""
    image = net.image(1, 5, 8)
    shape = net.shape(image)
    if net.chance():
        net.add("L2_NORMALIZATION", [image], shape, "L2Norm")
    else:
        options = {"radius": net.integer(0, 3), "bias": 1.0 + net.random.random(), "alpha": net.random.random(),
                   "beta": net.pick((0.5, 0.75, 1.0))}  # fmt: skip
        net.add("LOCAL_RESPONSE_NORMALIZATION", [image], shape, "LocalResponseNormalization", **options)


def converted(net: Net) -> None:
    """CAST there and back; half-precision weights."""
    shape = net.sizes(net.integer(1, 4))
    if net.chance():
        dtype, number = net.pick((("int32", 2), ("int64", 4), ("bool", 6)))
        cast = net.add("CAST", [net.source(shape)], shape, "Cast", dtype, in_data_type=0, out_data_type=number)
        net.add("CAST", [cast], shape, "Cast", in_data_type=number, out_data_type=0)
        return
    half = net.constant(net.numbers(*shape), "float16")
    net.add("MUL", [net.source(shape), net.add("DEQUANTIZE", [half], shape, "Dequantize")], shape, "Mul")


def known_shape(net: Net) -> None:
    """A shape taken from a tensor, changed, and used to reshape it: what converters write for a dynamic batch."""
    n, h, w, c = net.integer(1, 2), *net.sizes(3)
    image = net.source([n, h, w, c])
    sizes = net.add("SHAPE", [image], [4], "Shape", "int32", out_type=2)
    slices = [net.ints([0]), net.ints([1]), net.ints([1])]
    batch = net.add("STRIDED_SLICE", [sizes, *slices], [], "StridedSlice", "int32", shrink_axis_mask=1)
    other = net.add("MUL", [net.ints(h), net.ints(w)], [], "Mul", "int32")
    wanted = net.add("PACK", [batch, other, net.ints(c)], [3], "Pack", "int32", values_count=3, axis=0)
    net.add("RESHAPE", [image, wanted], [n, h * w, c], "Reshape", new_shape=[-1, h * w, c])


def rarer(net: Net) -> None:
    """Operators that few networks have."""
    shape = net.sizes(net.integer(1, 4))
    kind = net.pick(("ADD_N", "SIGN", "RELU_0_TO_1", "SELECT", "REDUCE_ANY", "REDUCE_ALL", "EMBEDDING_LOOKUP", "known"))
    if kind == "ADD_N":
        net.add(kind, [net.source(shape) for _ in range(net.integer(2, 4))], shape, "AddN")
    elif kind in ("SIGN", "RELU_0_TO_1"):
        net.add(kind, [net.source(shape)], shape)
    elif kind == "SELECT":
        chosen = net.input(shape[:1] if net.chance() else shape, "bool")
        net.add(kind, [chosen, net.source(shape), net.source(shape)], shape, "Select")
    elif kind.startswith("REDUCE"):
        axis, keep = net.integer(-len(shape), len(shape) - 1), net.chance()
        left = [1 if at == axis % len(shape) else side for at, side in enumerate(shape)]
        left = left if keep else [side for at, side in enumerate(shape) if at != axis % len(shape)]
        net.add(kind, [net.input(shape, "bool"), net.ints([axis])], left, "Reducer", "bool", keep_dims=keep)
    elif kind == "EMBEDDING_LOOKUP":
        table = net.constant(net.numbers(7, *shape))
        net.add(kind, [net.ints(net.random.integers(0, 7, 3)), table], [3, *shape])
        net.add("ABS", [net.input(shape)], shape, "Abs")
    else:
        _known(net, shape)


def _known(net: Net, shape: list[int]) -> None:
    """SHAPE, RANK, RANGE, FILL, ZEROS_LIKE and BROADCAST_ARGS, whose results are known before the network runs."""
    tensor = net.source(shape)
    sizes = net.add("SHAPE", [tensor], [len(shape)], "Shape", "int32", out_type=2)
    wide = net.add("BROADCAST_ARGS", [sizes, net.ints([1])], [len(shape)], "", "int32")
    filled = net.add("FILL", [wide, net.constant(1.5)], shape, "Fill")
    zeros = net.add("ZEROS_LIKE", [tensor], shape, "ZerosLike")
    most = net.add("MAXIMUM", [net.add("ADD", [filled, tensor], shape, "Add"), zeros], shape, "MaximumMinimum")
    rank = net.add("RANK", [tensor], [], "Rank", "int32")
    axes = net.add("RANGE", [net.ints(0), rank, net.ints(1)], [len(shape)], "Range", "int32")
    net.add("SUM", [most, axes], [], "Reducer")


def several(net: Net) -> None:
    """Up to six operators in a row, some of which need one order of axes and some the other."""
    tensor = net.image(3, 6, 4)
    earlier: list[str] = []
    for _ in range(net.integer(2, 6)):
        shape = net.shape(tensor)
        n, h, w, c = shape
        kind = net.pick(("conv", "conv", "relu", "transpose", "reshape", "flip", "add", "mean", "softmax", "concat"))
        if kind == "conv":
            tensor = conv(net, tensor, net.integer(1, 4), c, kernel=(1, 1))
        elif kind == "relu":
            tensor = net.add("RELU", [tensor], shape)
        elif kind == "transpose":
            perm = net.pick(([0, 2, 1, 3], [0, 3, 1, 2], [0, 2, 3, 1], [0, 3, 2, 1]))
            tensor = net.add("TRANSPOSE", [tensor, net.ints(perm)], [shape[axis] for axis in perm], "Transpose")
        elif kind == "reshape":
            tensor = net.add("RESHAPE", [tensor, net.ints([n, w, h, c])], [n, w, h, c], "Reshape")
        elif kind == "flip":
            tensor = net.add("REVERSE_V2", [tensor, net.ints([net.integer(0, 3)])], shape)
        elif kind == "add":
            same = [name for name in earlier if net.shape(name) == shape]
            other = (
                net.pick(same) if same and net.chance(0.7) else net.constant(net.numbers(*shape[net.integer(0, 3) :]))
            )
            tensor = net.add("ADD", [tensor, other], shape, "Add")
        elif kind == "mean":
            mean = net.add("MEAN", [tensor, net.ints([1, 2])], [n, 1, 1, c], "Reducer", keep_dims=True)
            tensor = net.add("MUL", [tensor, mean], shape, "Mul")
        elif kind == "softmax":
            tensor = net.add("SOFTMAX", [tensor], shape, "Softmax", beta=1.0)
        else:
            axis = net.integer(1, 3)
            twice = [2 * side if at == axis else side for at, side in enumerate(shape)]
            tensor = net.add("CONCATENATION", [tensor, tensor], twice, "Concatenation", axis=axis)
        earlier.append(tensor)


MOVEMENTS: list[Callable[[Net], None]] = [
    reshaped, transposed_axes, joined, parted, sliced, sliced, padded, resized, resized, blocks, dilated, reduced,
    reduced, picked, picked, product, normalised, converted, known_shape, rarer, rarer, several, several, several,
    several,
]  # fmt: skip
