"""Keras: HDF5 files, bare weights with their architecture, and `.keras` archives."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import Target, main

IMAGE, ROW, STEPS = (6, 5, 4), (6,), (5, 4)
# Layer, what enters it, its options, the shapes of its weights.
LAYERS: list[tuple[str, Sequence[int], dict[str, Any], Sequence[Sequence[int]]]] = [
    ("Dense", ROW, {"units": 3, "activation": "softmax"}, [(6, 3), (3,)]),
    ("Conv1D", STEPS, {"filters": 3, "kernel_size": [2], "padding": "causal"}, [(2, 4, 3), (3,)]),
    ("Conv2D", IMAGE, {"filters": 2, "kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "activation": "relu"},
     [(3, 3, 4, 2), (2,)]),
    ("Conv2D", IMAGE, {"filters": 2, "kernel_size": 2, "dilation_rate": [2, 2], "groups": 2}, [(2, 2, 2, 2), (2,)]),
    ("Conv2D", IMAGE, {"filters": 2, "kernel_size": 1, "data_format": "channels_first"}, [(1, 1, 6, 2), (2,)]),
    ("Conv3D", (4, 4, 4, 1), {"filters": 2, "kernel_size": [2, 2, 2]}, [(2, 2, 2, 1, 2), (2,)]),
    ("Conv2DTranspose", IMAGE, {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1},
     [(3, 3, 2, 4), (2,)]),
    ("DepthwiseConv2D", IMAGE, {"kernel_size": 3, "depth_multiplier": 2}, [(3, 3, 4, 2), (8,)]),
    ("SeparableConv2D", IMAGE, {"filters": 3, "kernel_size": 3}, [(3, 3, 4, 1), (1, 1, 4, 3), (3,)]),
    ("BatchNormalization", IMAGE, {"axis": [3], "epsilon": 1e-3}, [(4,)] * 4),
    ("LayerNormalization", IMAGE, {"axis": [-1]}, [(4,)] * 2),
    ("GroupNormalization", IMAGE, {"groups": 2}, [(4,)] * 2),
    ("UnitNormalization", IMAGE, {}, []),
    ("Normalization", IMAGE, {"axis": -1}, [(4,), (4,), ()]),
    ("MaxPooling2D", IMAGE, {"pool_size": [2, 2], "padding": "same"}, []),
    ("AveragePooling1D", STEPS, {"pool_size": 2, "strides": 1, "padding": "same"}, []),
    ("GlobalAveragePooling2D", IMAGE, {"keepdims": True}, []),
    ("ZeroPadding2D", IMAGE, {"padding": [[1, 0], [2, 1]]}, []),
    ("Cropping2D", IMAGE, {"cropping": [[1, 0], [2, 1]]}, []),
    ("UpSampling2D", IMAGE, {"size": [2, 2], "interpolation": "bilinear"}, []),
    ("Resizing", IMAGE, {"height": 9, "width": 4, "interpolation": "nearest"}, []),
    ("CenterCrop", IMAGE, {"height": 4, "width": 4}, []),
    ("Rescaling", IMAGE, {"scale": 0.0039, "offset": -1}, []),
    ("Flatten", IMAGE, {}, []),
    ("Reshape", IMAGE, {"target_shape": [15, -1]}, []),
    ("Permute", IMAGE, {"dims": [2, 1, 3]}, []),
    ("RepeatVector", ROW, {"n": 3}, []),
    ("Dropout", ROW, {"rate": 0.5}, []),
    ("ReLU", IMAGE, {"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.5}, []),
    ("LeakyReLU", IMAGE, {"negative_slope": 0.1}, []),
    ("PReLU", IMAGE, {"shared_axes": [1, 2]}, [(1, 1, 4)]),
    ("Softmax", IMAGE, {"axis": -1}, []),
    ("Embedding", STEPS[:1], {"input_dim": 7, "output_dim": 3}, [(7, 3)]),
    ("LSTM", STEPS, {"units": 2, "return_sequences": True}, [(4, 8), (2, 8), (8,)]),
    ("GRU", STEPS, {"units": 2, "reset_after": True}, [(4, 6), (2, 6), (2, 6)]),
    ("SimpleRNN", STEPS, {"units": 2, "go_backwards": True}, [(4, 2), (2, 2), (2,)]),
    ("Lambda", ROW, {"function": ["4wEAAAA=", None, None], "function_type": "lambda"}, []),
]  # fmt: skip
PARTS = ("net.h5", "net.json")


def seeds() -> Iterator[bytes]:
    """One layer each, in one of the three forms; a network with branches, a model in a model, layers within others."""
    import tiny_keras
    from mutations import packed
    from tiny_keras import layer, noise, sequential

    with tempfile.TemporaryDirectory() as name:
        for number, (kind, shape, config, sizes) in enumerate(LAYERS):
            model = sequential(layer(kind, "a", batch_input_shape=[None, *shape], **config))
            weights = {"a": [(f"w{index}", noise(*size)) for index, size in enumerate(sizes)]}
            if number % 3 == 0:
                yield tiny_keras.write_h5(Path(name) / "net.h5", model, weights).read_bytes()
            elif number % 3 == 1:
                group = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind).lower() + "/cell" * (kind == "GRU")
                arrays = {f"layers/{group}/vars/{index}": array for index, (_, array) in enumerate(weights["a"])}
                yield tiny_keras.write_keras(Path(name) / "net.keras", model, arrays).read_bytes()
            else:
                yield packed(_pair(Path(name), model, weights))
        for model, weights in _larger():
            yield tiny_keras.write_h5(Path(name) / "net.h5", model, weights).read_bytes()
            yield packed(_pair(Path(name), model, weights))


def _pair(folder: Path, model: Any, weights: Any) -> list[tuple[str, bytes]]:
    import tiny_keras

    path = tiny_keras.write_h5(folder / "net.h5", None, weights)
    return [(PARTS[0], path.read_bytes()), (PARTS[1], json.dumps(model).encode())]


def _larger() -> Iterator[tuple[Any, Any]]:
    from tiny_keras import functional, given, layer, noise, sequential

    convolution = {"filters": 4, "kernel_size": [3, 3], "padding": "same", "use_bias": False}
    layers = [
        given("x", *IMAGE),
        layer("Conv2D", "c", ["x"], **convolution),
        layer("BatchNormalization", "b", ["c"], axis=[3]),
        layer("Add", "sum", ["x", "b"]),
        layer("Concatenate", "both", ["x", "sum"], axis=-1),
        layer("TFOpLambda", "half", [["both", 0, 0, {"y": 0.5}]], function="math.multiply"),
        layer("GlobalMaxPooling2D", "g", ["half"]),
        layer("Dense", "d", ["g"], units=3, activation="sigmoid"),
    ]
    weights = {"c": [("k", noise(3, 3, 4, 4))], "b": [(part, noise(4) ** 2) for part in "gbmv"]}
    yield functional(layers, ["x"], ["d", "g"]), {**weights, "d": [("k", noise(8, 3)), ("b", noise(3))]}
    inner = sequential(layer("Dense", "i", units=2, batch_input_shape=[None, 6]))
    nested = {**inner, "name": "m", "config": {**inner["config"], "name": "m"}}
    yield (
        functional([given("x", 6), {**nested, "inbound_nodes": [[["x", 0, 0, {}]]]}], ["x"], ["m"]),
        {"m": [("i/k", noise(6, 2)), ("i/b", noise(2))]},
    )
    cell = layer("LSTM", "cell", units=2, return_sequences=True)
    yield (
        sequential(layer("Bidirectional", "w", layer=cell, merge_mode="concat", batch_input_shape=[None, *STEPS])),
        {"w": [(str(index), noise(*size)) for index, size in enumerate([(4, 8), (2, 8), (8,)] * 2)]},
    )
    each = layer("Dense", "each", units=2)
    yield (
        sequential(layer("TimeDistributed", "t", layer=each, batch_input_shape=[None, *STEPS])),
        {"t": [("k", noise(4, 2)), ("b", noise(2))]},
    )


def words() -> Sequence[str]:
    """Every layer type and activation, and the options that the layers here have."""
    from onnxray.importers.keras.layers import layer_functions
    from onnxray.importers.keras.layers.activation import ACTIVATIONS

    options = sorted({option for _, _, config, _ in LAYERS for option in config})
    more = ["channels_first", "channels_last", "same", "valid", "a", "x", "bilinear", "Functional", "Sequential"]
    return [*layer_functions(), *ACTIVATIONS, *options, *more]


TARGET = Target("keras", "net.h5", seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)
