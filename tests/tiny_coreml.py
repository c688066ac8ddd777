"""Small Core ML models, written through the importer's own table of fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxray.importers.coreml.wire_schema import message_class

Feeds = Mapping[str, np.ndarray]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Seeded normal numbers, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def fill(message: Any, values: Mapping[str, Any]) -> None:
    """Set fields by name: messages as mappings, weights as arrays, enumerations by number."""
    for name, value in values.items():
        kind = message.DESCRIPTOR.fields_by_name[name]
        if isinstance(value, np.ndarray):
            getattr(message, name).floatValue = value.astype("<f4").tobytes()
        elif isinstance(value, Mapping):
            getattr(message, name).SetInParent()
            fill(getattr(message, name), value)
        elif kind.message_type is not None:
            for entry in value:
                fill(getattr(message, name).add(), entry)
        elif isinstance(value, (list, tuple)):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)


def layer(kind: str, reads: str = "x", makes: str = "y", name: str = "", **param: Any) -> Any:
    """One layer; several inputs or outputs with commas."""
    message = message_class("Layer")(name=name or makes)
    message.input.extend(entry for entry in reads.split(",") if entry)
    message.output.extend(makes.split(","))
    getattr(message, kind).SetInParent()
    fill(getattr(message, kind), param)
    return message


def array(name: str, *shape: int) -> Any:
    """An input of numbers."""
    feature = message_class("Feature")(name=name)
    feature.type.multiArrayType.shape.extend(shape)
    return feature


def image(name: str, height: int, width: int, colours: int = 20) -> Any:
    """An input image, RGB (20), BGR (30) or grey (10)."""
    feature = message_class("Feature")(name=name)
    fill(feature.type.imageType, {"height": height, "width": width, "colorSpace": colours})
    return feature


def model(
    layers: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[str] = ("y",),
    *,
    exact: bool = False,  # whether tensors have the axes of the description
    kind: str = "neuralNetwork",
    **network: Any,  # further fields of the network
) -> Any:
    """The message of a whole model."""
    made = message_class("Model")(specificationVersion=4 if exact else 1)
    made.description.input.extend(inputs)
    for name in outputs:
        made.description.output.add(name=name).type.multiArrayType.SetInParent()
    found = getattr(made, kind)
    found.layers.extend(layers)
    found.arrayInputShapeMapping = found.imageInputShapeMapping = int(exact)
    fill(found, network)
    return made


def write(folder: Path, message: Any) -> Path:
    """The file of a model."""
    path = folder / "net.mlmodel"
    path.write_bytes(message.SerializeToString())
    return path


def run(proto: onnx.ModelProto, feeds: Feeds) -> list[np.ndarray]:
    """The outputs in order."""
    from onnxray.importers.certificate import run_onnx

    names = [value.name for value in proto.graph.output]
    found = run_onnx(proto, dict(feeds), names)
    return [found[name] for name in names]
