"""Called in a process of its own: models that Apple's coremltools writes and quantises, and the weights it reads back.

    python coreml_apple.py FOLDER

writes MODE-BITS.mlmodel and MODE-BITS.npz, layer -> weights. It imports torch, and warns of much that is not there on
Linux.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

KINDS = [(8, "linear"), (8, "linear_symmetric"), (5, "linear"), (3, "linear_lut")]


def build() -> Any:
    """A convolution, a transposed one and an inner product, all weights random."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(3, 5, 6))], [("y", datatypes.Array(2))])
    for name, source, made, channels, count, deconvolves in (
        ("conv", "x", "a", 3, 4, False),
        ("deconv", "a", "b", 4, 5, True),
    ):
        builder.add_convolution(
            name, channels, count, 2, 2, 1, 1, "valid", 1, random.normal(size=(2, 2, channels, count)), None, False,
            is_deconv=deconvolves, input_name=source, output_name=made,
        )  # fmt: skip
    builder.add_flatten("flat", 0, "b", "c")
    builder.add_inner_product("dense", random.normal(size=(2, 150)), random.normal(size=2), 150, 2, True, "c", "y")
    return builder.spec


def main() -> None:
    """Write them all."""
    from coremltools.models import MLModel
    from coremltools.models.neural_network import quantization_utils

    folder = Path(sys.argv[1])
    for bits, mode in KINDS:
        made = quantization_utils.quantize_weights(MLModel(build()), bits, mode)
        spec = made.get_spec() if hasattr(made, "get_spec") else made
        (folder / f"{mode}-{bits}.mlmodel").write_bytes(spec.SerializeToString())
        quantization_utils._dequantize_nn_spec(spec.neuralNetwork)
        stored = {}
        for layer in spec.neuralNetwork.layers:
            kind = layer.WhichOneof("layer")
            if kind != "flatten":
                stored[layer.name] = np.array(getattr(layer, kind).weights.floatValue, np.float32)
        np.savez(folder / f"{mode}-{bits}.npz", **stored)


if __name__ == "__main__":
    main()
