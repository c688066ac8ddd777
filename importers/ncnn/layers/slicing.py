"""Parts of a blob, and borders around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..expression import evaluate
from ..layer_writer import LayerWriter

_REST = -233  # instead of a size: what is left, or an equal share of it
_FAR = np.iinfo(np.int64).max


def split_up(layer: LayerWriter) -> None:
    """One part after another along an axis, by their sizes or by where they end."""
    axis = layer.blob_axis(layer.whole(1))
    side = layer.sizes(layer.blob_shape()[axis - 1 : axis])[0]
    count = len(layer.outputs)
    ends, sizes = layer.wholes(2), layer.wholes(0)
    parts: list[int] = []
    for place in range(count):
        done = sum(parts)
        if ends:
            end = side if place == count - 1 else ends[place]
            parts.append((end + side if end < 0 else end) - done)
        else:
            parts.append((side - done) // (count - place) if sizes[place] == _REST else sizes[place])
    if min(parts) < 1 or sum(parts) != side:
        raise layer.error(f"cannot make parts of {parts} from {side}")
    layer.emit_all("Split", [layer.inputs[0], layer.ints("sizes", parts)], axis=axis)


def crop(layer: LayerWriter) -> None:
    """From some places to others, by offsets and sizes, or as large as another blob."""
    rank = len(layer.blob_shape())
    starts, ends, axes = layer.wholes(9), layer.wholes(10), layer.wholes(11)
    if layer.text(19) and layer.text(20):
        starts, ends = evaluate(layer, layer.text(19)), evaluate(layer, layer.text(20))
        axes = evaluate(layer, layer.text(21)) if layer.text(21) else []
    if starts and ends:
        axes = [layer.blob_axis(axis) for axis in axes] if axes else list(range(1, rank + 1))
        if not len(starts) == len(ends) == len(axes):
            raise layer.error(f"expected a start and an end an axis, found {len(starts)}, {len(ends)}, {len(axes)}")
        starts = [0 if start == _REST else start for start in starts]
        ends = [_FAR if end == _REST or (end == 0) else end for end in ends]
        _cut(layer, starts, ends, axes)
        return
    _crop_by_size(layer, rank)


def _crop_by_size(layer: LayerWriter, rank: int) -> None:
    """Offsets 0, 1, 13, 2 and sizes 3, 4, 14, 5 of w, h, d, c; or what to leave off behind: 6, 7, 15, 8."""
    keys = {1: ["w"], 2: ["h", "w"], 3: ["c", "h", "w"], 4: ["c", "d", "h", "w"]}[rank]
    numbers = {"w": (0, 3, 6), "h": (1, 4, 7), "d": (13, 14, 15), "c": (2, 5, 8)}
    reads_size = not any(layer.whole(key) for group in numbers.values() for key in group[1:])
    if reads_size and (len(layer.inputs) < 2 or layer.whole(0) == _REST):
        raise layer.error("expected a size to cut to, or a second blob that has it")
    wanted = layer.blob_sizes(1) if reads_size else []
    starts, ends = [], []
    for place, key in enumerate(keys):
        offset, size, behind = (layer.whole(number) for number in numbers[key])
        if reads_size:
            # A blob of fewer axes says the size of an image only.
            size = wanted[place - len(keys)] if len(keys) - place <= len(wanted) else _REST
        starts.append(max(offset, 0))
        end = -behind if behind else _FAR
        if size > 0:
            last = layer.sizes(layer.blob_shape()[place : place + 1])[0] - behind if behind else _FAR
            end = min(starts[-1] + size, last)
        ends.append(end)
    _cut(layer, starts, ends, list(range(1, rank + 1)))


def _cut(layer: LayerWriter, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> None:
    lists = {"starts": starts, "ends": ends, "axes": axes}
    layer.emit("Slice", [layer.inputs[0], *(layer.ints(role, values) for role, values in lists.items())])


def padding(layer: LayerWriter) -> None:
    """Borders of a number, of the outermost numbers, or of a mirror image."""
    mode = layer.choice(4, {0: "constant", 1: "edge", 2: "reflect"}, "kind")
    if layer.whole(6):
        raise layer.error("it pads each channel with its own number, which onnxray cannot translate")
    top, bottom, left, right, front, behind = (layer.whole(key) for key in (0, 1, 2, 3, 7, 8))
    if min(top, bottom, left, right, front, behind) < 0:
        raise layer.error("expected borders from 0")
    rank = len(layer.blob_shape())
    pairs = {1: [], 2: [(top, bottom)], 3: [(front, behind), (top, bottom)]}
    pairs[4] = [(0, 0), *pairs[3]]
    around = [(0, 0), *pairs[rank], (left, right)]
    if not any(map(sum, around)):
        layer.alias(layer.inputs[0])
        return
    places = layer.ints("pads", [pair[0] for pair in around] + [pair[1] for pair in around])
    inputs = [layer.inputs[0], places]
    if mode == "constant":
        inputs.append(layer.constant("value", layer.number(5)))
    layer.emit("Pad", inputs, mode=mode)


def flip(layer: LayerWriter) -> None:
    """The other way round along some axes."""
    axes = [layer.blob_axis(axis) for axis in layer.wholes(0)]
    count = len(axes)
    lists = {"starts": [-1] * count, "ends": [-_FAR] * count, "axes": axes, "steps": [-1] * count}
    layer.emit("Slice", [layer.inputs[0], *(layer.ints(role, values) for role, values in lists.items())])


LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    "Crop": crop,
    "Flip": flip,
    "Padding": padding,
    "Slice": split_up,
}
