"""Scores of images by forward passes on onnxruntime alone: once, or for many versions of the same images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..targets import Target, of_images

if TYPE_CHECKING:
    from ...importers.input_spec import InputSpec
    from ..model import Model
    from ..session import Session

_AT_ONCE = 32  # images in a run, as a session takes them; more gains nothing on a CPU


def forward(
    model: Model,
    batch: np.ndarray,  # the network's input, n images
    target: Target,  # settled
    tensors: Iterable[str] = (),
    memory: int | str | None = None,
) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Scores [n], and the values of these tensors, [n, …]."""
    read = target.tensor(model)
    values = session(model, memory).run(batch, [read, *tensors])
    return scored(target, values[read]), values


def versions_scores(
    model: Model,
    versions: Iterable[np.ndarray],  # of the same n images, each as the network takes them
    target: Target,  # settled for these n
    memory: int | str | None = None,
) -> Iterator[np.ndarray]:
    """Scores [n] of one version after the other; several run together, and no more are held."""
    for (scores,) in versions_scores_of_each(model, versions, [target], memory):
        yield scores


def versions_scores_of_each(
    model: Model,
    versions: Iterable[np.ndarray],
    targets: Sequence[Target],  # settled for these n
    memory: int | str | None = None,
) -> Iterator[np.ndarray]:
    """The same for several targets, which share the runs: [targets, n]."""
    read = list(dict.fromkeys(target.tensor(model) for target in targets))
    waiting, run = iter(versions), session(model, memory).run
    for first in waiting:
        count = len(first)
        group = [first, *islice(waiting, max(1, _AT_ONCE // count) - 1)]
        values, rows = run(np.concatenate(group), read), list(range(count)) * len(group)
        scores = [scored(of_images(target, rows, count), values[target.tensor(model)]) for target in targets]
        yield from np.reshape(scores, (len(targets), -1, count)).swapaxes(0, 1)


def scored(target: Target, value: np.ndarray) -> np.ndarray:  # [n]
    """The target's score of its tensor's value for n images."""
    import torch  # which targets of one's own may rely on

    return np.asarray(target.score(torch.from_numpy(value)))


def session(model: Model, memory: int | str | None) -> Session:
    """The model's session within a memory budget."""
    return model.session() if memory is None else model.session(memory=memory)


def dimmed(batch: np.ndarray, masks: np.ndarray, spec: InputSpec) -> np.ndarray:
    """The network's input, n images, times masks [n, H, W] or [H, W] of 0..1. Where a mask is 0 the input is 0: the
    mean colour that preprocessing subtracts, black where it subtracts none."""
    factors: np.ndarray = masks[..., None] if spec.layout == "NHWC" else masks[..., None, :, :]
    return (batch * factors).astype(batch.dtype, copy=False)
