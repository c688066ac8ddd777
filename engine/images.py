"""Pixels to the network's input and back. The only place that knows another layout than NCHW."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from PIL import Image

from ..importers.errors import InputError
from ..importers.input_spec import InputSpec
from .image_files import Paths, as_rgb, decode, find_images, picture_of, pictures, pixel_values, read_array, read_image
from .image_files import split_reference as _split_reference

__all__ = [
    "ImageBatches",
    "Images",
    "channels_first",
    "displayable",
    "find_images",
    "image_input",
    "prepare",
    "read_image",
]

Images: TypeAlias = Paths | np.ndarray | Sequence[np.ndarray]  # files, folders, globs; or pictures as arrays

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601, as Pillow and OpenCV make grey
_AHEAD = 2  # batches decoded ahead of the forward pass
_THREADS = 4


class TakesImages(Protocol):
    """What these functions need of a Model."""

    @property
    def spec(self) -> InputSpec: ...
    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]: ...


def image_input(model: TakesImages) -> tuple[str, tuple[int, ...]]:
    """Name and shape [1, C, H, W] (or [1, H, W, C]) of the graph input that takes the image.

    Raises InputError when there is none.
    """
    shapes = model.input_shapes
    name = model.spec.input or next((name for name, shape in shapes.items() if len(shape) == 4), "")
    if len(shapes.get(name, ())) != 4:
        found = ", ".join(f"{name}{list(shape)}" for name, shape in shapes.items()) or "no input"
        raise InputError(f"expected a graph input of rank 4 for the image, found {found}")
    return name, shapes[name]


def prepare(
    image: np.ndarray,  # [H, W, 3] or [H, W], 0..255, RGB
    spec: InputSpec,
    shape: tuple[int, ...],  # the graph input's, [N, C, H, W] or as the layout says
) -> np.ndarray:  # [1, C, H, W] float32 (or [1, H, W, C])
    """A picture as the network wants it: resized, its channels ordered, (pixel - mean) * scale.

    "crop" resizes the short side to size / crop_fraction and takes the centre, "stretch" resizes both sides; bilinear
    with antialiasing. A picture that has the network's size already is neither resized nor cropped.
    Raises InputError when the network takes other than 1 or 3 channels, or the spec does not fit it.
    """
    channels, height, width = _dimensions(spec, shape)
    planes = _resize(_planes(image, channels, spec), (height, width), spec)
    planes = (planes - _mean(spec, (channels, height, width))) * _per_channel("scale", spec.scale, channels)
    planes = planes.astype(np.float32, copy=False)
    return np.moveaxis(planes, 0, -1)[None] if spec.layout == "NHWC" else planes[None]


def displayable(tensor: np.ndarray, spec: InputSpec) -> np.ndarray:  # [H, W, 3] uint8, RGB
    """The picture that `prepare` made this input of (one image, [C, H, W] or [1, C, H, W], or as the layout says)."""
    planes = tensor[0] if tensor.ndim == 4 else tensor
    planes = np.moveaxis(planes, -1, 0) if spec.layout == "NHWC" else planes
    pixels = planes / _per_channel("scale", spec.scale, len(planes)) + _mean(spec, planes.shape)
    pixels = pixels[::-1] if spec.channel_order == "BGR" else pixels
    levels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(levels, 0, -1), (*levels.shape[1:], 3)))


def channels_first(batch: np.ndarray, spec: InputSpec) -> np.ndarray:  # [N, C, H, W]
    """A batch of the network's input, or a gradient with respect to it, whatever the layout."""
    return np.moveaxis(batch, -1, 1) if spec.layout == "NHWC" else batch


def _dimensions(spec: InputSpec, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels, height and width of the input."""
    if len(shape) != 4:
        raise InputError(f"expected an input of rank 4 for images, found {list(shape)}")
    height, width, channels = shape[1:] if spec.layout == "NHWC" else (*shape[2:], shape[1])
    if channels not in (1, 3):
        raise InputError(f"a picture has 1 or 3 channels, the input {list(shape)} ({spec.layout}) wants {channels}")
    if spec.size is not None and tuple(spec.size) != (height, width):
        wanted = "x".join(map(str, spec.size))
        raise InputError(f"the network's input is {height}x{width} pixels, the size given is {wanted}")
    return channels, height, width


def _planes(image: np.ndarray, channels: int, spec: InputSpec) -> list[np.ndarray]:
    """The picture's channels in the network's order, each [H, W] float32."""
    if image.ndim == 2:
        return [image.astype(np.float32)] * channels
    if channels == 1 or spec.channel_order == "GREY":
        return [image.astype(np.float32) @ _LUMA] * channels
    order = (2, 1, 0) if spec.channel_order == "BGR" else (0, 1, 2)
    return [np.ascontiguousarray(image[..., channel], np.float32) for channel in order]


def _resize(planes: list[np.ndarray], size: tuple[int, int], spec: InputSpec) -> np.ndarray:  # [C, H, W]
    if planes[0].shape == size:
        return np.stack(planes)
    box = _crop_box(planes[0].shape, size, spec.crop_fraction) if spec.resize == "crop" else None
    target = (size[1], size[0])
    return np.stack([np.asarray(Image.fromarray(p).resize(target, Image.Resampling.BILINEAR, box)) for p in planes])


def shown_part(
    source: tuple[int, ...],  # (height, width) of the picture
    spec: InputSpec,
    shape: tuple[int, ...],  # the graph input's
) -> tuple[float, float, float, float]:  # left, top, right, bottom in its pixels
    """The part of a picture that `prepare` makes the network's input of."""
    _, *size = _dimensions(spec, shape)
    is_cut = spec.resize == "crop" and tuple(source) != tuple(size)
    return _crop_box(source, (size[0], size[1]), spec.crop_fraction) if is_cut else (0.0, 0.0, source[1], source[0])


def _crop_box(
    source: tuple[int, ...], size: tuple[int, int], fraction: float
) -> tuple[float, float, float, float]:  # left, top, right, bottom in source pixels
    """The part of the source that the centre crop of the resized picture shows."""
    ratio = max(target / have for target, have in zip(size, source, strict=True)) / fraction
    spans = []
    for target, have in zip(size, source, strict=True):
        resized = max(round(have * ratio), target)
        start = round((resized - target) / 2)
        spans.append((start * have / resized, (start + target) * have / resized))
    (top, bottom), (left, right) = spans
    return left, top, right, bottom


def _mean(spec: InputSpec, shape: tuple[int, ...]) -> np.ndarray:  # broadcasts over [C, H, W]
    if spec.mean_image is None:
        return _per_channel("mean", spec.mean, shape[0])
    margins = [have - want for have, want in zip(spec.mean_image.shape, shape, strict=True)]
    if margins[0] or min(margins) < 0:
        raise InputError(f"the mean image is {list(spec.mean_image.shape)}, the input wants {list(shape)} or larger")
    top, left = margins[1] // 2, margins[2] // 2
    return spec.mean_image[:, top : top + shape[1], left : left + shape[2]]


def _per_channel(field: str, values: tuple[float, ...], channels: int) -> np.ndarray:
    if len(values) not in (1, channels):
        raise InputError(f"{field} has {len(values)} values, the network's input has {channels} channel(s)")
    return np.asarray(values, np.float32)[:, None, None]


class ImageBatches:
    """Images as batches of the network's input, decoded by a few threads ahead of the reader, order kept.

    `for paths, batch in ImageBatches("photos/", model): …` gives the files' paths and [n, C, H, W] float32, n at most
    `batch_size`. A broken image is left out and listed in `skipped` with the reason.
    Raises InputError when there is no image at all, or every one is broken.
    """

    def __init__(self, images: Images, model: TakesImages, batch_size: int = 16) -> None:
        self.spec = model.spec
        self.shape = image_input(model)[1]
        _dimensions(self.spec, self.shape)
        self.batch_size = batch_size
        self.start = 0  # the image to begin with
        self.skipped: list[tuple[Path, str]] = []
        self.consumed = 0  # images read or skipped so far
        self._arrays: dict[Path, np.ndarray] = {}
        self.paths, self._pictures = _named_pictures(images)

    def __len__(self) -> int:
        """How many images there are, broken ones included."""
        return len(self.paths)

    def rest(self, start: int, batch_size: int) -> ImageBatches:
        """The same images from number `start` on, in batches of another size."""
        other = copy(self)
        other.start = other.consumed = start
        other.batch_size = batch_size
        return other

    def __iter__(self) -> Iterator[tuple[list[Path], np.ndarray]]:
        self.skipped, self.consumed = [], self.start
        paths: list[Path] = []
        inputs: list[np.ndarray] = []
        found = False
        for path, prepared in self._prepared():
            self.consumed += 1
            if isinstance(prepared, InputError):
                self.skipped.append((path, str(prepared)))
                continue
            paths.append(path)
            inputs.append(prepared)
            if len(inputs) == self.batch_size:
                found = True
                yield paths, np.concatenate(inputs)
                paths, inputs = [], []
        if inputs:
            yield paths, np.concatenate(inputs)
        elif not found and not self.start:
            raise InputError(self._nothing())

    def _nothing(self) -> str:
        if len(self.skipped) == 1:
            return self.skipped[0][1]
        return f"none of {len(self.skipped)} images can be read; the first: {self.skipped[0][1]}"

    def _prepared(self) -> Iterator[tuple[Path, np.ndarray | InputError]]:
        """Inputs in order; at most `_AHEAD` batches wait to be read."""
        pending: deque[tuple[Path, Future[np.ndarray | InputError]]] = deque()
        pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
        try:
            work = ((path, pool.submit(self._read, self._source(path))) for path in self.paths[self.start :])
            pending.extend(islice(work, _AHEAD * self.batch_size))
            while pending:
                path, future = pending.popleft()
                yield path, future.result()
                pending.extend(islice(work, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _source(self, path: Path) -> Path | np.ndarray | InputError:
        """What a thread reads: a file, or the picture's part of an array file, which is opened here, once."""
        if path in self._pictures:
            return self._pictures[path]
        file, index = _split_reference(path)
        if index is None:
            return path
        try:
            if file not in self._arrays:
                self._arrays = {file: read_array(file)}
            return picture_of(self._arrays[file], index, file)
        except InputError as error:
            return error

    def picture(self, path: Path) -> np.ndarray:  # [H, W, 3], RGB, 0..255
        """The picture of one of `paths` before it became an input. Raises InputError for a broken one."""
        return _pixels(self._source(path))

    def _read(self, source: Path | np.ndarray | InputError) -> np.ndarray | InputError:
        try:
            pixels = _pixels(source)
        except InputError as error:
            return error
        return prepare(pixels, self.spec, self.shape)


def _pixels(source: Path | np.ndarray | InputError) -> np.ndarray:
    if isinstance(source, InputError):
        raise source
    return decode(source) if isinstance(source, Path) else as_rgb(source)


def _named_pictures(images: Images) -> tuple[list[Path], dict[Path, np.ndarray]]:
    """The images' paths; pictures in memory, in 0..255, get the names image#0, image#1 …"""
    if isinstance(images, np.ndarray):
        named = _named(list(pictures(pixel_values(images))))
    elif not isinstance(images, (str, Path)) and any(isinstance(item, np.ndarray) for item in images):
        named = _named([pixel_values(np.asarray(item)) for item in images])
    else:
        return find_images(images), {}  # type: ignore[arg-type]  # no array among them
    return list(named), named


def _named(arrays: list[np.ndarray]) -> dict[Path, np.ndarray]:
    return {Path(f"image#{index}"): array for index, array in enumerate(arrays)}
