"""Gradients of scores with respect to images: once, or for many versions of the same images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..images import channels_first, image_input
from ..targets import Target, of_images

if TYPE_CHECKING:
    from ..gradient.rules import Rule
    from ..model import Model

_AT_ONCE = 8  # images in a run; more are slower, as their activations leave the processor's caches


def image_gradients(
    model: Model,
    batch: np.ndarray,  # the network's input, n images
    target: Target,  # settled
    memory: int | str | None = None,
    rule: Rule | None = None,  # None: plain gradients
) -> tuple[np.ndarray, np.ndarray]:
    """Scores [n], and their gradients with respect to the image, [n, C, H, W] whatever the network's layout."""
    from ..gradient.rules import PLAIN

    image = image_input(model)[0]
    found = model.torch().gradients(batch, target, [image], rule or PLAIN, memory)
    return found.scores, channels_first(found.gradients[image], model.spec)


def versions_gradients(
    model: Model,
    versions: Iterable[np.ndarray],  # of the same n images, each as the network takes them
    target: Target,  # settled for these n
    memory: int | str | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `image_gradients`, for one version after the other; several run together."""
    waiting = iter(versions)
    for first in waiting:
        images = len(first)
        group = [first, *islice(waiting, max(1, _AT_ONCE // images) - 1)]
        repeated = of_images(target, list(range(images)) * len(group), images)
        scores, gradients = image_gradients(model, np.concatenate(group), repeated, memory)
        yield from zip(scores.reshape(-1, images), gradients.reshape(-1, images, *gradients.shape[1:]), strict=True)
