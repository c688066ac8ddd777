"""Activations that rectify, for the rules of guided backpropagation and the deconvnet."""

from __future__ import annotations

# Those whose outputs may lie below 0. Swish is SiLU.
NOT_ONLY_POSITIVE = (
    *("LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Gelu", "Swish", "HardSwish", "Mish"),
    *("com.microsoft.Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu"),
)
# ONNX's operators, and Relu6, which is a Clip between 0 and a constant.
RECTIFIERS = ("Relu", "Relu6", "ThresholdedRelu", "Softplus", *NOT_ONLY_POSITIVE)
