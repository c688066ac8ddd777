"""Convolutions of one to three axes: plain, grouped, dilated, depthwise, separable and transposed."""

from __future__ import annotations

import numpy as np

from ..layer_writer import LayerWriter
from ..weights import old_kernel
from .activation import end_in_activation
from .windows import window


def _kernel(layer: LayerWriter, role: str, axes: int) -> np.ndarray:
    scope = layer.scope
    kernel = layer.array(role)
    kernel = old_kernel(layer.layer, kernel, of_keras_1=scope.version == 1, flipped=scope.flipped)
    if kernel.ndim != axes + 2 or 0 in kernel.shape:
        raise layer.error(f"expected a {role} of {axes + 2} axes, found {list(kernel.shape)}")
    return kernel


def _bias(layer: LayerWriter, count: int) -> list[str]:
    if not layer.has("bias"):
        return []
    name = layer.weight("bias", lambda: layer.array("bias").reshape(-1))
    found = layer.graph.shape(name)
    if found != (count,):
        raise layer.error(f"expected a bias of {count} numbers, found {list(found)}")
    return [name]


def _check_channels(layer: LayerWriter, x: str, wanted: int) -> None:
    channels = layer.graph.shape(x)[1]
    if isinstance(channels, int) and channels != wanted:
        raise layer.error(f"its weights are for {wanted} input channels, the input has {channels}")


def convolution(layer: LayerWriter) -> None:
    """Conv1D, Conv2D, Conv3D: kernel [*sides, channels in / groups, channels out]."""
    x = layer.spatial()
    axes = len(layer.shape()) - 2
    kernel, groups = _kernel(layer, "kernel", axes), layer.option("groups", 1)
    _check_channels(layer, x, kernel.shape[-2] * groups)
    weight = layer.weight("kernel", lambda: kernel.transpose(axes + 1, axes, *range(axes)))
    strides, dilations = layer.per_axis("strides", axes, 1), layer.per_axis("dilation_rate", axes, 1)
    attributes = window(layer, layer.graph.shape(x)[2:], kernel.shape[:axes], strides, dilations)
    end_in_activation(layer)
    layer.emit("Conv", [x, weight, *_bias(layer, kernel.shape[-1])], group=groups, **attributes)


def depthwise(layer: LayerWriter) -> None:
    """DepthwiseConv1D, DepthwiseConv2D: kernel [*sides, channels in, results a channel]."""
    x, weight, attributes = _depthwise(layer, "kernel")
    end_in_activation(layer)
    layer.emit("Conv", [x, weight, *_bias(layer, _outputs(layer, weight))], **attributes)


def separable(layer: LayerWriter) -> None:
    """SeparableConv1D, SeparableConv2D: each channel on its own, then a 1 x 1 convolution."""
    x, weight, attributes = _depthwise(layer, "depthwise_kernel")
    inner = layer.add("depthwise", "Conv", [x, weight], **attributes)
    axes = len(layer.shape()) - 2
    kernel = _kernel(layer, "pointwise_kernel", axes)
    _check_channels(layer, inner, kernel.shape[-2])
    pointwise = layer.weight("pointwise_kernel", lambda: kernel.transpose(axes + 1, axes, *range(axes)))
    end_in_activation(layer)
    layer.emit("Conv", [inner, pointwise, *_bias(layer, kernel.shape[-1])], kernel_shape=[1] * axes)


def _depthwise(layer: LayerWriter, role: str) -> tuple[str, str, dict[str, object]]:
    """(input, weight, attributes) of the part that is a channel at a time."""
    x = layer.spatial()
    axes = len(layer.shape()) - 2
    kernel = _kernel(layer, role, axes)
    sides, channels, results = kernel.shape[:axes], kernel.shape[-2], kernel.shape[-1]
    _check_channels(layer, x, channels)

    def made() -> np.ndarray:
        return kernel.transpose(axes, axes + 1, *range(axes)).reshape(channels * results, 1, *sides)

    strides, dilations = layer.per_axis("strides", axes, 1), layer.per_axis("dilation_rate", axes, 1)
    attributes = window(layer, layer.graph.shape(x)[2:], sides, strides, dilations)
    return x, layer.weight(role, made), {"group": channels, **attributes}


def _outputs(layer: LayerWriter, weight: str) -> int:
    return layer.sizes(layer.graph.shape(weight)[:1])[0]


def transposed(layer: LayerWriter) -> None:
    """Conv1DTranspose to Conv3DTranspose: kernel [*sides, channels out, channels in]."""
    x = layer.spatial()
    axes = len(layer.shape()) - 2
    kernel = _kernel(layer, "kernel", axes)
    if layer.option("groups", 1) != 1:
        raise layer.error("groups of a transposed convolution are not supported")
    _check_channels(layer, x, kernel.shape[-1])
    weight = layer.weight("kernel", lambda: kernel.transpose(axes + 1, axes, *range(axes)))
    strides, dilations = layer.per_axis("strides", axes, 1), layer.per_axis("dilation_rate", axes, 1)
    extra = layer.per_axis("output_padding", axes) if layer.option("output_padding") is not None else [None] * axes
    cut = [
        _cut(layer, (size - 1) * dilation + 1, stride, more)
        for size, dilation, stride, more in zip(kernel.shape[:axes], dilations, strides, extra, strict=True)
    ]
    end_in_activation(layer)
    layer.emit(
        "ConvTranspose",
        [x, weight, *_bias(layer, kernel.shape[-2])],
        kernel_shape=list(kernel.shape[:axes]),
        strides=strides,
        dilations=dilations,
        pads=[before for before, _ in cut] + [max(after, 0) for _, after in cut],
        output_padding=[max(-after, 0) for _, after in cut],
    )


def _cut(layer: LayerWriter, size: int, stride: int, extra: int | None) -> tuple[int, int]:
    """What is cut off the full result of (side - 1) * stride + size before and after; less than 0: added to it.

    As the gradient of a convolution whose `side * stride` inputs were padded alike, the odd one after.
    """
    padding = layer.option("padding", "valid")
    if padding == "valid":
        return 0, -(max(stride - size, 0) if extra is None else extra)
    if padding != "same":
        raise layer.error(f"padding {padding} is not supported")
    total = size - stride if extra is None else size - size % 2 - extra
    before = max(total // 2, 0)
    return before, total - before


LAYERS = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), transposed),
}
