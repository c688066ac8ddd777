"""TensorFlow Lite: .tflite to ONNX, nothing of TensorFlow installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference


def read(
    path: Path,
    companion: Path | None,
    *,
    dequantize: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape, where the file leaves it open
) -> onnx.ModelProto:
    """Read a TensorFlow Lite model: images channels first, names as in the file, everything quantised as float.

    What the file rounds to steps is rounded by pairs of QuantizeLinear and DequantizeLinear; with `dequantize` it is
    only clipped to the range of the steps, so that the network has gradients.

    Raises InputError when the file is damaged or uses operators that are not known, all of which are named.
    """
    from ..errors import InputError
    from ..input_spec import write_input_spec
    from .preprocessing import input_spec
    from .reader import read_network
    from .translate import translate

    network = read_network(path)
    try:
        proto, _ = translate(network, shapes or {}, dequantize)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_input_spec(proto, input_spec(path, network, proto))
    return proto


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    *,
    dequantize: bool = False,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Reference:
    """Tensors of the same network as Google's own interpreter computes them, for the parity certificate."""
    from .oracle import reference

    return reference(path, proto, names, shapes or {}, dequantize)
