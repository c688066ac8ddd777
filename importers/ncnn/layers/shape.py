"""What moves numbers without changing them: reshapes, permutations, joins, copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...graph_builder import Dim
from ..expression import evaluate
from ..layer_writer import LayerWriter

_UNSET = -233
_NAMES = {1: "W", 2: "HW", 3: "CHW", 4: "CDHW"}  # NCNN's axes, outermost first
# New axes by their old names, the innermost first; the number that a Permute has is a place in here.
_ORDERS = {
    2: "WH HW",
    3: "WHC HWC WCH CWH HCW CHW",
    4: """WHDC HWDC WDHC DWHC HDWC DHWC WHCD HWCD WCHD CWHD HCWD CHWD
        WDCH DWCH WCDH CWDH DCWH CDWH HDCW DHCW HCDW CHDW DCHW CDHW""",
}


def reshape(layer: LayerWriter) -> None:
    """To sizes given outermost last; 0 keeps one, -1 is what the others leave."""
    if layer.whole(12, 233) != 233 or layer.whole(13, 233) != 233:
        raise layer.error("it moves the batch, which onnxray cannot translate")
    given = layer.text(6)
    if given:
        wanted = evaluate(layer, given)
    else:
        wanted = [size for key in (0, 1, 11, 2) if (size := layer.whole(key, _UNSET)) != _UNSET]
    names = ("", "W", "WH", "WHC", "WHDC")[len(wanted)] if len(wanted) < 5 else ""
    if not names:
        raise layer.error(f"expected one to four sizes, found {len(wanted)}")
    kept = dict(zip(_NAMES[len(layer.blob_shape())], layer.blob_shape(), strict=True))
    sizes: list[Dim] = [kept.get(name, 1) if size == 0 else size for name, size in zip(names, wanted, strict=True)]
    numbers = layer.sizes(sizes[::-1])
    if min(numbers) < -1 or 0 in numbers or numbers.count(-1) > 1:
        raise layer.error(f"cannot make {list(numbers)} of {list(layer.blob_shape())}")
    layer.blob_reshape(numbers)


def permute(layer: LayerWriter) -> None:
    """Axes in another order."""
    rank = len(layer.blob_shape())
    orders = _ORDERS.get(rank, "W").split()
    order = layer.choice(0, dict(enumerate(orders)), "order")
    perm = [_NAMES[rank].index(name) + 1 for name in order[::-1]]
    if perm == list(range(1, rank + 1)):
        layer.alias(layer.inputs[0])
    else:
        layer.emit("Transpose", layer.inputs, perm=[0, *perm])


def flatten(layer: LayerWriter) -> None:
    """One axis of all."""
    if len(layer.blob_shape()) == 1:
        layer.alias(layer.inputs[0])
    else:
        layer.emit("Flatten", layer.inputs, axis=1)


def squeeze(layer: LayerWriter) -> None:
    """Without these axes where they have the size 1; one axis is left."""
    names, shape = _NAMES[len(layer.blob_shape())], layer.blob_shape()
    wanted = [layer.blob_axis(axis) for axis in layer.wholes(3)]
    if 3 not in layer.layer.params:
        flags = {"W": layer.whole(0), "H": layer.whole(1), "D": layer.whole(11), "C": layer.whole(2)}
        wanted = [place for place, name in enumerate(names, 1) if flags[name]]
    gone = [axis for axis in sorted(set(wanted)) if shape[axis - 1] == 1]
    if len(gone) == len(shape):
        gone = gone[1:]
    if gone:
        layer.emit("Squeeze", [layer.inputs[0], layer.ints("axes", gone)])
    else:
        layer.alias(layer.inputs[0])


def expand(layer: LayerWriter) -> None:
    """New axes of size 1, counted in the result."""
    axes = layer.wholes(3)
    if not axes or len(layer.blob_shape()) + len(axes) > 4:
        raise layer.error(f"expected new axes, four with its input's at most, found {axes}")
    layer.emit("Unsqueeze", [layer.inputs[0], layer.ints("axes", [layer.blob_axis(axis, len(axes)) for axis in axes])])


def concat(layer: LayerWriter) -> None:
    """One after another along an axis."""
    layer.emit("Concat", layer.inputs, axis=layer.blob_axis(layer.whole(0)))


def shuffle_channels(layer: LayerWriter) -> None:
    """Channel k of each group next to that of the others."""
    channels = layer.sizes(layer.blob_shape()[:1])[0]
    groups = layer.whole(0, 1)
    if groups < 1 or channels % groups:
        raise layer.error(f"cannot make {groups} groups of {channels} channels")
    if layer.whole(1):
        groups = channels // groups
    split = layer.ints("split", [0, groups, channels // groups, -1])
    apart = layer.add("groups", "Reshape", [layer.inputs[0], split])
    turned = layer.add("turned", "Transpose", [apart], perm=[0, 2, 1, 3])
    joined = layer.ints("joined", [0, *layer.blob_sizes()])
    layer.emit("Reshape", [turned, joined])


def pixel_shuffle(layer: LayerWriter) -> None:
    """Channels to blocks of pixels."""
    mode = layer.choice(1, {0: "CRD", 1: "DCR"}, "mode")
    layer.emit("DepthToSpace", layer.inputs, blocksize=layer.whole(0, 1), mode=mode)


def reorg(layer: LayerWriter) -> None:
    """Blocks of pixels to channels: of one channel next to each other, or of one place."""
    stride = layer.whole(0, 1)
    if layer.choice(1, {0: False, 1: True}, "mode"):
        layer.emit("SpaceToDepth", layer.inputs, blocksize=stride)
        return
    channels, height, width = layer.blob_sizes()
    if stride < 1 or height % stride or width % stride:
        raise layer.error(f"cannot make blocks of {stride} from {height}x{width}")
    split = layer.ints("split", [0, channels, height // stride, stride, width // stride, stride])
    blocks = layer.add("blocks", "Reshape", [layer.inputs[0], split])
    turned = layer.add("turned", "Transpose", [blocks], perm=[0, 1, 3, 5, 2, 4])
    joined = layer.ints("joined", [0, channels * stride * stride, height // stride, width // stride])
    layer.emit("Reshape", [turned, joined])


def tile(layer: LayerWriter) -> None:
    """So often along each axis; more numbers than axes make axes in front."""
    repeats = layer.wholes(2)
    rank = len(layer.blob_shape())
    if not repeats:
        repeats = [1] * rank
        repeats[layer.blob_axis(layer.whole(0)) - 1] = layer.whole(1, 1)
    repeats = [1] * (rank - len(repeats)) + repeats
    if min(repeats) < 1 or len(repeats) > 4:
        raise layer.error(f"cannot repeat an input of {rank} dimensions {repeats} times")
    tensor = layer.inputs[0]
    if len(repeats) > rank:
        front = layer.ints("front", list(range(1, len(repeats) - rank + 1)))
        tensor = layer.add("wider", "Unsqueeze", [tensor, front])
    layer.emit("Tile", [tensor, layer.ints("repeats", [1, *repeats])])


def memory_data(layer: LayerWriter) -> None:
    """A constant of the file."""
    sizes = [size for key in (2, 11, 1, 0) if (size := layer.whole(key))]
    if not sizes:
        raise layer.error("expected the sizes of its numbers, found none")
    value = layer.raw(*sizes) if layer.whole(21, 1) else layer.tagged(*sizes)
    layer.alias(layer.constant("data", np.asarray(value)[None]))


def same(layer: LayerWriter) -> None:
    """What NCNN copies, converts or packs for itself: the numbers stay the same."""
    layer.alias(layer.inputs[0])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "Cast": same,
    "Concat": concat,
    "DeepCopy": same,
    "ExpandDims": expand,
    "Flatten": flatten,
    "MemoryData": memory_data,
    "Noop": same,
    "Packing": same,
    "Permute": permute,
    "PixelShuffle": pixel_shuffle,
    "Reorg": reorg,
    "Reshape": reshape,
    "ShuffleChannel": shuffle_channels,
    "Split": same,
    "Squeeze": squeeze,
    "Tile": tile,
}
