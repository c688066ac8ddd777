"""Layers that read several earlier ones."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from .activation import end_in


def route(layer: LayerWriter) -> str:
    """Earlier layers one behind the other along the channels; with `groups`, the same part of each."""
    parts = [layer.map(layer.tensor(index)) for index in layer.sources("layers")]
    groups, group = layer.positive("groups"), layer.section.integer("group_id")
    if not 0 <= group < groups or any(layer.extent(part)[0] % groups for part in parts):
        channels = ", ".join(str(layer.extent(part)[0]) for part in parts)
        raise layer.error(f"group {group} of {groups} expects channels that divide so, found {channels}")
    if len({layer.extent(part)[1:] for part in parts}) > 1:
        raise layer.error(f"its inputs differ in height and width: {_shapes(layer, parts)}")
    if groups > 1:
        parts = [_part(layer, part, groups, group) for part in parts]
    return layer.emit("Concat", parts, axis=1) if len(parts) > 1 else parts[0]


def _part(layer: LayerWriter, value: str, groups: int, group: int) -> str:
    share = layer.extent(value)[0] // groups
    return _channels(layer, value, group * share, (group + 1) * share)


def _channels(layer: LayerWriter, value: str, first: int, end: int) -> str:
    bounds = [layer.ints(role, [number]) for role, number in (("first", first), ("end", end), ("axis", 1))]
    return layer.add("part", "Slice", [value, *bounds])


def _shapes(layer: LayerWriter, values: list[str]) -> str:
    return ", ".join("x".join(map(str, layer.extent(value))) for value in values)


def shortcut(layer: LayerWriter) -> str:
    """The layer before plus earlier ones. Of a larger map every second (third …) place counts; where channels differ,
    those that both have.
    """
    total = layer.map(layer.input)
    others = [layer.map(layer.tensor(index)) for index in layer.sources("from")]
    others = [_fitted(layer, other, layer.extent(total)) for other in others]
    for other in others[:-1]:
        total = layer.add("sum", "Add", [total, other])
    return end_in(layer, "sum", "Add", [total, others[-1]], "linear")


def _fitted(layer: LayerWriter, value: str, shape: tuple[int, int, int]) -> str:
    """Of this shape: places left out, channels cut off or zeros behind them."""
    have, (channels, *sides) = layer.extent(value), shape
    steps = [size // side for size, side in zip(have[1:], sides, strict=True)]
    if min(steps) < 1 or len({*steps}) > 1:
        raise layer.error(f"cannot add {'x'.join(map(str, have))} to {'x'.join(map(str, shape))}")
    if steps[0] > 1 or list(have[1:]) != sides:
        ends = [side * step for side, step in zip(sides, steps, strict=True)]
        bounds = [("place_starts", [0, 0]), ("place_ends", ends), ("place_axes", [2, 3]), ("place_steps", steps)]
        value = layer.add("places", "Slice", [value, *(layer.ints(role, numbers) for role, numbers in bounds)])
    if have[0] > channels:
        return _channels(layer, value, 0, channels)
    if have[0] < channels:
        return layer.add("padded", "Pad", [value, layer.ints("pads", [0] * 5 + [channels - have[0], 0, 0])])
    return value


def scale_channels(layer: LayerWriter) -> str:
    """An earlier layer times a number a channel or, with scale_wh, a number a place."""
    value = _only_source(layer)
    channels, height, width = layer.extent(value)
    return _multiply(layer, value, (1, height, width) if layer.section.integer("scale_wh") else (channels, 1, 1))


def sam(layer: LayerWriter) -> str:
    """Spatial attention: an earlier layer times the one before, number by number."""
    value = _only_source(layer)
    return _multiply(layer, value, layer.extent(value))


def _only_source(layer: LayerWriter) -> str:
    return layer.map(layer.tensor(layer.sources("from")[0]))


def _multiply(layer: LayerWriter, value: str, expected: tuple[int, int, int]) -> str:
    """Times the layer before, which must be of this shape."""
    factors = layer.map(layer.input)
    if layer.extent(factors) != expected:
        raise layer.error(f"its inputs do not fit each other: {_shapes(layer, [value, factors])}")
    return end_in(layer, "product", "Mul", [value, factors], "linear")


LAYERS = {"route": route, "sam": sam, "scale_channels": scale_channels, "shortcut": shortcut}
