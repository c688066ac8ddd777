"""Each layer type, small, against OpenCV's own Caffe reader of the same two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
from onnxray.importers import caffe
from tiny_caffe import layer

IMAGE = (1, 3, 9, 8)

CONVOLUTIONS = {
    "stride and pad": "num_output: 4 kernel_size: 3 pad: 1 stride: 2",
    "groups and dilation": "num_output: 6 kernel_size: 3 group: 3 dilation: 2",
    "rectangular": "num_output: 6 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 stride_h: 2 stride_w: 1 bias_term: false",
    "a number an axis": "num_output: 6 kernel_size: 1 kernel_size: 3 pad: 0 pad: 1",
    "explicit ones": "num_output: 2 kernel_size: 3 stride: 2 pad: 1 dilation: 1 group: 1",
}

DECONVOLUTIONS = {
    "plain": "num_output: 4 kernel_size: 4 pad: 1 stride: 2",
    "a channel each": "num_output: 3 group: 3 kernel_size: 4 pad: 1 stride: 2 bias_term: false",
    "rectangular": "num_output: 2 kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 3",
}

# kernel, stride, pad, height: windows that end exactly, overhang, or would start in the padding
WINDOWS = [
    (2, 2, 0, 9),
    (3, 2, 0, 8),
    (3, 2, 0, 9),
    (3, 2, 1, 8),
    (3, 2, 1, 9),
    (3, 3, 1, 10),
    (2, 3, 1, 7),
    (5, 2, 2, 11),
]

LAYERS = {
    "global max": layer("Pooling", pooling_param="pool: MAX global_pooling: true"),
    "global average": layer("Pooling", pooling_param="pool: AVE global_pooling: true"),
    "rectangular pooling": layer(
        "Pooling", pooling_param="pool: AVE kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1"
    ),
    "floor pooling": layer("Pooling", pooling_param="pool: MAX kernel_size: 2 stride: 2 ceil_mode: false"),
    "inner product": layer("InnerProduct", inner_product_param="num_output: 5"),
    "inner product of an axis": layer("InnerProduct", inner_product_param="num_output: 5 axis: 2 bias_term: false"),
    "inner product of the last axis": layer("InnerProduct", inner_product_param="num_output: 5 axis: -1"),
    "relu": layer("ReLU"),
    "leaky relu": layer("ReLU", relu_param="negative_slope: 0.1"),
    "prelu": layer("PReLU"),
    "prelu, one slope": layer("PReLU", prelu_param="channel_shared: true"),
    "elu": layer("ELU"),
    "relu6": layer("ReLU6"),
    "sigmoid": layer("Sigmoid"),
    "tanh": layer("TanH"),
    "absolute": layer("AbsVal"),
    "square": layer("Power", power_param="power: 2 scale: 0.5 shift: 1"),
    "affine": layer("Power", power_param="scale: 0.5 shift: 1"),
    "scaled": layer("Power", power_param="scale: 0.5"),
    "exponential of 2": layer("Exp", exp_param="base: 2 scale: 0.3 shift: 1"),
    "exponential": layer("Exp", exp_param="scale: 0.1 shift: -1"),
    "swish": layer("Swish"),
    "lrn across": layer("LRN", lrn_param="local_size: 3 alpha: 0.5 beta: 0.75"),
    "lrn within": layer("LRN", lrn_param="local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL"),
    "batch norm": layer("BatchNorm", batch_norm_param="eps: 0.01"),
    "scale": layer("Scale"),
    "scale and bias": layer("Scale", scale_param="bias_term: true"),
    "mvn": layer("MVN"),
    "mvn of the image": layer("MVN", mvn_param="across_channels: true normalize_variance: false"),
    "normalize": layer("Normalize", norm_param="across_spatial: false channel_shared: false"),
    "normalize the image": layer("Normalize", norm_param="across_spatial: true channel_shared: true"),
    "dropout": layer("Dropout"),
    "concat": layer("ReLU", top="r") + layer("Concat", "data,r", concat_param="axis: 2"),
    "weighted sum": layer("ReLU", top="r")
    + layer("Eltwise", "data,r,data", eltwise_param="coeff: 1 coeff: -0.5 coeff: 2"),
    "product": layer("Sigmoid", top="r") + layer("Eltwise", "data,r", eltwise_param="operation: PROD"),
    "maximum": layer("Sigmoid", top="r") + layer("Eltwise", "data,r", eltwise_param="operation: MAX"),
    "crop": layer("Pooling", top="c", pooling_param="kernel_size: 3")
    + layer("Crop", "data,c", crop_param="axis: 2 offset: 1 offset: 2"),
    "flatten": layer("Flatten"),
    "flatten the image": layer("Flatten", flatten_param="axis: 2"),
    "flatten the middle": layer("Flatten", flatten_param="axis: 1 end_axis: 2"),
    "reshape": layer("Reshape", reshape_param="shape { dim: 0 dim: -1 dim: 4 }"),
    "reshape with a fixed batch": layer("Reshape", reshape_param="shape { dim: 1 dim: 3 dim: -1 }"),
    "reshape of an axis": layer("Reshape", reshape_param="shape { dim: 2 dim: -1 } axis: 3 num_axes: 1"),
    "permute": layer("Permute", permute_param="order: 0 order: 2 order: 3 order: 1"),
    "softmax": layer("Softmax"),
    "softmax of the rows": layer("Softmax", softmax_param="axis: 2"),
    "interpolate": layer("Interp", interp_param="height: 13 width: 15"),
    "zoom": layer("Interp", interp_param="zoom_factor: 2"),
    "split": layer("Split", "data", "a,b", name="sp") + layer("Eltwise", "a,b", eltwise_param="operation: SUM"),
    "prior boxes": layer("Pooling", top="c", pooling_param="kernel_size: 3 stride: 2")
    + layer(
        "PriorBox",
        "c,data",
        prior_box_param="min_size: 4 max_size: 6 aspect_ratio: 2 aspect_ratio: 3 flip: true clip: true "
        "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 offset: 0.5",
    ),
    "prior boxes with a step": layer("Pooling", top="c", pooling_param="kernel_size: 3 stride: 2")
    + layer(
        "PriorBox",
        "c,data",
        prior_box_param="min_size: 2 min_size: 4 aspect_ratio: 2 flip: false clip: false step: 3 variance: 0.1",
    ),
}
LAYERS |= {f"convolution, {name}": layer("Convolution", convolution_param=p) for name, p in CONVOLUTIONS.items()}
LAYERS |= {f"deconvolution, {name}": layer("Deconvolution", convolution_param=p) for name, p in DECONVOLUTIONS.items()}
LAYERS["depthwise"] = layer("ConvolutionDepthwise", convolution_param="num_output: 3 kernel_size: 3 pad: 1")


def check(folder: Path, layers: str, shape: tuple[int, ...] = IMAGE, *, top: str = "out") -> None:
    """The output `top` is OpenCV's, within 1e-5 of its range; and three images give thrice what one gives."""
    text, binary = tiny_caffe.write(folder, tiny_caffe.deploy(layers, shape))
    proto = caffe.read(text, binary)
    image = tiny_caffe.noise(shape)
    [[expected, *_]] = tiny_caffe.opencv(text, binary, {"data": image}, [top])
    found = tiny_caffe.run(proto, {"data": image})[top]
    assert found.size == expected.size
    span = max(float(np.ptp(expected)), 1e-6)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=1e-5 * span)
    # `found` against the batch of three: not for results that do not depend on the images
    thrice = tiny_caffe.run(proto, {"data": np.concatenate([image, image[:, ::-1], image])})[top]
    if thrice.shape[0] == 3:
        np.testing.assert_allclose(thrice[2:], found, rtol=0, atol=1e-5 * span)
        assert np.abs(thrice[1] - thrice[0]).max() > 0


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str, tmp_path: Path) -> None:
    check(tmp_path, LAYERS[name])


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(("kernel", "stride", "pad", "height"), WINDOWS)
def test_pooling_window(method: str, kernel: int, stride: int, pad: int, height: int, tmp_path: Path) -> None:
    param = f"pool: {method} kernel_size: {kernel} stride: {stride} pad: {pad}"
    check(tmp_path, layer("Pooling", pooling_param=param), (1, 3, height, height + 1))


def test_grouped_deconvolution_of_several_channels(tmp_path: Path) -> None:
    param = "num_output: 6 group: 2 kernel_size: 3 stride: 2"
    check(tmp_path, layer("Deconvolution", convolution_param=param), (1, 4, 5, 6))


def test_shuffle_channel(tmp_path: Path) -> None:
    check(tmp_path, layer("ShuffleChannel", shuffle_channel_param="group: 2"), (1, 6, 4, 4))


@pytest.mark.parametrize("points", ["slice_point: 3", "slice_point: 2 slice_point: 7"])
def test_slice(points: str, tmp_path: Path) -> None:
    names = ["a", "b", "c"][: points.count("point") + 1]
    layers = layer("Slice", "data", ",".join(names), name="cut", slice_param=f"axis: 2 {points}")
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layers, IMAGE))
    image = tiny_caffe.noise(IMAGE)
    [expected] = tiny_caffe.opencv(text, binary, {"data": image}, ["cut"])
    found = tiny_caffe.run(caffe.read(text, binary), {"data": image})
    assert len(expected) == len(names)
    for name, part in zip(names, expected, strict=True):
        np.testing.assert_array_equal(found[name], part)


def test_roi_pooling(tmp_path: Path) -> None:
    prototxt = (
        'input: "data" input_shape { dim: 1 dim: 3 dim: 12 dim: 16 } input: "rois" input_shape { dim: 4 dim: 5 }\n'
        + layer("ROIPooling", "data,rois", roi_pooling_param="pooled_h: 3 pooled_w: 2 spatial_scale: 0.5")
    )
    text, binary = tiny_caffe.write(tmp_path, prototxt)
    rois = np.array([[0, 0, 0, 31, 23], [0, 3, 5, 20, 9], [0, 7, 7, 8, 8], [0, 11, 1, 30, 22]], np.float32)
    feeds = {"data": tiny_caffe.noise((1, 3, 12, 16)), "rois": rois}
    [[expected]] = tiny_caffe.opencv(text, binary, feeds, ["out"])
    proto = caffe.read(text, binary)
    found = tiny_caffe.run(proto, feeds)["out"]
    np.testing.assert_array_equal(found, expected)
    fewer = tiny_caffe.run(proto, {**feeds, "rois": rois[1:3]})["out"]  # as many regions as one likes
    np.testing.assert_array_equal(fewer, expected[1:3])
