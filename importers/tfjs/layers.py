"""What TensorFlow.js models may hold: the layers of one kind, the operators of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..keras.layers import layer_functions as keras_layers
from ..tensorflow.operators import operator_functions as tensorflow_operators
from .fused import FUSED, unfused


def layer_functions() -> dict[str, Callable[..., Any]]:
    """Layer of a layers-model or operator of a graph-model -> function."""
    return {**keras_layers(), **tensorflow_operators(), **dict.fromkeys(FUSED, unfused)}
