"""Layers that read several earlier ones."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from .activation import end_in


def route(layer: LayerWriter) -> None:
    """Earlier layers one behind the other along the channels; with `groups`, the same part of each."""
    parts = [layer.map(layer.tensor(index)) for index in layer.sources("layers")]
    groups, group = layer.positive("groups"), layer.section.integer("group_id")
    if not 0 <= group < groups or any(layer.shape(part)[0] % groups for part in parts):
        channels = ", ".join(str(layer.shape(part)[0]) for part in parts)
        raise layer.section.error(f"group {group} of {groups} expects channels that divide so, found {channels}")
    if len({layer.shape(part)[1:] for part in parts}) > 1:
        raise layer.section.error(f"its inputs differ in height and width: {_shapes(layer, parts)}")
    if groups > 1:
        parts = [_part(layer, part, groups, group) for part in parts]
    if len(parts) > 1:
        layer.emit("Concat", parts, axis=1)
    else:
        layer.pass_on(parts[0])


def _part(layer: LayerWriter, value: str, groups: int, group: int) -> str:
    share = layer.shape(value)[0] // groups
    return _channels(layer, value, group * share, (group + 1) * share)


def _channels(layer: LayerWriter, value: str, first: int, end: int) -> str:
    bounds = [layer.ints(role, [number]) for role, number in (("first", first), ("end", end), ("axis", 1))]
    return layer.add("part", "Slice", [value, *bounds])


def _shapes(layer: LayerWriter, values: list[str]) -> str:
    return ", ".join("x".join(map(str, layer.shape(value))) for value in values)


def shortcut(layer: LayerWriter) -> None:
    """The layer before plus earlier ones. Of a larger map every second (third …) place counts; where channels differ,
    those that both have.
    """
    total = layer.map(layer.input)
    others = [layer.map(layer.tensor(index)) for index in layer.sources("from")]
    others = [_fitted(layer, other, layer.shape(total)) for other in others]
    for other in others[:-1]:
        total = layer.add("sum", "Add", [total, other])
    end_in(layer, "sum", "Add", [total, others[-1]], "linear")


def _fitted(layer: LayerWriter, value: str, shape: tuple[int, int, int]) -> str:
    """Of this shape: places left out, channels cut off or zeros behind them."""
    have, (channels, *sides) = layer.shape(value), shape
    steps = [size // side for size, side in zip(have[1:], sides, strict=True)]
    if min(steps) < 1 or len({*steps}) > 1:
        raise layer.section.error(f"cannot add {'x'.join(map(str, have))} to {'x'.join(map(str, shape))}")
    if steps[0] > 1 or list(have[1:]) != sides:
        ends = [side * step for side, step in zip(sides, steps, strict=True)]
        bounds = [("place_starts", [0, 0]), ("place_ends", ends), ("place_axes", [2, 3]), ("place_steps", steps)]
        value = layer.add("places", "Slice", [value, *(layer.ints(role, numbers) for role, numbers in bounds)])
    if have[0] > channels:
        return _channels(layer, value, 0, channels)
    if have[0] < channels:
        return layer.add("padded", "Pad", [value, layer.ints("pads", [0] * 5 + [channels - have[0], 0, 0])])
    return value


def scale_channels(layer: LayerWriter) -> None:
    """An earlier layer times a number a channel or, with scale_wh, a number a place."""
    factors, value = layer.map(layer.input), _only_source(layer)
    channels, height, width = layer.shape(value)
    expected = (1, height, width) if layer.section.integer("scale_wh") else (channels, 1, 1)
    _multiply(layer, value, factors, expected)


def sam(layer: LayerWriter) -> None:
    """Spatial attention: the layer before times an earlier one, number by number."""
    value = _only_source(layer)
    _multiply(layer, layer.map(layer.input), value, layer.shape(value))


def _only_source(layer: LayerWriter) -> str:
    return layer.map(layer.tensor(layer.sources("from")[0]))


def _multiply(layer: LayerWriter, value: str, factors: str, expected: tuple[int, int, int]) -> None:
    if layer.shape(factors if layer.section.type == "scale_channels" else value) != expected:
        raise layer.section.error(f"its inputs do not fit each other: {_shapes(layer, [value, factors])}")
    end_in(layer, "product", "Mul", [value, factors], "linear")


LAYERS = {"route": route, "sam": sam, "scale_channels": scale_channels, "shortcut": shortcut}
