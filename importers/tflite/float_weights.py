"""The same file with its 8-bit weights as floats, where only they are quantised.

LiteRT then rounds, at every run, what enters such an operator to 8 bits too. No file says so and other programs do not,
so a comparison with it says something only once the weights are what they stand for.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from .flatbuffer import FlatBuffer
from .reader import Network, Tensor
from .schema import SCHEMA, TYPES, UNIONS

_ALIGNED = 16  # bytes: kernels read whole registers


def weights_alone(network: Network) -> dict[str, Tensor]:
    """Quantised constants whose reader makes floats of floats."""
    return {
        name: network.tensors[name]
        for operator in network.operators
        for name in operator.inputs
        if operator.kind != "DEQUANTIZE" and _is_alone(network, name, operator.outputs)
    }


def _is_alone(network: Network, name: str, outputs: list[str]) -> bool:
    tensor = network.tensors.get(name)
    weights = tensor is not None and tensor.stored is not None and tensor.is_quantised
    return weights and all(network.tensors[output].type == "FLOAT32" for output in outputs)


def with_float_weights(path: Path, network: Network) -> bytes:
    """The file with those weights appended as floats; the tensors are told where they lie and what they are.

    Raises InputError where a buffer serves other tensors as well.
    """
    content = bytearray(path.read_bytes())
    file = FlatBuffer(bytes(content), SCHEMA, UNIONS)
    buffers = file.places("Model", "buffers")
    tensors = dict(zip(network.tensors, file.places("Model", "subgraphs", "tensors"), strict=False))
    numbers = {name: _number(content, file, at) for name, at in tensors.items()}
    replaced = weights_alone(network)
    for name, tensor in replaced.items():
        sharing = {other for other, number in numbers.items() if number == numbers[name]}
        type_at = file.field_at(tensors[name], "Tensor", "type")
        data_at = file.field_at(buffers[numbers[name]], "Buffer", "data")
        if sharing != {name} or type_at is None or data_at is None or tensor.real is None:
            raise InputError(f"LiteRT computes with 8-bit weights in its own way, and {name} shares its buffer")
        values = tensor.real.astype("<f4")
        content[type_at] = TYPES.index("FLOAT32")
        content += bytes(-(len(content) + 4) % _ALIGNED)
        content[data_at : data_at + 4] = struct.pack("<I", len(content) - data_at)
        content += struct.pack("<I", values.nbytes) + np.ascontiguousarray(values).tobytes()
    return bytes(content)


def _number(content: bytearray, file: FlatBuffer, tensor: int) -> int:
    at = file.field_at(tensor, "Tensor", "buffer")
    return 0 if at is None else int(struct.unpack_from("<I", content, at)[0])
