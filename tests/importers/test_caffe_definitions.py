"""Layer types that OpenCV lacks or gets wrong, against slow re-implementations of what Caffe computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
from onnxray.importers import caffe
from tiny_caffe import layer

IMAGE = (2, 3, 9, 8)
Array = np.ndarray


def outputs(
    folder: Path, layers: str, image: Array, **others: Array
) -> tuple[dict[str, Array], dict[str, list[Array]]]:
    """(every output, the weights) of a network fed with `data` and other inputs."""
    feeds = {"data": image, **others}
    declared = "\n".join(
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {size}" for size in value.shape)} }}'
        for name, value in feeds.items()
    )
    text, binary = tiny_caffe.write(folder, f"{declared}\n{layers}")
    return tiny_caffe.run(caffe.read(text, binary), feeds), tiny_caffe.random_weights(text)


def check(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * max(float(np.abs(expected).max()), 1e-6))


def lrn(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    y = np.empty_like(x)
    for channel in range(x.shape[1]):
        low, high = max(0, channel - size // 2), channel + size // 2 + 1
        y[:, channel] = x[:, channel] / (k + alpha / size * (x[:, low:high] ** 2).sum(1)) ** beta
    return y


ELEMENTWISE: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "bnll": (layer("BNLL"), lambda x: np.log1p(np.exp(x))),
    "log to base 10": (
        layer("AbsVal", top="s") + layer("Log", "s", log_param="base: 10 scale: 2 shift: 3"),
        lambda x: np.log10(3 + 2 * np.abs(x)),
    ),
    "natural log": (
        layer("AbsVal", top="s") + layer("Log", "s", log_param="shift: 3"),
        lambda x: np.log(3 + np.abs(x)),
    ),
    "threshold": (layer("Threshold", threshold_param="threshold: 0.5"), lambda x: (x > 0.5) * 1.0),
    "clip": (layer("Clip", clip_param="min: -0.5 max: 2"), lambda x: x.clip(-0.5, 2)),
    "swish of 2x": (layer("Swish", swish_param="beta: 2"), lambda x: x / (1 + np.exp(-2 * x))),
    "cube": (layer("Power", power_param="power: 3 shift: 2 scale: -1"), lambda x: (2 - x) ** 3),
    "dropout that does not rescale": (
        layer("Dropout", dropout_param="dropout_ratio: 0.3 scale_train: false"),
        lambda x: x * 0.7,
    ),
    "lrn with k": (layer("LRN", lrn_param="local_size: 3 alpha: 0.5 beta: 0.6 k: 2"), lambda x: lrn(x, 3, 0.5, 0.6, 2)),
    "sum from an axis": (layer("Reduction", reduction_param="axis: 1"), lambda x: x.sum((1, 2, 3))),
    "mean": (layer("Reduction", reduction_param="operation: MEAN axis: 2 coeff: 2"), lambda x: 2 * x.mean((2, 3))),
    "sum of absolutes": (layer("Reduction", reduction_param="operation: ASUM axis: 3"), lambda x: np.abs(x).sum(3)),
    "sum of squares of all": (layer("Reduction", reduction_param="operation: SUMSQ"), lambda x: (x**2).sum()),
    "tile": (layer("Tile", tile_param="axis: 2 tiles: 3"), lambda x: np.tile(x, (1, 1, 3, 1))),
    "nearest": (layer("Upsample", upsample_param="scale: 2"), lambda x: x.repeat(2, 2).repeat(2, 3)),
    "statistics of the batch": (
        layer("BatchNorm", batch_norm_param="use_global_stats: false eps: 0.1"),
        lambda x: (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 0.1),
    ),
    "reshape that joins the batch": (
        layer("Reshape", reshape_param="shape { dim: -1 dim: 8 }"),
        lambda x: x.reshape(-1, 8),
    ),
    "flatten all": (layer("Flatten", flatten_param="axis: 0"), lambda x: x.reshape(-1)),
    "flatten with the batch": (layer("Flatten", flatten_param="axis: 0 end_axis: 1"), lambda x: x.reshape(-1, 9, 8)),
    "broadcast scale": (
        layer("Pooling", top="s", pooling_param="pool: AVE global_pooling: true")
        + layer("Flatten", "s", "f")
        + layer("Scale", "data,f", scale_param="axis: 0"),
        lambda x: x * x.mean((2, 3), keepdims=True),
    ),
    "broadcast bias": (
        layer("Pooling", top="s", pooling_param="pool: AVE global_pooling: true")
        + layer("Flatten", "s", "f")
        + layer("Bias", "data,f", bias_param="axis: 0"),
        lambda x: x + x.mean((2, 3), keepdims=True),
    ),
    "axpy": (
        layer("Pooling", top="a", pooling_param="pool: AVE global_pooling: true")
        + layer("ReLU", top="r")
        + layer("Axpy", "a,data,r"),
        lambda x: x.mean((2, 3), keepdims=True) * x + x.clip(0),
    ),
    "cropped interpolation": (
        layer("Interp", interp_param="pad_beg: -1 pad_end: -2 height: 6 width: 5"),
        lambda x: x[:, :, 1:-2, 1:-2],
    ),
    "shrunk interpolation": (layer("Interp", interp_param="shrink_factor: 2"), lambda x: _corners(x, 5, 4)),
    "crop of nothing": (layer("ReLU", top="r") + layer("Crop", "data,r"), lambda x: x),
}


def _corners(x: Array, height: int, width: int) -> Array:
    """Bilinear interpolation that keeps the corners."""
    rows = np.linspace(0, x.shape[2] - 1, height)
    columns = np.linspace(0, x.shape[3] - 1, width)
    y = np.empty((*x.shape[:2], height, width))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            top, left = min(int(row), x.shape[2] - 2), min(int(column), x.shape[3] - 2)
            down, right = row - top, column - left
            upper = x[:, :, top, left] * (1 - right) + x[:, :, top, left + 1] * right
            lower = x[:, :, top + 1, left] * (1 - right) + x[:, :, top + 1, left + 1] * right
            y[:, :, i, j] = upper * (1 - down) + lower * down
    return y


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_without_weights(name: str, tmp_path: Path) -> None:
    layers, definition = ELEMENTWISE[name]
    image = tiny_caffe.noise(IMAGE, spread=1.5)
    found, _ = outputs(tmp_path, layers, image)
    check(found["out"], np.asarray(definition(image.astype(np.float64))))


def test_transposed_inner_product(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    found, weights = outputs(
        tmp_path, layer("InnerProduct", inner_product_param="num_output: 5 transpose: true"), image
    )
    matrix, bias = weights["out"]
    check(found["out"], image.reshape(2, -1) @ matrix.reshape(216, 5) + bias)


def test_transposed_inner_product_of_an_axis(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    param = "num_output: 5 transpose: true axis: 2"
    found, weights = outputs(tmp_path, layer("InnerProduct", inner_product_param=param), image)
    matrix, bias = weights["out"]
    check(found["out"], image.reshape(2, 3, -1) @ matrix + bias)


def test_bias_and_segnet_batch_norm(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    layers = layer("Bias", top="b") + layer("BN", "b", bn_param="bn_mode: INFERENCE")
    found, weights = outputs(tmp_path, layers, image)
    across = (1, 3, 1, 1)
    biased = image + weights["b"][0].reshape(across)
    check(found["out"], biased * weights["out"][0].reshape(across) + weights["out"][1].reshape(across))


def test_batch_norm_of_pspnet(tmp_path: Path) -> None:
    """Four blobs: scale, shift, mean, variance."""
    scale, shift, mean, variance = (tiny_caffe.noise((1, 3, 1, 1), seed) ** 2 for seed in range(4))
    weights = {"out": [scale, shift, mean, variance]}
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(layer("BN"), IMAGE), weights)
    image = tiny_caffe.noise(IMAGE)
    expected = (image - mean) / np.sqrt(variance + 1e-5) * scale + shift
    check(tiny_caffe.run(proto, {"data": image})["out"], expected)


def test_batch_norm_with_divisor_zero(tmp_path: Path) -> None:
    """A net that never trained: Caffe takes both statistics as zero."""
    ones = np.ones(3, np.float32)
    weights = {"out": [ones, ones, np.zeros(1, np.float32)]}
    prototxt = tiny_caffe.deploy(layer("BatchNorm", batch_norm_param="eps: 0.25"), IMAGE)
    image = tiny_caffe.noise(IMAGE)
    found = tiny_caffe.run(tiny_caffe.convert(tmp_path, prototxt, weights), {"data": image})["out"]
    check(found, image / 0.5)


def test_embed(tmp_path: Path) -> None:
    words = np.array([[3, 0, 6], [1, 1, 2]], np.float32)
    found, weights = outputs(tmp_path, layer("Embed", embed_param="num_output: 4 input_dim: 7"), words)
    table, bias = weights["out"]
    check(found["out"], table[words.astype(int)] + bias)


def test_batch_reindex(tmp_path: Path) -> None:
    image, rows = tiny_caffe.noise(IMAGE), np.array([1, 0, 0, 1], np.float32)
    found, _ = outputs(tmp_path, layer("BatchReindex", "data,rows"), image, rows=rows)
    check(found["out"], image[[1, 0, 0, 1]])


def test_learned_parameter(tmp_path: Path) -> None:
    layers = layer("Parameter", "", "p", parameter_param="shape { dim: 2 dim: 3 dim: 9 dim: 8 }")
    image = tiny_caffe.noise(IMAGE)
    found, weights = outputs(tmp_path, layers + layer("Eltwise", "data,p"), image)
    check(found["out"], image + weights["p"][0])


@pytest.mark.parametrize("top_k", [1, 3])
def test_arg_max(top_k: int, tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    layers = [
        layer("ArgMax", top="place", argmax_param=f"top_k: {top_k}"),
        layer("ArgMax", top="both", argmax_param=f"top_k: {top_k} out_max_val: true"),
        layer("ArgMax", top="along", argmax_param=f"top_k: {top_k} axis: 1"),
        layer("ArgMax", top="values", argmax_param=f"top_k: {top_k} axis: -1 out_max_val: true"),
    ]
    found, _ = outputs(tmp_path, "\n".join(layers), image)
    flat = image.reshape(2, -1)
    order = np.argsort(-flat, 1)[:, :top_k]
    check(found["place"], order[:, None, :].astype(float))
    check(found["both"], np.stack([order, np.take_along_axis(flat, order, 1)], 1))
    check(found["along"], np.argsort(-image, 1)[:, :top_k].astype(float))
    check(found["values"], -np.sort(-image, 3)[..., :top_k])


def test_equal_slices(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    found, _ = outputs(tmp_path, layer("Slice", "data", "a,b,c", name="cut"), image)
    for channel, name in enumerate("abc"):
        check(found[name], image[:, channel : channel + 1])


def test_slices_of_the_batch_fix_it(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    found, _ = outputs(tmp_path, layer("Slice", "data", "a,b", name="cut", slice_param="axis: 0"), image)
    check(found["b"], image[1:])


def test_three_dimensional_convolution(tmp_path: Path) -> None:
    volume = tiny_caffe.noise((1, 2, 5, 6, 7))
    param = "num_output: 4 kernel_size: 3 pad: 1 stride: 2"
    found, weights = outputs(tmp_path, layer("Convolution", convolution_param=param), volume)
    weight, bias = weights["out"]
    padded = np.pad(volume, ((0, 0), (0, 0), (1, 1), (1, 1), (1, 1)))
    expected = np.empty((1, 4, 3, 3, 4))
    for z, y, x in np.ndindex(3, 3, 4):
        window = padded[0, :, 2 * z : 2 * z + 3, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
        expected[0, :, z, y, x] = (weight * window).sum((1, 2, 3, 4)) + bias
    check(found["out"], expected)


def test_depthwise_of_the_other_name(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    param = "num_output: 3 kernel_size: 3 bias_term: false"
    found, weights = outputs(tmp_path, layer("DepthwiseConvolution", convolution_param=param), image)
    expected = np.zeros((2, 3, 7, 6))
    for dy, dx in np.ndindex(3, 3):
        expected += image[:, :, dy : dy + 7, dx : dx + 6] * weights["out"][0][:, 0, dy, dx].reshape(1, 3, 1, 1)
    check(found["out"], expected)


def max_pool(image: Array, kernel: int = 2, stride: int = 2) -> tuple[Array, Array]:
    """(maxima, their places within each plane), rounded up as Caffe does."""
    height, width = (-(-(size - kernel) // stride) + 1 for size in image.shape[2:])
    pooled, mask = np.empty((*image.shape[:2], height, width)), np.empty((*image.shape[:2], height, width), int)
    for n, c, y, x in np.ndindex(pooled.shape):
        window = image[n, c, y * stride : y * stride + kernel, x * stride : x * stride + kernel]
        row, column = np.unravel_index(window.argmax(), window.shape)
        pooled[n, c, y, x] = window.max()
        mask[n, c, y, x] = (y * stride + row) * image.shape[3] + x * stride + column
    return pooled, mask


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("Upsample", {"upsample_param": "scale: 2 upsample_h: 9 upsample_w: 8"}),
        ("Upsample", {"upsample_param": "scale: 2 pad_out_h: true"}),
        ("Unpooling", {"unpooling_param": "unpool: MAX kernel_size: 2 stride: 2 output_h: 9 output_w: 8"}),
    ],
)
def test_unpooling_by_the_mask_of_a_pooling(kind: str, params: dict[str, str], tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    layers = [
        layer("Pooling", "data", "pooled,mask", name="pool", pooling_param="kernel_size: 2 stride: 2"),
        layer("Power", "pooled", "negated", power_param="scale: -1"),
        layer(kind, "negated,mask", **params),
    ]
    found, _ = outputs(tmp_path, "\n".join(layers), image)
    pooled, mask = max_pool(image)
    expected = np.zeros((2, 3, 72))
    for n, c in np.ndindex(2, 3):
        expected[n, c, mask[n, c].ravel()] = -pooled[n, c].ravel()
    check(found["out"], expected.reshape(IMAGE))


def test_the_mask_itself_counts_within_each_plane(tmp_path: Path) -> None:
    image = tiny_caffe.noise(IMAGE)
    layers = layer("Pooling", "data", "pooled,mask", name="pool", pooling_param="kernel_size: 3 stride: 2")
    found, _ = outputs(tmp_path, layers, image)
    pooled, mask = max_pool(image, 3, 2)
    check(found["pooled"], pooled)
    check(found["mask"], mask.astype(float))


@pytest.mark.parametrize("size", [(13, 13), (12, 17)])
def test_spatial_pyramid(size: Sequence[int], tmp_path: Path) -> None:
    image = tiny_caffe.noise((2, 3, *size))
    found, _ = outputs(tmp_path, layer("SPP", spp_param="pyramid_height: 3"), image)
    parts = []
    for bins in (1, 2, 4):
        kernel = [-(-side // bins) for side in size]
        pad = [(k * bins - side + 1) // 2 for k, side in zip(kernel, size, strict=True)]
        level = np.empty((2, 3, bins, bins))
        for y, x in np.ndindex(bins, bins):
            rows = slice(max(y * kernel[0] - pad[0], 0), (y + 1) * kernel[0] - pad[0])
            columns = slice(max(x * kernel[1] - pad[1], 0), (x + 1) * kernel[1] - pad[1])
            level[:, :, y, x] = image[:, :, rows, columns].max((2, 3))
        parts.append(level.reshape(2, -1))
    check(found["out"], np.concatenate(parts, 1))


def psroi(features: Array, rois: Array, scale: float, grid: int, depth: int) -> Array:
    """The loops of R-FCN's layer."""
    _, _, height, width = features.shape
    pooled = np.zeros((len(rois), depth, grid, grid))
    for r, (image, *box) in enumerate(rois):
        x1, y1, x2, y2 = (np.floor(side + 0.5 + (index > 1)) * scale for index, side in enumerate(box))
        bin_h, bin_w = max(y2 - y1, 0.1) / grid, max(x2 - x1, 0.1) / grid
        for c, y, x in np.ndindex(depth, grid, grid):
            rows = np.clip([np.floor(y * bin_h + y1), np.ceil((y + 1) * bin_h + y1)], 0, height).astype(int)
            columns = np.clip([np.floor(x * bin_w + x1), np.ceil((x + 1) * bin_w + x1)], 0, width).astype(int)
            cell = features[int(image), (c * grid + y) * grid + x, slice(*rows), slice(*columns)]
            pooled[r, c, y, x] = cell.mean() if cell.size else 0
    return pooled


def test_position_sensitive_roi_pooling(tmp_path: Path) -> None:
    features = tiny_caffe.noise((2, 18, 12, 16))
    rois = np.array([[0, 0, 0, 31, 23], [1, 3, 5, 20, 9], [0, 7, 7, 8, 8], [1, 40, 30, 60, 50]], np.float32)
    param = "spatial_scale: 0.5 output_dim: 2 group_size: 3"
    found, _ = outputs(tmp_path, layer("PSROIPooling", "data,rois", psroi_pooling_param=param), features, rois=rois)
    check(found["out"], psroi(features.astype(np.float64), rois, 0.5, 3, 2))
