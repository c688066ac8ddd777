"""Random PaddlePaddle programs of one operator, and what it gives by definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import paddle_references as references
import tiny_paddle

Array = np.ndarray
# What else these make in training; PaddlePaddle wants room for it.
BESIDE = {
    "batch_norm": ("MeanOut", "VarianceOut", "SavedMean", "SavedVariance"),
    "layer_norm": ("Mean", "Variance"),
    "group_norm": ("Mean", "Variance"),
    "instance_norm": ("SavedMean", "SavedVariance"),
    "lrn": ("MidOut",),
    "norm": ("Norm",),
}


@dataclass
class Case:
    """One program, what is fed into it and what it should give. Draws its own numbers."""

    generator: np.random.Generator
    steps: list[tiny_paddle.Step] = field(default_factory=list)
    feeds: dict[str, Array] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)
    expected: dict[str, Array] = field(default_factory=dict)

    def integer(self, low: int, high: int) -> int:
        """Both ends included."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """True so often."""
        return bool(self.generator.random() < share)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of them."""
        return choices[self.integer(0, len(choices) - 1)]

    def numbers(self, *shape: int, least: float = -2.0) -> Array:
        """Evenly spread up to 2."""
        return self.generator.uniform(least, 2, shape).astype(np.float32)

    def image(self, channels: int = 0, side: int = 8) -> Array:
        """Fed in as "x"."""
        sides = (self.integer(1, 2), channels or self.integer(1, 4), self.integer(3, side), self.integer(3, side))
        return self.feed(self.numbers(*sides))

    def feed(self, value: Array, name: str = "x") -> Array:
        """An input of the program."""
        self.feeds[name] = value
        return value

    def store(self, value: Array, name: str = "w") -> Array:
        """A weight."""
        self.weights[name] = value
        return value

    def step(
        self,
        kind: str,
        inputs: Mapping[str, tiny_paddle.Names],
        outputs: Mapping[str, Array | list[Array]],
        **attributes: Any,
    ) -> None:
        """The operator, and what each of its outputs should be."""
        made: dict[str, list[str]] = {}
        for side, values in outputs.items():
            parts = values if isinstance(values, list) else [values]
            made[side] = [f"{side}{at}" for at in range(len(self.expected), len(self.expected) + len(parts))]
            self.expected.update(zip(made[side], parts, strict=True))
        for side in BESIDE.get(kind, ()):  # MeanOut is Mean itself
            same = inputs.get(side.removesuffix("Out"), f"{side} of no use")
            made[side] = [same] if isinstance(same, str) else list(same)
        said = {key: value for key, value in attributes.items() if value != []}  # which has no type in the file
        self.steps.append(tiny_paddle.step(kind, inputs, made, **said))

    def write(self, folder: Path, name: str) -> Path:
        """Its files; in some the number and the sides of images stay open."""
        opened = {key: self._declared(value) for key, value in self.feeds.items()}
        kinds = {key: value.dtype.name for key, value in {**self.feeds, **self.expected}.items()}
        shapes = {key: value.shape for key, value in self.expected.items()}
        data = tiny_paddle.program(self.steps, self.weights, list(self.expected), opened, shapes, kinds)
        return tiny_paddle.write(folder, data, self.weights, name)

    def _declared(self, value: Array) -> tuple[int, ...]:
        if value.ndim == 4 and self.chance(0.3):
            return (-1, value.shape[1], -1, -1)
        return (-1, *value.shape[1:]) if value.ndim > 1 and self.chance(0.3) else value.shape


def _padding(case: Case, kernel: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Of each side, and as the file may say it."""
    if case.chance(0.5):
        both = [case.integer(0, size // 2) for size in kernel]
        return [(each, each) for each in both], both
    pairs = [(case.integer(0, size // 2), case.integer(0, size // 2)) for size in kernel]
    return pairs, [each for pair in pairs for each in pair]


def convolution(case: Case) -> None:
    """With groups, dilations and each way of padding."""
    groups, depthwise = case.integer(1, 2), case.chance(0.3)
    image = case.image(case.integer(1, 2) * groups)
    groups = image.shape[1] if depthwise else groups
    kernel = [case.integer(1, 3), case.integer(1, 3)]
    weight = case.store(case.numbers(groups * case.integer(1, 2), image.shape[1] // groups, *kernel))
    strides, apart, way = [case.integer(1, 2), case.integer(1, 2)], [1, 1], case.pick(["EXPLICIT", "SAME", "VALID"])
    pads, written = _padding(case, kernel)
    if way == "SAME":
        pads = references.same_pads(image.shape[2:], kernel, strides)
    elif way == "VALID":
        pads = [(0, 0), (0, 0)]
    elif min(image.shape[2:]) > 4:
        apart = [case.integer(1, 2), case.integer(1, 2)]
    result = references.convolution(image, weight, pads, strides, apart, groups)
    kind = "depthwise_conv2d" if depthwise else "conv2d"
    case.step(
        kind, {"Input": "x", "Filter": "w"}, {"Output": result}, strides=strides, paddings=written,
        dilations=apart, groups=groups, padding_algorithm=way, data_format="NCHW",
    )  # fmt: skip


def transposed(case: Case) -> None:
    """With an output size or padding."""
    groups = case.integer(1, 2)
    image, kernel = case.image(case.integer(1, 2) * groups, 5), [case.integer(2, 4), case.integer(2, 4)]
    weight = case.store(case.numbers(image.shape[1], case.integer(1, 2), *kernel))
    strides = [case.integer(1, 3), case.integer(1, 3)]
    both = [case.integer(0, 1), case.integer(0, 1)]
    more = [case.integer(0, stride - 1) for stride in strides]
    result = references.transposed(image, weight, [(each, each) for each in both], strides, groups, more)
    said: dict[str, Any] = {"output_padding": more}
    if case.chance(0.4):
        said = {"output_size": list(result.shape[2:]), "output_padding": []}
    case.step(
        "conv2d_transpose", {"Input": "x", "Filter": "w"}, {"Output": result}, strides=strides, paddings=both,
        dilations=[1, 1], groups=groups, padding_algorithm="EXPLICIT", data_format="NCHW", **said,
    )  # fmt: skip


def pooling(case: Case) -> None:
    """Windows of a size."""
    image, kind, kernel = case.image(), case.pick(["max", "avg"]), [case.integer(1, 3), case.integer(1, 3)]
    strides, ceil, exclusive = [case.integer(1, 3), case.integer(1, 3)], case.chance(0.4), case.chance(0.5)
    both = [case.integer(0, size // 2) for size in kernel]
    way, pads = case.pick(["EXPLICIT", "SAME", "VALID"]), [(each, each) for each in both]
    if way != "EXPLICIT":
        ceil, pads = (
            False,
            [(0, 0), (0, 0)] if way == "VALID" else references.same_pads(image.shape[2:], kernel, strides),
        )
    ceil = (
        ceil
        and all(  # a last window outside of the image is refused
            -(-(side + 2 * border - size) // stride) * stride < side + border
            for side, border, size, stride in zip(image.shape[2:], both, kernel, strides, strict=True)
        )
    )
    result = references.pool(image, kind, kernel, strides, pads, ceil, exclusive)
    case.step(
        "pool2d", {"X": "x"}, {"Out": result}, pooling_type=kind, ksize=kernel, strides=strides, paddings=both,
        ceil_mode=ceil, exclusive=exclusive, padding_algorithm=way, global_pooling=False, adaptive=False,
        data_format="NCHW",
    )  # fmt: skip


def whole_pooling(case: Case) -> None:
    """Of the whole image, or so many windows."""
    image, kind = case.image(), case.pick(["max", "avg"])
    whole = case.chance(0.3)
    counts = [1, 1] if whole else [case.integer(1, 4), case.integer(1, 4)]
    said = {"global_pooling": whole, "adaptive": not whole, "ksize": counts, "strides": [1, 1], "paddings": [0, 0]}
    result = references.adaptive(image, kind, counts)
    if kind == "max" and not whole:
        made = {"Out": "most", "Mask": "places"}
        case.steps.append(tiny_paddle.step("max_pool2d_with_index", {"X": "x"}, made, **said))
        case.expected["most"] = result
        return
    case.step(
        "pool2d", {"X": "x"}, {"Out": result}, pooling_type=kind, exclusive=True, ceil_mode=False,
        padding_algorithm="EXPLICIT", data_format="NCHW", **said,
    )  # fmt: skip


def resizing(case: Case) -> None:
    """Each way, to a size or by factors."""
    image, mode = case.image(side=6), case.pick(["nearest", "bilinear", "bicubic"])
    corners, style, second = case.chance(0.4), case.integer(0, 1), case.chance(0.7) or mode == "bicubic"
    where = "corners" if corners else "start" if mode == "nearest" or (mode == "bilinear" and style) else "half"
    said: dict[str, Any] = {"out_h": case.integer(2, 12), "out_w": case.integer(2, 12), "scale": [] if second else 0.0}
    sizes = [said["out_h"], said["out_w"]]
    ratios = [side / size for side, size in zip(image.shape[2:], sizes, strict=True)]
    if case.chance(0.5):
        factors = [float(case.integer(1, 3))] * 2 if not second else [case.pick([0.5, 1.5, 2.0, 3.0]) for _ in range(2)]
        sizes = [int(side * factor) for side, factor in zip(image.shape[2:], factors, strict=True)]
        ratios = [1 / factor for factor in factors]
        said = {"out_h": -1, "out_w": -1, "scale": factors if second else factors[0]}
    result = references.resize(image, sizes, mode, where, ratios)
    case.step(
        f"{mode}_interp{'_v2' * second}", {"X": "x"}, {"Out": result}, interp_method=mode, align_corners=corners,
        align_mode=style, data_layout="NCHW", **said,
    )  # fmt: skip


def normalising(case: Case) -> None:
    """By stored means and variances."""
    image = case.image()
    channels = image.shape[1]
    values = {name: case.store(case.numbers(channels, least=0.1), name) for name in ("s", "b", "m", "v")}
    scale, bias, mean, variance = (value[:, None, None] for value in values.values())
    result = (image - mean) / np.sqrt(variance + 1e-3) * scale + bias
    names = {"X": "x", "Scale": "s", "Bias": "b", "Mean": "m", "Variance": "v"}
    case.step("batch_norm", names, {"Y": result}, epsilon=1e-3, is_test=True, data_layout="NCHW")


def layer_normalising(case: Case) -> None:
    """Over the last axes, with and without a scale."""
    value = case.feed(case.numbers(2, case.integer(2, 4), case.integer(2, 5)))
    axis = case.integer(1, 2)
    rest = tuple(range(axis, 3))
    result = (value - value.mean(rest, keepdims=True)) / np.sqrt(value.var(rest, keepdims=True) + 1e-5)
    names = {"X": "x"}
    for side, name in (("Scale", "s"), ("Bias", "b")):
        if case.chance(0.7):
            weight = case.store(case.numbers(int(np.prod(value.shape[axis:]))), name).reshape(value.shape[axis:])
            result, names[side] = (result * weight if side == "Scale" else result + weight), name
    case.step("layer_norm", names, {"Y": result}, epsilon=1e-5, begin_norm_axis=axis)


def group_normalising(case: Case) -> None:
    """Groups of channels; instances, which are groups of one."""
    groups, single = case.integer(1, 3), case.chance(0.4)
    image = case.image(groups * case.integer(1, 2))
    grouped = image.reshape(len(image), image.shape[1] if single else groups, -1)
    even = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    scale, bias = (case.store(case.numbers(image.shape[1]), name) for name in ("s", "b"))
    result = even.reshape(image.shape) * scale[:, None, None] + bias[:, None, None]
    names = {"X": "x", "Scale": "s", "Bias": "b"}
    if single:
        case.step("instance_norm", names, {"Y": result}, epsilon=1e-5)
    else:
        case.step("group_norm", names, {"Y": result}, epsilon=1e-5, groups=groups, data_layout="NCHW")


def dropping(case: Case) -> None:
    """Nothing, or a scale in the older way."""
    image, older, share = case.image(), case.chance(0.5), case.pick([0.1, 0.5])
    way = "downgrade_in_infer" if older else "upscale_in_train"
    result = image * (1 - share) if older else image
    said = {"dropout_prob": share, "is_test": True, "dropout_implementation": way}
    case.step("dropout", {"X": "x"}, {"Out": result}, **said)


def channelwise(case: Case) -> None:
    """A scale and a shift of channels; each by its neighbours."""
    image = case.image(channels=case.integer(1, 7))
    if case.chance(0.5):
        scale, bias = (case.store(case.numbers(image.shape[1]), name) for name in ("s", "b"))
        result = image * scale[:, None, None] + bias[:, None, None]
        case.step("affine_channel", {"X": "x", "Scale": "s", "Bias": "b"}, {"Out": result}, data_layout="NCHW")
        return
    squares = np.pad(image**2, ((0, 0), (2, 2), (0, 0), (0, 0)))
    sums = sum(squares[:, at : at + image.shape[1]] for at in range(5))
    said = {"n": 5, "k": 1.5, "alpha": 0.2, "beta": 0.75, "data_format": "NCHW"}
    case.step("lrn", {"X": "x"}, {"Out": image / (1.5 + 0.2 * sums) ** 0.75}, **said)


def volumes(case: Case) -> None:
    """Images on top of each other; rows alone."""
    image, kind = case.image(2), case.integer(0, 3)
    depth = case.feed(np.stack([image, image[:, ::-1] * 0.5, image + 1], 2))
    slices = [depth[:, :, at] for at in range(3)]
    if kind == 0:
        weight = case.store(case.numbers(4, 2, 1, 3, 3))
        parts = [references.convolution(each, weight[:, :, 0], [(1, 1)] * 2, (2, 1), (1, 1), 1) for each in slices]
        said = {"strides": [1, 2, 1], "paddings": [0, 1, 1], "dilations": [1, 1, 1], "groups": 1}
        names = {"Input": "x", "Filter": "w"}
        case.step("conv3d", names, {"Output": np.stack(parts, 2)}, padding_algorithm="EXPLICIT", **said)
    elif kind == 1:
        word = case.pick(["max", "avg"])
        parts = [references.pool(each, word, (2, 2), (1, 2), [(0, 0)] * 2, False, True) for each in slices]
        said = {"pooling_type": word, "ksize": [1, 2, 2], "strides": [1, 1, 2], "paddings": [0, 0, 0]}
        case.step("pool3d", {"X": "x"}, {"Out": np.stack(parts, 2)}, exclusive=True, adaptive=False, **said)
    else:
        sizes = [1 if kind == 3 else case.integer(2, 9), case.integer(2, 9)]
        images = [image[:, :, :1]] if kind == 3 else slices
        ratios = [side / size for side, size in zip(images[0].shape[2:], sizes, strict=True)]
        parts = [references.resize(each, sizes, "bilinear", "half", ratios) for each in images]
        said = {"out_d": 3 if kind == 2 else -1, "out_h": sizes[0] if kind == 2 else -1, "out_w": sizes[1], "scale": []}
        result = parts[0][:, :, 0] if kind == 3 else np.stack(parts, 2)
        case.feeds["x"] = image[:, :, 0] if kind == 3 else depth
        name, layout = ("linear", "NCHW") if kind == 3 else ("trilinear", "NCHW")
        more = {"align_corners": False, "align_mode": 0, "interp_method": name, "data_layout": layout}
        case.step(f"{name}_interp_v2", {"X": "x"}, {"Out": result}, **said, **more)


def draw(seed: int) -> tuple[str, Case]:
    """Which operator, and its program: one operator after the other."""
    from paddle_movement_cases import MOVEMENTS
    from paddle_size_cases import SIZES

    draws: dict[str, Callable[[Case], None]] = {**IMAGES, **MOVEMENTS, **SIZES}
    name = list(draws)[seed % len(draws)]
    case = Case(np.random.default_rng(seed))
    draws[name](case)
    return name, case


IMAGES: dict[str, Callable[[Case], None]] = {
    "convolution": convolution,
    "transposed": transposed,
    "pooling": pooling,
    "whole_pooling": whole_pooling,
    "resizing": resizing,
    "normalising": normalising,
    "layer_normalising": layer_normalising,
    "group_normalising": group_normalising,
    "dropping": dropping,
    "channelwise": channelwise,
    "volumes": volumes,
}
