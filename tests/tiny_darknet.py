"""Small Darknet networks: a cfg by hand, weights with seeded random numbers of the shapes it asks for."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from onnxray.importers import darknet
from onnxray.importers.darknet import source
from onnxray.importers.darknet.layer_writer import LayerWriter
from onnxray.importers.darknet.reader import Weights
from onnxray.importers.darknet.translate import translate

HEADER = struct.pack("<3iq", 0, 2, 5, 64)  # version 0.2.5, 64 images seen


def cfg(layers: str, shape: Sequence[int] = (3, 16, 16), **options: object) -> str:
    """A cfg with an image of this shape; `layers` as of `section`, one after the other."""
    channels, height, width = shape
    return section("net", width=width, height=height, channels=channels, **options) + layers


def section(kind: str, **options: object) -> str:
    """One [section]; lists with commas."""
    texts = {key: ",".join(map(str, value)) if isinstance(value, list) else value for key, value in options.items()}
    return "\n".join([f"[{kind}]", *(f"{key}={value}" for key, value in texts.items())]) + "\n\n"


def conv(filters: int, size: int = 3, activation: str = "leaky", **options: object) -> str:
    """A [convolutional] section that keeps the map's size, unless told otherwise."""
    given = {"batch_normalize": 1, "stride": 1, "pad": 1, **options}
    return section("convolutional", filters=filters, size=size, activation=activation, **given)


def write(folder: Path, text: str, seed: int = 0, header: bytes = HEADER, name: str = "net") -> tuple[Path, Path]:
    """(cfg, weights) in `folder`; weights are drawn at random, as large as a trained network's."""
    path, weights = folder / f"{name}.cfg", folder / f"{name}.weights"
    path.write_text(text)
    weights.write_bytes(header)
    drawn = random_weights(path, weights, seed)
    weights.write_bytes(header + b"".join(array.astype("<f4").tobytes() for array in drawn))
    return path, weights


def random_weights(path: Path, weights: Path, seed: int) -> list[np.ndarray]:
    """Seeded weights of the shapes that the importer asks for as it goes, as they lie in the file."""
    generator = np.random.default_rng(seed)
    made: list[np.ndarray] = []

    def draw(layer: LayerWriter, role: str, shape: Sequence[int]) -> np.ndarray:
        if role in ("weight", "bias", "mean"):
            array = generator.normal(size=shape) * (np.sqrt(2 / max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 0.1)
        else:
            array = generator.uniform(0.5, 1.5, shape)
        made.append(array.astype(np.float32))
        return made[-1]

    with mock.patch.object(LayerWriter, "take", draw), mock.patch.object(Weights, "check_end"):
        translate(source.open_source(path, weights))
    return made


def loaded(folder: Path, text: str, **options: object) -> onnx.ModelProto:
    """The network that `write` makes, read again."""
    path, weights = write(folder, text)
    return darknet.read(path, weights, **options)  # type: ignore[arg-type]


def refused_options() -> Mapping[str, Sequence[str]]:
    """Layer type -> options that are not translated."""
    return source._REFUSED
