"""Convolutions and transposed convolutions along one, two and three axes, and what is quantised of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from ..layer_writer import LayerWriter
from ..quantised import quantise_input, read_scales, real_weights
from ..windows import CONVOLUTION, SAME_LOWER, SAME_UPPER, Window, pads, window
from .activation import activated


def convolution(layer: LayerWriter, axes: int, *, grouped: bool = False) -> None:
    """[num_output, inputs / group, …] weights, a bias, perhaps scales of int8, an activation."""
    view = window(layer, axes, CONVOLUTION)
    _check_static(layer, 19)
    group = layer.whole(7, 1) if grouped else 1
    outputs = layer.whole(0)
    weights = layer.stored(*_weight_shape(layer, view, outputs, group))
    bias = layer.raw(outputs) if layer.whole(5) else None
    scales = read_scales(layer, group if grouped else outputs, shared=grouped)
    kernel = layer.constant("weights", real_weights(layer, weights, scales))
    inputs = [quantise_input(layer, _padded(layer, view), scales), kernel]
    if bias is not None:
        inputs.append(layer.constant("bias", bias))
    places = [0] * (2 * axes) if layer.number(18) else pads(layer, view)
    activated(layer, "Conv", inputs, group=group, pads=places, **view.attributes)


def transposed(layer: LayerWriter, axes: int, *, grouped: bool = False) -> None:
    """[num_output, inputs / group, …] weights, a bias, an activation; padding cuts the result."""
    view = window(layer, axes, CONVOLUTION)
    _check_static(layer, 28)
    group = layer.whole(7, 1) if grouped else 1
    outputs = layer.whole(0)
    stored = layer.tagged(*_weight_shape(layer, view, outputs, group))
    inner = stored.shape[1]
    swapped = stored.reshape(group, outputs // group, inner, *view.kernel).swapaxes(1, 2)
    kernel = swapped.reshape(group * inner, outputs // group, *view.kernel)
    inputs = [layer.inputs[0], layer.constant("weights", kernel)]
    if layer.whole(5):
        inputs.append(layer.constant("bias", layer.raw(outputs)))
    behind = _more_behind(layer, axes)
    cut = _cut(layer, view, behind)
    activated(layer, "ConvTranspose", inputs, group=group, pads=cut, output_padding=behind, **view.attributes)


def _check_static(layer: LayerWriter, key: int) -> None:
    if layer.whole(key):
        raise layer.error("its weights come from another layer; expected them in the file")


def _weight_shape(layer: LayerWriter, view: Window, outputs: int, group: int) -> tuple[int, ...]:
    """[outputs, inputs / group, …], by how many numbers the layer has. Raises InputError where they do not fit."""
    count = layer.whole(6)
    per_input = outputs * math.prod(view.kernel)
    if outputs < 1 or group < 1 or outputs % group or count < 1 or count % per_input:
        raise layer.error(f"{count} weights do not make {outputs} filters of {view.kernel} in {group} groups")
    channels = layer.blob_shape()[0]
    if isinstance(channels, int) and channels != count // per_input * group:
        raise layer.error(f"its weights are for {count // per_input * group} channels, its input has {channels}")
    return (outputs, count // per_input, *view.kernel)


def _padded(layer: LayerWriter, view: Window) -> str:
    """The input, padded by a node of its own where it is not with zeros."""
    value = layer.number(18)
    if not value:
        return layer.inputs[0]
    places = pads(layer, view)
    axes = len(places) // 2
    around = layer.ints("pads", [0, 0, *places[:axes], 0, 0, *places[axes:]])
    return layer.add("padded", "Pad", [layer.inputs[0], around, layer.constant("pad_value", value)])


def _more_behind(layer: LayerWriter, axes: int) -> list[int]:
    """What a transposed convolution adds behind: depth, height, width."""
    right = layer.whole(18)
    return [right, layer.whole(19, right), layer.whole(20, right) if axes == 3 else 0][:axes][::-1]


def _cut(layer: LayerWriter, view: Window, behind: list[int]) -> list[int]:
    """What a transposed convolution's padding takes away, in ONNX's order."""
    both = {*view.before, *view.after}
    if not both & {SAME_UPPER, SAME_LOWER}:
        if min(both) < 0:
            raise layer.error(f"padding of {[*view.before, *view.after]} is not known")
        return [*view.before, *view.after]
    wanted = _output_size(layer, len(view.kernel))
    if not all(wanted):
        return [0] * (2 * len(wanted))
    sides = layer.sizes(layer.blob_shape()[1:])
    steps = zip(sides, view.stride, view.reach, behind, wanted, strict=True)
    cuts = [(side - 1) * stride + reach + more - want for side, stride, reach, more, want in steps]
    if min(cuts) < 0:
        raise layer.error(f"its result is smaller than the {wanted} it shall have")
    small, large = [cut // 2 for cut in cuts], [cut - cut // 2 for cut in cuts]
    return [*small, *large] if SAME_UPPER in both else [*large, *small]


def _output_size(layer: LayerWriter, axes: int) -> list[int]:
    """What the result's sides shall be: depth, height, width; 0 where that is not said."""
    first = 25 if axes == 3 else 20
    width = layer.whole(first)
    return [width, layer.whole(first + 1, width), layer.whole(first + 2, width)][:axes][::-1]


_AXES = {"1D": 1, "": 2, "3D": 3}
LAYERS: dict[str, Callable[[LayerWriter], None]] = {
    name + suffix: partial(function, axes=axes, grouped=grouped)
    for name, function, grouped in (
        ("Convolution", convolution, False),
        ("ConvolutionDepthWise", convolution, True),
        ("Deconvolution", transposed, False),
        ("DeconvolutionDepthWise", transposed, True),
    )
    for suffix, axes in _AXES.items()
}
