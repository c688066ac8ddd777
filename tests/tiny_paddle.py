"""PaddlePaddle programs and weights, written operator by operator."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnxray.importers.paddle.wire_schema import enum_number, message_class

Shape = Sequence[int]
Names = str | Sequence[str]
Step = tuple[str, Mapping[str, Names], Mapping[str, Names], Mapping[str, Any]]  # type, inputs, outputs, attributes
IMAGE = {"x": (-1, 3, -1, -1)}


def step(kind: str, inputs: Mapping[str, Names], outputs: Mapping[str, Names], **attributes: Any) -> Step:
    """One operator: {"Input": "x"}, {"Out": ["a", "b"]}."""
    return kind, inputs, outputs, attributes


def small() -> tuple[list[Step], dict[str, np.ndarray]]:
    """A classifier of three classes, and its weights."""
    generator = np.random.default_rng(0)
    weights = {
        "conv.w_0": generator.normal(size=(4, 3, 3, 3)),
        "conv.b_0": generator.normal(size=4),
        "fc.w_0": generator.normal(size=(4, 3)),
    }
    steps = [
        step("conv2d", {"Input": "x", "Filter": "conv.w_0"}, {"Output": "conv"}, paddings=[1, 1], strides=[2, 2]),
        step("elementwise_add", {"X": "conv", "Y": "conv.b_0"}, {"Out": "biased"}, axis=1),
        step("relu", {"X": "biased"}, {"Out": "biased"}),  # in place, as older programs have it
        step("pool2d", {"X": "biased"}, {"Out": "pooled"}, pooling_type="avg", ksize=[1, 1], global_pooling=True),
        step("mul", {"X": "pooled", "Y": "fc.w_0"}, {"Out": "classes"}),
        step("softmax", {"X": "classes"}, {"Out": "probabilities"}),
    ]
    return steps, {name: value.astype(np.float32) for name, value in weights.items()}


def program(
    steps: Sequence[Step],
    weights: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    inputs: Mapping[str, Shape] = IMAGE,
    shapes: Mapping[str, Shape] | None = None,  # of what the operators make, where the reader asks for it
    kinds: Mapping[str, str] | None = None,  # of variables that are not float32
) -> bytes:
    """The file of a program."""
    message = message_class("Program")()
    message.version.version = 0
    block = message.blocks.add(idx=0, parent_idx=-1)
    made = [name for _, _, made, _ in steps for names in made.values() for name in _listed(names)]
    declared = {**dict.fromkeys(made, (-1,)), **(shapes or {}), **inputs}
    for name, shape in {**declared, **{name: value.shape for name, value in weights.items()}}.items():
        kind = weights[name].dtype.name if name in weights else (kinds or {}).get(name, "float32")
        variable = block.vars.add(name=name, persistable=name in weights)
        variable.type.type = enum_number("Kind", "LOD_TENSOR")
        variable.type.lod_tensor.tensor.data_type = enum_number("Kind", kind)
        variable.type.lod_tensor.tensor.dims.extend(shape)
    for name, kind in (("feed", "FEED_MINIBATCH"), ("fetch", "FETCH_LIST")):
        block.vars.add(name=name, persistable=True).type.type = enum_number("Kind", kind)
    feeds = [step("feed", {"X": "feed"}, {"Out": name}, col=at) for at, name in enumerate(inputs)]
    fetches = [step("fetch", {"X": name}, {"Out": "fetch"}, col=at) for at, name in enumerate(outputs)]
    for each in (*feeds, *steps, *fetches):
        _write(block.ops.add(), *each)
    return bytes(message.SerializeToString())


def _write(
    message: Any, kind: str, inputs: Mapping[str, Names], outputs: Mapping[str, Names], values: Mapping[str, Any]
) -> None:
    message.type = kind
    for side, sides in ((message.inputs, inputs), (message.outputs, outputs)):
        for name, names in sides.items():
            side.add(parameter=name, arguments=_listed(names))
    for name, value in values.items():
        field = _field(value)
        attribute = message.attrs.add(name=name)
        attribute.type = enum_number("AttributeKind", field)
        if isinstance(value, list):
            getattr(attribute, field).extend(value)
        else:
            setattr(attribute, field, value)


def _field(value: Any) -> str:
    if isinstance(value, list):
        kind = type(value[0]) if value else int
        return {int: "ints", float: "floats", str: "strings", bool: "bools"}[kind]
    return {int: "i", float: "f", str: "s", bool: "b"}[type(value)]


def _listed(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def tensor(value: np.ndarray) -> bytes:
    """One weight as it is stored."""
    described = message_class("TensorDescription")(dims=value.shape)
    described.data_type = enum_number("Kind", value.dtype.name)
    description = described.SerializeToString()
    header = struct.pack("<IQIi", 0, 0, 0, len(description))
    return header + description + value.tobytes()


def stored(weights: Mapping[str, np.ndarray]) -> bytes:
    """All of them, in the order of their names."""
    return b"".join(tensor(weights[name]) for name in sorted(weights))


def write(folder: Path, data: bytes, weights: Mapping[str, np.ndarray], name: str = "inference") -> Path:
    """Both files; returns the program's."""
    path = folder / f"{name}.pdmodel"
    path.write_bytes(data)
    if weights:
        path.with_suffix(".pdiparams").write_bytes(stored(weights))
    return path


def write_small(folder: Path) -> Path:
    """The files of `small`."""
    steps, weights = small()
    return write(folder, program(steps, weights, ["probabilities"]), weights)
