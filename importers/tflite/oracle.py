"""LiteRT, Google's own interpreter, as the independent witness of the parity certificate."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from ..certificate import Reference
from ..channels_last import channels_first, to_last
from ..errors import InputError
from ..oracle_process import run_oracle
from ..sample_inputs import sample_inputs
from .float_weights import weights_alone, with_float_weights
from .reader import Network, Tensor, read_network
from .translate import translate

_PROCESS = Path(__file__).with_name("litert_process.py")


def reference(
    path: Path, proto: onnx.ModelProto, names: Sequence[str], shapes: Mapping[str, Sequence[int]], dequantize: bool
) -> Reference:
    """Tensors of the same file, by name and in the order of the graph's axes, as LiteRT computes them.

    Raises InputError without LiteRT, when it refuses the file, or when a float model was asked for.
    """
    if find_spec("ai_edge_litert") is None:
        raise InputError("comparing with Google's interpreter needs its package: pip install ai-edge-litert")
    network = read_network(path)
    if dequantize and any(tensor.is_quantised and tensor.stored is None for tensor in network.tensors.values()):
        raise InputError("a float model does not round as the file does; leave out --dequantize to compare with it")
    first = translate(network, shapes, dequantize)[1]
    feeds = sample_inputs(proto)
    inputs = {
        name: stored(value.transpose(to_last(value.ndim)) if name in first else value, network.tensors[name])
        for name, value in feeds.items()
    }
    steps = {
        name: float(tensor.quantisation.scale[0])
        for name, tensor in network.tensors.items()
        if tensor.is_quantised and tensor.stored is None and tensor.quantisation is not None
    }
    wanted = list(network.tensors) if steps else [name for name in dict.fromkeys(names) if name in network.tensors]
    reads = "the original file" + ", each operator on its inputs there" * bool(steps)
    with tempfile.TemporaryDirectory() as folder:
        if weights_alone(network):
            path, original = Path(folder) / "model.tflite", path
            path.write_bytes(with_float_weights(original, network))
            reads += ", its 8-bit weights as floats"
        values = run_litert(path, network, inputs, wanted)
    turned = {name: channels_first(value) if name in first else value for name, value in values.items()}
    return Reference(f"LiteRT {version('ai-edge-litert')}", reads, feeds, turned, steps)


def stored(value: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What the file's interpreter is fed for a value: the numbers that stand for it."""
    steps = tensor.quantisation
    if steps is None or not tensor.is_quantised:
        return np.ascontiguousarray(value)
    bits = np.iinfo(tensor.type.lower())
    numbers = np.rint(value / steps.scale[0]) + steps.zero_point[0]
    return np.ascontiguousarray(numbers.clip(bits.min, bits.max)).astype(tensor.type.lower())


def run_litert(
    path: Path, network: Network, inputs: Mapping[str, np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Tensors as the file has them, dequantised. Raises InputError when LiteRT refuses or crashes."""
    places = {name: index for index, name in enumerate(network.tensors)}
    arrays = {str(places[name]): value for name, value in inputs.items()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = run_oracle(_PROCESS, (path,), arrays, [places[name] for name in names], Path(folder))
    except InputError as error:
        raise InputError(f"LiteRT cannot run this file ({error})") from None
    values = {name: found[str(places[name])] for name in names if str(places[name]) in found}
    return {name: _real(value, network.tensors[name]) for name, value in values.items()}


def _real(value: np.ndarray, tensor: Tensor) -> np.ndarray:
    quantised = tensor.quantisation if tensor.is_quantised else None
    return value if quantised is None else quantised.real(value)
