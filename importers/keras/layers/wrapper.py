"""A layer that applies another to each step of a sequence."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from ..network import Layer

# What computes something else where its input has a mask.
READ_MASKS = frozenset(
    {
        "AdditiveAttention",
        "Attention",
        "Bidirectional",
        "ConvLSTM1D",
        "ConvLSTM2D",
        "GlobalAveragePooling1D",
        "GroupedQueryAttention",
        "GRU",
        "LSTM",
        "MultiHeadAttention",
        "RNN",
        "SimpleRNN",
        "Softmax",
    }
)


def _wrapped(layer: LayerWriter) -> Layer:
    """The one layer inside, with its weights."""
    (wrapped,) = layer.layer.wrapped
    wrapped.weights = {role.removeprefix("0/"): path for role, path in layer.layer.weights.items()}
    return wrapped


def spectral_normalization(layer: LayerWriter) -> None:
    """The wrapped layer: training left its kernel divided by the largest singular value."""
    inner = LayerWriter(_wrapped(layer), layer.scope, layer.inputs)
    layer.scope.write(inner)
    layer.passes(inner.results[0])


def time_distributed(layer: LayerWriter) -> None:
    """x [N, T, ...] as [N * T, ...] through the wrapped layer, and back."""
    wrapped = _wrapped(layer)
    inside = wrapped.inner.walk() if wrapped.inner is not None else [wrapped]
    if layer.scope.masks.get(layer.inputs[0]) is not None and any(part.type in READ_MASKS for part in inside):
        raise layer.error("hands its mask on to a layer that reads it, which is not supported")
    steps, *sides = layer.sizes(layer.shape()[1:])
    merged = layer.add("merged", "Reshape", [layer.source(), layer.ints("merged_shape", [-1, *sides])])
    layer.tensors.made_last(merged, merged)
    if wrapped.inner is not None:
        (result,) = layer.scope.run(wrapped.inner, [merged])
    else:
        inner = LayerWriter(wrapped, layer.scope, [merged])
        layer.scope.write(inner)
        (result,) = inner.results
    sizes = layer.sizes(layer.tensors.shape(result)[1:])
    layer.first = False
    layer.emit("Reshape", [layer.tensors.last(result), layer.ints("shape", [-1, steps, *sizes])])


LAYERS = {"SpectralNormalization": spectral_normalization, "TimeDistributed": time_distributed}
