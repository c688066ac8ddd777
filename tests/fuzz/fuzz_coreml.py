"""Core ML: neural networks of one layer or of several, images and arrays, weights stored in every way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness import Target, main


def seeds() -> Iterator[bytes]:
    """Random layers, a classifier with an image and its scaler, quantised weights, a description without a network."""
    from coreml_cases import Draw
    from importers.test_coreml import packed
    from importers.test_coreml_layers import FAMILIES, IMAGE, REFUSED, message
    from tiny_coreml import fill, image, layer, model, noise

    for seed in range(len(FAMILIES)):
        case = list(FAMILIES.values())[seed](Draw(seed))
        made: Any = message(case, exact=not case.of_first_versions)
        yield made.SerializeToString()
    convolution = {"outputChannels": 4, "kernelChannels": 3, "kernelSize": [1, 1], "valid": {}}
    table = {"numberOfBits": 4, "lookupTableQuantization": {"floatValue": noise(16).tobytes()}}
    linear = {"numberOfBits": 8, "linearQuantization": {"scale": noise(4).tobytes(), "bias": noise(4).tobytes()}}
    for stored in (
        {"rawValue": packed(noise(12).astype(int) % 16, 4), "quantization": table},
        {"rawValue": bytes(range(12)), "quantization": linear},
        {"float16Value": noise(12).astype("<f2").tobytes()},
    ):
        kernels = layer("convolution", makes="c", **convolution)
        fill(kernels.convolution.weights, stored)
        scores = layer("innerProduct", "c", "s", inputChannels=120, outputChannels=3, weights=noise(3, 120))
        classes = {"stringClassLabels": {"vector": ["cat", "dog", "emu"]}, "labelProbabilityLayerName": "y"}
        scaler = [{"featureName": "x", "scaler": {"channelScale": 0.5, "redBias": -1.0}}]
        made = model(
            [kernels, scores, layer("softmax", "s", "y")], [image("x", 5, 6)],
            kind="neuralNetworkClassifier", preprocessing=scaler, **classes,
        )  # fmt: skip
        yield made.SerializeToString()
    for entry, _ in REFUSED[:8]:
        yield model([entry], [IMAGE], exact=True).SerializeToString()


def words() -> Sequence[str]:
    """Names of tensors: all else is told by numbers."""
    return ["x0", "x1", "y0", "y1", "x", "y", "c", "s", "", "cat", "a name\nin two lines", "\x1b[31m"]


TARGET = Target("coreml", "net.mlmodel", seeds, words)

if __name__ == "__main__":
    main(TARGET)
