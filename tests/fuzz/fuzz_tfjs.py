"""TensorFlow.js: a model.json and its shard, of layers-models and of graph-models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import Target, main

PARTS = ("model.json", "group1-shard1of1.bin")


def seeds() -> Iterator[bytes]:
    """One layer each, an operator each, quantised in every way; fused operators, a signature."""
    import tensorflow_cases
    import tiny_tfjs
    from fuzz_keras import LAYERS
    from tensorflow_graphs import small
    from tiny_keras import layer, noise, sequential

    kinds = ("", "uint8", "uint16", "float16")
    for number, (kind, shape, config, sizes) in enumerate(LAYERS):
        model = sequential(layer(kind, "a", batch_input_shape=[None, *shape], **config))
        weights = {f"a/{index}": noise(*size) for index, size in enumerate(sizes)}
        quantised = dict.fromkeys(weights, kinds[number % 4])
        topology = {**model, "keras_version": "tfjs-layers 4.22.0"} if number % 2 else tiny_tfjs.layers_model(model)
        yield _packed(topology, weights, quantised=quantised)
    for seed in range(30):
        yield _packed(*tiny_tfjs.graph_model(tensorflow_cases.draw(seed)[0].message))
    net = small()
    bias, slope = net.constant([0.5] * 4, name="bias"), net.constant([0.1] * 4, name="slope")
    net.node("_FusedConv2D", ["x", "w", bias, slope], "end", fused_ops=["BiasAdd", "Prelu"], num_args=2, T="FLOAT32",
             strides=[1, 1, 1, 1], padding="SAME", data_format="NHWC")  # fmt: skip
    signature = tiny_tfjs.signature(["x"], {"out": "end:0", "more": "answer"})
    yield _packed(*tiny_tfjs.graph_model(net.message), signature=signature)


def _packed(topology: Any, weights: Any, **more: Any) -> bytes:
    import tiny_tfjs
    from mutations import packed

    with tempfile.TemporaryDirectory() as name:
        path = tiny_tfjs.write(Path(name), topology, weights, **more)
        return packed([(part, (path.parent / part).read_bytes()) for part in PARTS])


def words() -> Sequence[str]:
    """Layers and operators, and what the JSON is written in."""
    from onnxray.importers.tfjs.layers import layer_functions

    keys = ["modelTopology", "weightsManifest", "paths", "weights", "name", "shape", "dtype", "quantization", "scale"]
    types = ["float32", "float16", "int32", "uint8", "uint16", "bool", "string", "complex64", "min", "original_dtype"]
    graph = ["node", "op", "input", "attr", "list", "tensor", "DT_FLOAT", "DT_INT32", "library", "signature", "outputs"]
    return [*layer_functions(), *keys, *types, *graph, "../secret", "group1-shard1of1.bin"]


TARGET = Target("tfjs", PARTS[0], seeds, words, PARTS, PARTS[0])

if __name__ == "__main__":
    main(TARGET)
