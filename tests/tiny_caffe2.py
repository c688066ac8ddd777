"""Small Caffe2 models: a predict_net and an init_net, written through the importer's own table of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxray.importers import load
from onnxray.importers.caffe2.wire_schema import message_class

Blobs = Mapping[str, np.ndarray]
_FILLS = {"f": "GivenTensorFill", "i": "GivenTensorInt64Fill"}


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded normal numbers, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def operator(kind: str, reads: str = "x", makes: str = "y", name: str = "", **arguments: Any) -> Any:
    """One operator; several blobs with commas."""
    inputs, outputs = ([blob for blob in blobs.split(",") if blob] for blobs in (reads, makes))
    message = message_class("Operator")(type=kind, input=inputs, output=outputs, name=name)
    for key, value in arguments.items():
        argument = message.arg.add(name=key)
        if isinstance(value, str):
            argument.s = value.encode()
        elif isinstance(value, float):
            argument.f = value
        elif isinstance(value, int):
            argument.i = value
        else:
            numbers = [float(number) if isinstance(number, np.floating) else number for number in value]
            (argument.floats if numbers and isinstance(numbers[0], float) else argument.ints).extend(numbers)
    return message


def net(operators: Sequence[Any], outputs: Sequence[str] = ("y",), inputs: Sequence[str] = ()) -> Any:
    """A predict_net."""
    return message_class("Net")(name="tiny", op=operators, external_output=outputs, external_input=inputs)


def init(blobs: Blobs) -> Any:
    """An init_net that holds these numbers."""
    fills = [
        operator(_FILLS[value.dtype.kind], "", name, shape=[int(side) for side in value.shape], values=value.ravel())
        for name, value in blobs.items()
    ]
    for fill, value in zip(fills, blobs.values(), strict=True):
        if value.dtype.kind == "i":
            del fill.arg[1].ints[:]
            fill.arg[1].ints.extend(value.ravel().tolist())
    return message_class("Net")(name="tiny_init", op=fills)


def write(folder: Path, predict: Any, blobs: Blobs) -> Path:
    """Both files; returns the predict_net's."""
    blobs = blobs or {"nothing": np.zeros(1, np.float32)}  # a net without operators is none
    (folder / "init_net.pb").write_bytes(init(blobs).SerializeToString())
    path = folder / "predict_net.pb"
    path.write_bytes(predict.SerializeToString())
    return path


def opened(
    folder: Path, operators: Sequence[Any], blobs: Blobs, outputs: Sequence[str] = ("y",), **options: Any
) -> Any:
    """A model of these operators as ONNX."""
    return load(write(folder, net(operators, outputs), blobs), **options)


def run(proto: onnx.ModelProto, feeds: Blobs) -> list[np.ndarray]:
    """The outputs in order."""
    from onnxray.importers.certificate import run_onnx

    names = [value.name for value in proto.graph.output]
    found = run_onnx(proto, dict(feeds), names)
    return [found[name] for name in names]
