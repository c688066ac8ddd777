"""Activations that rectify, for the rules of guided backpropagation and the deconvnet."""

from __future__ import annotations

# ONNX's operators, and Relu6, which is a Clip between 0 and a constant. Swish is SiLU.
RECTIFIERS = (
    *("Relu", "Relu6", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Celu", "Selu", "Softplus"),
    *("Gelu", "Swish", "HardSwish", "Mish"),
    *("com.microsoft.Gelu", "com.microsoft.FastGelu", "com.microsoft.QuickGelu"),
)
