"""Masks: which steps of a sequence count, [N, steps] of true and false beside the sequence itself.

Masking and Embedding make them, recurrent layers, attention and GlobalAveragePooling1D read them, and what lies
between hands them on, or, where a layer is not made for it, drops them. Keras 3 notes some of this as operations and
arguments of calls; the rest, and all of it in older files, is implied by the layers' types and done here.
"""

from __future__ import annotations

import onnx

from .layer_writer import OTHER_MASK, LayerWriter
from .layers import DROPPED

_MERGES = frozenset({"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"})
# What hands the mask of its first input on to its first result.
_CARRIERS = frozenset(
    {
        "Activation",
        "AdditiveAttention",
        "Attention",
        "BatchNormalization",
        "Dense",
        "ELU",
        "GroupNormalization",
        "LayerNormalization",
        "LeakyReLU",
        "MultiHeadAttention",
        "Normalization",
        "PReLU",
        "ReLU",
        "Rescaling",
        "Softmax",
        "ThresholdedReLU",
        "TimeDistributed",
        "UnitNormalization",
    }
)
# What has an argument `mask` that changes nothing, or only in training.
IGNORE_MASKS = frozenset({"BatchNormalization", "TimeDistributed"})
_OF_STEPS = frozenset({"Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN"})


def hand_on(layer: LayerWriter) -> None:
    """Note the mask of a layer's first result, after the layer was written; one that makes a mask has done so."""
    masks = layer.scope.masks
    if not layer.results or layer.results[0] in masks or not layer.inputs:
        return
    mask = _handed_on(layer)
    if mask is not None:
        masks[layer.results[0]] = mask


def _handed_on(layer: LayerWriter) -> str | None:
    first = layer.scope.masks.get(layer.inputs[0])
    if layer.type in _OF_STEPS:
        options = layer.layer.wrapped[0].config if layer.layer.wrapped else layer.layer.config
        return first if options.get("return_sequences") else None
    if layer.type in _MERGES:
        return _merged(layer)
    return first if layer.type in _CARRIERS | DROPPED else None


def _merged(layer: LayerWriter) -> str | None:
    """Keras 3: a step counts if it does in any input; before: in all of them that have a mask."""
    masks = layer.scope.masks
    found = [masks[name] for name in layer.inputs if name in masks]
    if not found or OTHER_MASK in found:
        return OTHER_MASK if found else None
    if layer.type == "Concatenate" and layer.option("axis", -1) == 1:
        return _joined(layer)
    newer = layer.scope.version >= 3
    if newer and len(found) < len(layer.inputs):
        return None
    mask = found[0]
    for number, other in enumerate(dict.fromkeys(found[1:])):
        mask = mask if other == mask else layer.add(f"mask_{number}", "Or" if newer else "And", [mask, other])
    return mask


def _joined(layer: LayerWriter) -> str:
    """Sequences one after the other; in those without a mask every step counts."""
    parts = []
    for number, name in enumerate(layer.inputs):
        mask = layer.scope.masks.get(name)
        if mask is None:
            sizes = layer.add(f"sizes_{number}", "Shape", [layer.tensors.last(name)], end=2)
            true = onnx.helper.make_tensor("true", onnx.TensorProto.BOOL, [1], [True])
            mask = layer.add(f"mask_{number}", "ConstantOfShape", [sizes], value=true)
        parts.append(mask)
    return layer.add("mask", "Concat", parts, axis=1)
