"""Filters as colours, and what kind they are: by construction, against chance, and on real networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from model_specs import load_model
from onnx import numpy_helper
from onnxray import load
from onnxray.engine.structure import gabor
from onnxray.engine.structure.filters import Filters, all_filters, filter_kinds, filters, first_layer, grey_energy
from onnxray.importers.errors import InputError

_SQUEEZENET = "models/derived/squeezenet1.1.onnx"


def _wave(side: int, bars: float, cycles: float, phase: float = 0.7, size: float = 1.6) -> np.ndarray:
    """A Gabor function whose bars rise by `bars` degrees from the horizontal, y upwards."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    x, y = columns, -rows
    across = -x * np.sin(np.radians(bars)) + y * np.cos(np.radians(bars))
    return np.exp(-(x**2 + y**2) / (2 * size**2)) * np.cos(2 * np.pi * cycles * across + phase)


@pytest.mark.parametrize("side", [5, 7, 11])
@pytest.mark.parametrize("bars", [0, 30, 45, 90, 120, 135])
def test_a_gabor_function_is_oriented_as_it_was_made(side: int, bars: float) -> None:
    found = gabor.fit(_wave(side, bars, 0.21, size=side / 4)[None, None])
    assert found.gabor[0] > 0.93
    assert found.oriented[0]
    apart = abs((found.orientation[0] - bars + 90) % 180 - 90)
    assert apart <= 180 / 16
    assert found.frequency[0] == pytest.approx(0.21, abs=0.07)


def test_edges_and_bars_of_3x3() -> None:
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    diagonal = np.array([[0, 1, 2], [-1, 0, 1], [-2, -1, 0]])
    bar = np.array([[-1, 2, -1]] * 3)
    found = gabor.fit(np.stack([sobel, sobel.T, diagonal, diagonal[::-1], bar])[:, None])
    assert found.oriented.all()
    assert found.orientation.tolist() == [90, 0, 135, 45, 90]


@pytest.mark.parametrize("side", [3, 5, 7, 11])
def test_blobs_are_not_oriented(side: int) -> None:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    squared = rows**2 + columns**2
    blobs = np.stack([np.exp(-squared / (2 * (side * part) ** 2)) for part in (0.15, 0.25, 0.35)])
    found = gabor.fit(np.concatenate([blobs, -blobs])[:, None])
    assert not found.oriented.any()
    assert (found.blob > 0.95).all()


@pytest.mark.parametrize(("channels", "side"), [(3, 3), (1, 5), (3, 7)])
def test_chance_is_one_in_a_hundred(channels: int, side: int) -> None:
    noise = np.random.default_rng(99).normal(size=(1000, channels, side, side))  # other noise than the level's own
    assert 0.001 <= gabor.fit(noise).oriented.mean() <= 0.025


def test_r_squared_is_that_of_least_squares() -> None:
    planes = np.random.default_rng(0).normal(size=(4, 1, 3, 3))
    templates, _ = gabor._gabors((3, 3))
    for plane, found in zip(planes, gabor.fit(planes).gabor, strict=True):
        centred = (plane - plane.mean()).reshape(-1)
        residuals = [np.linalg.lstsq(t.T, centred, rcond=None)[1].sum() for t in templates]
        assert found == pytest.approx(1 - min(residuals) / np.square(centred).sum())


def test_orientation_is_seen_in_any_colour() -> None:
    wave = _wave(7, 45, 0.2)
    tinted = np.stack([wave[None] * np.array(colour)[:, None, None] for colour in ([1, 1, 1], [1, -1, 0], [0, 0, 3])])
    found = gabor.fit(tinted)
    assert found.oriented.all()
    np.testing.assert_allclose(found.gabor, found.gabor[0], rtol=1e-5)  # the fit is made in float32


def test_large_kernels_are_averaged_down() -> None:
    found = gabor.fit(_wave(32, 60, 0.05, size=8)[None, None])
    assert found.oriented[0]
    assert abs(found.orientation[0] - 60) <= 180 / 16
    assert found.frequency[0] == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("shape", [(5, 3, 1, 1), (5, 3, 2, 2), (5, 3, 1, 7)])
def test_kernels_too_small_to_tell(shape: tuple[int, ...]) -> None:
    assert not gabor.fit(np.random.default_rng(0).normal(size=shape)).oriented.any()


def test_grey_energy() -> None:
    plane = np.random.default_rng(0).normal(size=(3, 3))
    grey, opponent = np.stack([plane] * 3), np.stack([plane, -plane, 0 * plane])
    red = np.stack([plane, 0 * plane, 0 * plane])
    found = grey_energy(np.stack([grey, opponent, red, 2 * grey + opponent]))
    # the last: along grey 4 * 3 |p|², across it 2 |p|²
    np.testing.assert_allclose(found, [1, 0, 1 / 3, 12 / 14], atol=1e-12)
    noise = np.random.default_rng(1).normal(size=(4000, 3, 3, 3))
    assert grey_energy(noise).mean() == pytest.approx(1 / 3, abs=0.01)


def test_dead_filters_are_of_no_kind() -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    values[1] *= 1e-6
    kinds = filter_kinds(Filters("conv1", "w", "Conv", "weight", "RGB", values))
    assert kinds is not None
    assert kinds.living.tolist() == [True, False, True, True]
    assert not (kinds.grey | kinds.colour | kinds.oriented)[1]
    assert (kinds.grey ^ kinds.colour).tolist() == kinds.living.tolist()
    assert np.isnan(kinds.orientation[1])


def test_filters_that_are_not_finite_are_of_no_kind() -> None:
    values = np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32)
    values[0, 0, 0, 0], values[1, 2, 2, 2] = np.nan, np.inf
    found = Filters("conv1", "w", "Conv", "weight", "RGB", values)
    kinds = filter_kinds(found)
    assert kinds is not None
    assert found.living.tolist() == [True, True, True]
    assert kinds.living.tolist() == [False, False, True]


def test_deeper_layers_have_no_kinds(shared: Callable[[str], Path]) -> None:
    model = load_model(shared, _SQUEEZENET)
    deeper = filters(model, "features.3.expand3x3.weight")
    assert (deeper.channels, deeper.colours, filter_kinds(deeper)) == ("", None, None)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_colours_are_red_first(tmp_path: Path, order: str) -> None:
    proto = tiny_models.model("""
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 3, 8, 8] image) => (float[1, 1, 8, 8] maps) <float[1, 3, 1, 1] w> { maps = Conv (image, w) }
    """)
    red_only = np.array([1, 0, 0] if order == "RGB" else [0, 0, 1], np.float32).reshape(1, 3, 1, 1)
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(red_only, "w"))
    onnx.save(proto, tmp_path / "net.onnx")
    found = filters(load(tmp_path / "net.onnx", channel_order=order))
    assert found.colours is not None
    assert found.colours.tolist() == [[[[1, 0, 0]]]]


def test_the_first_layer_is_found_behind_preprocessing(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 8, 8, 3] image, float[1, 3, 8, 8] other) => (float[1, 4, 8, 8] maps)
    <float[3] mean, float[4, 3, 1, 1] early, float[4, 3, 1, 1] w, float[4, 4, 1, 1] deeper>
    {
        aside = Conv (other, early)
        centred = Sub (image, mean)
        nchw = Transpose <perm = [0, 3, 1, 2]> (centred)
        first = Conv (nchw, w)
        second = Conv (first, deeper)
        maps = Add (second, aside)
    }
    """
    model = load(tiny_models.save(tmp_path / "net.onnx", text), layout="NHWC", input="image")
    weight = first_layer(model)
    assert weight is not None
    assert weight.name == "w"
    assert filters(model).channels == "RGB"


def test_a_network_without_convolutions(tmp_path: Path) -> None:
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    net (float[1, 6] x) => (float[1, 4] y) <float[6, 4] w> { y = MatMul (x, w) }
    """
    model = load(tiny_models.save(tmp_path / "net.onnx", text))
    with pytest.raises(InputError, match="no convolution reads the image"):
        filters(model)
    assert filters(model, "w").values.shape == (4, 6, 1, 1)
    assert [found.weight for found in all_filters(model)] == ["w"]


def test_any_tensor_is_a_matrix(shared: Callable[[str], Path]) -> None:
    found = filters(load_model(shared, _SQUEEZENET), "features.0.bias")
    assert (found.role, found.values.shape) == ("bias", (1, 64, 1, 1))


def test_three_dimensional_and_one_dimensional_kernels(tmp_path: Path) -> None:
    for kernel, expected in (("4", (2, 3, 1, 4)), ("2, 4, 5", (2, 6, 4, 5))):
        rank = kernel.count(",") + 1
        sides = ", ".join(["9"] * rank)
        outs = ", ".join("abc"[:rank])
        text = f"""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[1, 3, {sides}] x) => (float[1, 2, {outs}] y) <float[2, 3, {kernel}] w> {{ y = Conv (x, w) }}
        """
        model = load(tiny_models.save(tmp_path / "net.onnx", text))
        assert filters(model, "w").values.shape == expected


@pytest.mark.parametrize(
    ("name", "least"),
    [("models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel", 0.6), (_SQUEEZENET, 0.4)],
)
def test_trained_first_layers_are_oriented_far_beyond_chance(
    shared: Callable[[str], Path], name: str, least: float
) -> None:
    kinds = filter_kinds(filters(load_model(shared, name)))
    assert kinds is not None
    assert kinds.oriented.mean() >= least  # chance: 0.01
    assert 0.3 <= kinds.grey.mean() <= 0.8  # both grey and coloured filters, as in every such network
