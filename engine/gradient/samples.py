"""What a certificate is made on: the images or arrays given, else seeded noise shaped like real preprocessed pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from ...importers.errors import InputError
from ...importers.provenance import SEED
from .. import quantities
from ..feeds import image_count, images_of, named_feeds
from ..images import ImageBatches, image_input, prepare

if TYPE_CHECKING:
    from ..model import Model

Inputs: TypeAlias = np.ndarray | Mapping[str, np.ndarray] | str | Path | Sequence[str | Path]
"""Prepared arrays as `Session.run` takes them, or image files, folders and globs."""

_AT_ONCE = 4  # images, in a network that takes any number
_PATCHES = 8  # blobs of colour along a side of a noise picture
_GRAIN = 20.0  # standard deviation of its pixels around the blobs, of 0..255


class Samples:
    """Inputs in slices of the network's batch size, as often as they are asked for.

    Raises InputError when they do not fit the network or no image can be read.
    """

    def __init__(self, model: Model, inputs: Inputs | None) -> None:
        self.model = model
        self._images: ImageBatches | None = None
        self._feeds: dict[str, np.ndarray] = {}
        self.size = model.session(providers=["cpu"]).batching.fixed or _AT_ONCE
        if isinstance(inputs, (np.ndarray, Mapping)):
            self._feeds = named_feeds(model, inputs)
            self._description = _counted(image_count(self._feeds), "given input")
        elif inputs is not None:
            self._images = ImageBatches(inputs, model, self.size)
        else:
            self._feeds = noise(model)
            shapes = ", ".join(f"{name} {quantities.shape(value.shape)}" for name, value in self._feeds.items())
            self._description = f"seeded noise ({shapes})"

    def __len__(self) -> int:
        """How many slices there are, broken images included."""
        count = len(self._images) if self._images is not None else image_count(self._feeds)
        return -(-count // self.size)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        if self._images is None:
            count = image_count(self._feeds)
            size = self.size if self._fixed else min(self.size, count)
            for start in range(0, count, size):
                yield images_of(self._feeds, start, size if self._fixed else min(size, count - start), count)
            return
        name, others = image_input(self.model)[0], noise(self.model)
        for _, batch in self._images:
            filled = np.minimum(np.arange(self.size if self._fixed else len(batch)), len(batch) - 1)
            yield named_feeds(self.model, others | {name: batch[filled]})

    @property
    def description(self) -> str:
        """What they are, without the broken images that were met."""
        if self._images is None:
            return self._description
        return _counted(len(self._images) - len(self.skipped), "image")

    @property
    def skipped(self) -> Sequence[tuple[Path, str]]:
        """Broken images, with the reason."""
        return () if self._images is None else self._images.skipped

    @property
    def _fixed(self) -> bool:
        return self.model.session(providers=["cpu"]).batching.fixed is not None


def noise(model: Model) -> dict[str, np.ndarray]:
    """Seeded noise for every graph input: a picture of blobs and grain where it takes images, prepared like a photo."""
    generator = np.random.default_rng(SEED)
    values = {name: _values(model, name, generator) for name in model.input_shapes}
    try:
        name, shape = image_input(model)
        pictures = [prepare(_picture(model, shape, generator), model.spec, shape) for _ in range(shape[0])]
    except InputError:  # it takes no images, or none with colours
        return named_feeds(model, values)
    return named_feeds(model, values | {name: np.concatenate(pictures)})


def _picture(model: Model, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """[H, W, 3] in 0..255: neighbouring pixels alike, as in photos, so that inner layers answer."""
    height, width = shape[1:3] if model.spec.layout == "NHWC" else shape[2:]
    blobs = generator.integers(0, 256, (_PATCHES, _PATCHES, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(blobs).resize((width, height), Image.Resampling.BILINEAR), np.float64)
    return np.clip(smooth + generator.normal(0, _GRAIN, smooth.shape), 0, 255).astype(np.uint8)


def _values(model: Model, name: str, generator: np.random.Generator) -> np.ndarray:
    """Normal values; 0..1 for scalars and vectors (thresholds, scales); bytes; small indices for other integers."""
    shape, dtype = model.input_shapes[name], model.graph.types[name].dtype
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(bool)
    if dtype in ("uint8", "int8"):
        return generator.integers(0, 128, shape)
    if "int" in dtype:
        return generator.integers(0, 2, shape)
    return generator.uniform(size=shape) if len(shape) < 2 else generator.normal(size=shape)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
