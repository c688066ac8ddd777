"""Pixels to network input against a slow re-implementation, and every kind of image file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnxray.engine.image_files import decode
from onnxray.engine.images import ImageBatches, displayable, find_images, prepare, read_image
from onnxray.importers.errors import InputError
from onnxray.importers.input_spec import InputSpec
from PIL import Image

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
GREY = RGB[..., 0]


@dataclass
class Network:
    """As much of a Model as images need."""

    spec: InputSpec = field(default_factory=lambda: InputSpec(input="x", resize="stretch"))
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=lambda: {"x": (1, 3, 8, 8)})


# --- the definition, slow and in float64 ---


def slow_resize(plane: np.ndarray, size: int) -> np.ndarray:
    """Resize the first axis: a triangle as wide as the step, but at least one pixel, centred on each output pixel."""
    step = len(plane) / size
    reach = max(step, 1.0)
    rows = []
    for index in range(size):
        centre = (index + 0.5) * step
        weights = np.array([max(0.0, 1 - abs(k + 0.5 - centre) / reach) for k in range(len(plane))])
        rows.append((weights[:, None] * plane).sum(0) / weights.sum())
    return np.array(rows)


def slow_prepare(image: np.ndarray, spec: InputSpec, channels: int, height: int, width: int) -> np.ndarray:
    pixels = image.astype(np.float64)
    if channels == 1 or spec.channel_order == "GREY":
        pixels = np.stack([pixels @ [0.299, 0.587, 0.114]] * channels, -1)
    elif spec.channel_order == "BGR":
        pixels = pixels[..., [2, 1, 0]]
    have = image.shape[:2]
    if have != (height, width):
        new = (height, width)
        if spec.resize == "crop":
            ratio = max(height / have[0], width / have[1]) / spec.crop_fraction
            new = (max(round(have[0] * ratio), height), max(round(have[1] * ratio), width))
        planes = [slow_resize(slow_resize(pixels[..., c], new[0]).T, new[1]).T for c in range(channels)]
        top, left = round((new[0] - height) / 2), round((new[1] - width) / 2)
        pixels = np.stack(planes, -1)[top : top + height, left : left + width]
    planes = [
        (pixels[..., c] - spec.mean[c % len(spec.mean)]) * spec.scale[c % len(spec.scale)] for c in range(channels)
    ]
    return np.stack(planes)


@pytest.mark.parametrize("size", [(16, 16), (20, 31), (64, 80), (37, 53), (1, 1)])
@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("order", ["RGB", "BGR", "GREY"])
def test_prepare_equals_its_definition(size: tuple[int, int], resize: str, order: str) -> None:
    spec = InputSpec(channel_order=order, resize=resize, mean=(104.0, 117.0, 123.0), scale=(0.5, 1.0, 2.0))  # type: ignore[arg-type]
    found = prepare(RGB, spec, (1, 3, *size))
    assert found.dtype == np.float32
    # Pillow keeps the corners of the crop as float32: 4e-6 of a pixel, times steps of up to 510 a pixel.
    np.testing.assert_allclose(found[0], slow_prepare(RGB, spec, 3, *size), atol=2e-3)


def test_the_crop_is_the_centre_of_the_resized_picture() -> None:
    spec = InputSpec(crop_fraction=0.5)
    marked = np.zeros_like(RGB)
    marked[9:28, 17:36] = 255  # the middle half of 37 rows is 18.5 rows
    found = prepare(marked, spec, (1, 3, 19, 19))
    assert found[0, :, 2:-2, 2:-2].min() > 250


def test_one_channel_and_both_layouts() -> None:
    spec = InputSpec(mean=(10.0,), scale=(0.1,), channel_order="GREY")
    grey = prepare(RGB, spec, (1, 1, 20, 20))
    np.testing.assert_allclose(grey[0], slow_prepare(RGB, spec, 1, 20, 20), atol=2e-4)
    nhwc = InputSpec(layout="NHWC", channel_order="BGR")
    nchw = InputSpec(channel_order="BGR")
    np.testing.assert_array_equal(
        prepare(RGB, nhwc, (1, 20, 24, 3)), np.moveaxis(prepare(RGB, nchw, (1, 3, 20, 24)), 1, -1)
    )


def test_whole_numbers_and_floats_give_the_same_input() -> None:
    spec = InputSpec()
    np.testing.assert_array_equal(prepare(RGB, spec, (1, 3, 9, 9)), prepare(RGB.astype(np.float32), spec, (1, 3, 9, 9)))


def test_mean_image_is_cropped_to_the_centre() -> None:
    mean = np.arange(3 * 10 * 12, dtype=np.float32).reshape(3, 10, 12)
    spec = InputSpec(mean_image=mean, resize="stretch")
    flat = np.full((8, 8, 3), 200, np.uint8)
    np.testing.assert_array_equal(prepare(flat, spec, (1, 3, 8, 8))[0], 200 - mean[:, 1:9, 2:10])


@pytest.mark.parametrize(
    ("spec", "shape", "words"),
    [
        (InputSpec(), (1, 4, 8, 8), "1 or 3 channels"),
        (InputSpec(mean=(1.0, 2.0)), (1, 3, 8, 8), "mean has 2 values"),
        (InputSpec(size=(9, 9)), (1, 3, 8, 8), "8x8"),
        (InputSpec(mean_image=np.zeros((3, 4, 4), np.float32)), (1, 3, 8, 8), "mean image"),
        (InputSpec(), (1, 10), "rank 4"),
    ],
)
def test_what_does_not_fit_is_refused(spec: InputSpec, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        prepare(RGB, spec, shape)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_displayable_undoes_prepare(order: str, layout: str) -> None:
    spec = InputSpec(channel_order=order, layout=layout, mean=(104.0, 117.0, 123.0), scale=(1 / 58, 1 / 57, 1 / 56))  # type: ignore[arg-type]
    shape = (1, 3, 37, 53) if layout == "NCHW" else (1, 37, 53, 3)
    np.testing.assert_array_equal(displayable(prepare(RGB, spec, shape), spec), RGB)


def test_displayable_grey() -> None:
    spec = InputSpec(channel_order="GREY", scale=(1 / 256,))
    picture = displayable(prepare(np.stack([GREY] * 3, -1), spec, (1, 1, 37, 53)), spec)
    np.testing.assert_array_equal(picture, np.stack([GREY] * 3, -1))


# --- files ---


def white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None].astype(np.float64) / 255
    return rgb * share + 255 * (1 - share)


ALPHA = np.random.default_rng(1).integers(0, 256, GREY.shape, dtype=np.uint8)
TRIPLE = np.stack([GREY] * 3, -1)
DEEP = (np.arange(37 * 53, dtype=np.uint16) * 33).reshape(37, 53)
PALETTE = Image.fromarray(RGB).quantize(16)
LOSSLESS: dict[str, tuple[Callable[[Path], object], np.ndarray]] = {
    "rgb.png": (lambda path: Image.fromarray(RGB).save(path), RGB),
    "rgb.bmp": (lambda path: Image.fromarray(RGB).save(path), RGB),
    "rgb.ppm": (lambda path: Image.fromarray(RGB).save(path), RGB),
    "rgb.webp": (lambda path: Image.fromarray(RGB).save(path, lossless=True), RGB),
    "rgb.tiff": (lambda path: Image.fromarray(RGB).save(path), RGB),
    "grey.png": (lambda path: Image.fromarray(GREY).save(path), TRIPLE),
    "bits.png": (lambda path: Image.fromarray(GREY > 99).save(path), np.where(TRIPLE > 99, 255, 0)),
    "rgba.png": (lambda path: Image.fromarray(np.dstack([RGB, ALPHA])).save(path), white(RGB, ALPHA)),
    "la.png": (lambda path: Image.fromarray(np.dstack([GREY, ALPHA])).save(path), white(TRIPLE, ALPHA)),
    "key.png": (
        lambda path: Image.fromarray(GREY).save(path, transparency=int(GREY[0, 0])),
        np.where(GREY[0, 0] == TRIPLE, 255, TRIPLE),
    ),
    "palette.png": (lambda path: PALETTE.save(path), np.asarray(PALETTE.convert("RGB"))),
    "deep.png": (lambda path: Image.fromarray(DEEP).save(path), np.stack([DEEP / 257] * 3, -1)),
    "deep.tiff": (lambda path: Image.fromarray(DEEP).save(path), np.stack([DEEP / 257] * 3, -1)),
    "unit.tiff": (lambda path: Image.fromarray((GREY / 255).astype(np.float32)).save(path), TRIPLE),
    "animated.gif": (
        lambda path: PALETTE.save(path, save_all=True, append_images=[Image.new("P", PALETTE.size)]),
        np.asarray(PALETTE.convert("RGB")),
    ),
    "hwc.npy": (lambda path: np.save(path, RGB), RGB),
    "chw.npy": (lambda path: np.save(path, np.moveaxis(RGB, -1, 0)), RGB),
    "hw.npy": (lambda path: np.save(path, GREY), TRIPLE),
    "unit.npy": (lambda path: np.save(path, RGB / 255.0), RGB),
    "float.npy": (lambda path: np.save(path, RGB.astype(np.float64)), RGB),
    "deep.npy": (lambda path: np.save(path, DEEP), np.stack([DEEP / 257] * 3, -1)),
    "rgba.npy": (lambda path: np.save(path, np.dstack([RGB, ALPHA])), white(RGB, ALPHA)),
    "bool.npy": (lambda path: np.save(path, GREY > 99), np.where(TRIPLE > 99, 255, 0)),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_kind_of_file_becomes_rgb(name: str, tmp_path: Path) -> None:
    write, expected = LOSSLESS[name]
    write(tmp_path / name)
    found = read_image(tmp_path / name)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_cmyk_has_its_colours_the_right_way_round(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    np.testing.assert_allclose(read_image(tmp_path / "red.jpg")[8, 8], (255, 0, 0), atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    stored = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, 1),
        7: np.rot90(RGB, 2).transpose(1, 0, 2),
        8: np.rot90(RGB, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), RGB)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_array_of_many_pictures(axes: tuple[int, ...], tmp_path: Path) -> None:
    stack = np.stack([RGB, RGB[::-1], RGB // 2])
    np.savez(tmp_path / "many.npz", images=stack.transpose(axes), y=np.arange(3))
    paths = find_images(tmp_path / "many.npz")
    assert [path.name for path in paths] == ["many.npz#0", "many.npz#1", "many.npz#2"]
    for path, picture in zip(paths, stack, strict=True):
        np.testing.assert_array_equal(read_image(path), picture)


def test_the_range_is_judged_over_the_whole_array(tmp_path: Path) -> None:
    np.save(tmp_path / "dark.npy", np.stack([np.ones((5, 6)), np.full((5, 6), 200.0)]))
    first, second = find_images(tmp_path / "dark.npy")
    assert read_image(first).max() == 1
    assert read_image(second).max() == 200


def save_bomb(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.png": (lambda path: path.write_bytes(b""), "cannot identify"),
    "text.jpg": (lambda path: path.write_text("no picture"), "cannot identify"),
    "bomb.png": (save_bomb, "pixels"),
    "script.eps": (lambda path: Image.fromarray(RGB).save(path), "cannot identify"),
    "wide.npy": (lambda path: np.save(path, np.array([[-4.0, 7.0]])), "0..255"),
    "words.npy": (lambda path: np.save(path, np.array([["a", "b"]])), "numbers"),
    "nan.npy": (lambda path: np.save(path, np.full((4, 4), np.nan)), "nan"),
    "line.npy": (lambda path: np.save(path, np.arange(9)), "HWC"),
    "cut.npz": (lambda path: path.write_bytes(b"PK\x03\x04 cut"), "cannot be read"),
    "two.npz": (lambda path: np.savez(path, a=GREY, b=GREY), "one array of pictures"),
    "pickle.npy": (lambda path: np.save(path, np.array([[{}]]), allow_pickle=True), "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_image(name: str, tmp_path: Path) -> None:
    write, words = BROKEN[name]
    write(tmp_path / name)
    with pytest.raises(InputError, match=words) as raised:
        read_image(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_truncated_jpeg(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.jpg"):
        read_image(tmp_path / "cut.jpg")


def test_an_array_that_claims_too_much(tmp_path: Path) -> None:
    header = str({"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 3)}).encode().ljust(117) + b"\n"
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match="claims"):
        read_image(tmp_path / "huge.npy")


# --- folders and batches ---


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, name in enumerate(["b.png", "a.PNG", "more/c.jpg", ".hidden.png"]):
        Image.fromarray(np.full((8, 8, 3), 10 * number, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    (folder / "broken.jpg").write_text("no image either")
    return folder


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_folders_are_searched_and_sorted(photos: Path) -> None:
    assert names(find_images(photos)) == ["a.PNG", "b.png", "broken.jpg", "c.jpg"]
    assert names(find_images([photos / "b.png", str(photos / "**/*.jpg")])) == ["b.png", "broken.jpg", "c.jpg"]


@pytest.mark.parametrize("missing", ["nowhere.png", "*.gif", "."])
def test_nothing_found(missing: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        find_images(tmp_path / missing)


def test_brackets_in_a_file_name_are_no_glob(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "photo[1].png")
    assert names(find_images(tmp_path / "photo[1].png")) == ["photo[1].png"]


def test_batches_keep_order_and_name_the_broken(photos: Path) -> None:
    batches = ImageBatches(photos, Network(), batch_size=2)
    found = [(names(paths), batch) for paths, batch in batches]
    assert [paths for paths, _ in found] == [["a.PNG", "b.png"], ["c.jpg"]]
    assert [batch[:, 0, 0, 0].round().tolist() for _, batch in found] == [[10, 0], [20]]
    assert [(path.name, "broken.jpg" in reason) for path, reason in batches.skipped] == [("broken.jpg", True)]
    assert (len(batches), batches.consumed) == (4, 4)


def test_batches_of_many_threads_are_in_order() -> None:
    pictures = np.arange(200, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3), np.uint8)
    found = np.concatenate([batch[:, 0, 0, 0] for _, batch in ImageBatches(pictures, Network(), 7)])
    np.testing.assert_array_equal(found, np.arange(200))


def test_arrays_in_memory() -> None:
    expected = prepare(RGB, Network().spec, (1, 3, 8, 8))
    for images in (RGB, RGB[None], [RGB], RGB / 255.0):
        ((paths, batch),) = ImageBatches(images, Network())
        assert names(paths) == ["image#0"]
        np.testing.assert_allclose(batch, expected, atol=1e-3)


def test_rest_of_the_batches(photos: Path) -> None:
    rest = ImageBatches(photos, Network()).rest(2, batch_size=5)
    assert [names(paths) for paths, _ in rest] == [["c.jpg"]]
    assert (len(rest), rest.consumed, len(rest.skipped)) == (4, 4, 1)


def test_only_broken_images(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_text("no image")
    with pytest.raises(InputError, match=r"one\.png.*cannot"):
        list(ImageBatches(tmp_path / "one.png", Network()))
    (tmp_path / "two.png").write_text("no image")
    with pytest.raises(InputError, match="none of 2 images"):
        list(ImageBatches(tmp_path, Network()))


def test_a_network_without_an_image_input() -> None:
    with pytest.raises(InputError, match=r"tokens\[1, 77\]"):
        ImageBatches(RGB, Network(InputSpec(), {"tokens": (1, 77)}))


def test_decode_keeps_eight_bits(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "rgb.png")
    assert decode(tmp_path / "rgb.png").dtype == np.uint8
    assert math.isclose(float(read_image(tmp_path / "rgb.png").max()), RGB.max())
