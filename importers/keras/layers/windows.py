"""Windows that slide over the sides of a tensor: where Keras lets them begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...graph_builder import Dim
from ...same_padding import same_padding
from ..layer_writer import LayerWriter


def window(
    layer: LayerWriter,
    sides: Sequence[Dim],  # of the input
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int] | None = None,
    default: str = "valid",
) -> dict[str, Any]:
    """ONNX's attributes for the layer's kernel, strides, dilation and `padding`."""
    found: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(strides)}
    if not all((*kernel, *strides, *(dilations or ()))):
        raise layer.error(f"expected sizes of at least 1, found kernel {list(kernel)}, strides {list(strides)}")
    if dilations is not None:
        found["dilations"] = list(dilations)
    spread = [(size - 1) * step + 1 for size, step in zip(kernel, dilations or [1] * len(kernel), strict=True)]
    padding = layer.option("padding", default)
    if padding == "valid":
        return found
    if padding == "causal" and len(kernel) == 1:
        return {**found, "pads": [spread[0] - 1, 0]}
    if padding != "same":
        raise layer.error(f"padding {padding} is not supported")
    pads = [_same(side, size, stride) for side, size, stride in zip(sides, spread, strides, strict=True)]
    known = [pair for pair in pads if pair is not None]
    if len(known) == len(pads):
        return {**found, "pads": [before for before, _ in known] + [after for _, after in known]}
    if any(step != 1 for step in dilations or ()) or any(
        size < stride for size, stride in zip(spread, strides, strict=True)
    ):  # which onnxruntime cannot pad by itself
        raise layer.error("needs the size of its input, which the file leaves open, to know its padding")
    return {**found, "auto_pad": "SAME_UPPER"}


def _same(side: Dim, size: int, stride: int) -> tuple[int, int] | None:
    """Zeros before and after; None: `side` is needed, which the file leaves open."""
    if stride == 1 or size == 1:
        return same_padding(size, 1, size)  # of any side
    return same_padding(side, stride, size) if isinstance(side, int) else None
