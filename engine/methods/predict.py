"""predict: the classes that a network sees in images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ...importers.heads import read_heads
from ..images import ImageBatches, Images
from ..results import Result
from ..structure.classifier import Classifier, are_probabilities, find_classifier

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

_IMAGES_AT_ONCE = 16
_ADVICE = "look at its tensors with `activations`"


@dataclass(frozen=True)
class Predictions(Result):
    """The `top` classes of every image, the likeliest first."""

    images: tuple[str, ...]  # [N] paths
    indices: np.ndarray  # [N, top] int64, class numbers
    labels: tuple[tuple[str, ...], ...]  # [N][top] class names; empty strings when the model has none
    probabilities: np.ndarray  # [N, top] float32
    logits: np.ndarray | None  # [N, top] float32; None: the network gives probabilities only
    output: str  # the graph output they were read from
    classes: int
    note: str  # how probabilities and logits were made
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason

    def cut(self, top: int) -> Predictions:
        """The same with fewer classes an image."""
        return dataclasses.replace(
            self,
            indices=self.indices[:, :top],
            labels=tuple(row[:top] for row in self.labels),
            probabilities=self.probabilities[:, :top],
            logits=None if self.logits is None else self.logits[:, :top],
        )


@dataclass(frozen=True)
class Best:
    """The best classes of one batch of images."""

    indices: np.ndarray  # [n, top] int64
    probabilities: np.ndarray  # [n, top] float32
    logits: np.ndarray | None  # [n, top] float32
    note: str


def predict(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    top: int = 5,
    *,
    session: Session | None = None,
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Predictions:
    """The classes that the network sees in each image, with probabilities and logits.

    Raises InputError when the network is no classifier, its labels do not fit, or no image can be read.
    """
    classifier = classifier_of(model)
    session = session or model.session()
    batches = ImageBatches(images, model, _IMAGES_AT_ONCE)
    names: list[str] = []
    best: list[Best] = []
    for paths, batch in batches:
        values = session.run(batch, classifier.tensors)
        best.append(best_classes(classifier, values, len(batch), top))
        names += [str(path) for path in paths]
        if progress is not None:
            progress(batches.consumed, len(batches))
    return predictions(model, classifier, names, best, batches.skipped)


def predictions(
    model: Model,
    classifier: Classifier,
    names: Sequence[str],
    best: Sequence[Best],  # of the batches, one after the other
    skipped: Sequence[tuple[Path, str]] = (),
) -> Predictions:
    """The result, from the best classes of every batch."""
    indices = np.concatenate([part.indices for part in best])
    logits = [part.logits for part in best if part.logits is not None]
    return Predictions(
        images=tuple(names),
        indices=indices,
        labels=tuple(tuple(model.labels[index] if model.labels else "" for index in row) for row in indices),
        probabilities=np.concatenate([part.probabilities for part in best]),
        logits=np.concatenate(logits) if len(logits) == len(best) else None,
        output=classifier.output,
        classes=classifier.classes,
        note=best[0].note,
        skipped=tuple((str(path), reason) for path, reason in skipped),
    )


def classifier_of(model: Model) -> Classifier:
    """The network's classifier output.

    Raises InputError when it has none, or another number of classes than labels.
    """
    classifier = find_classifier(model.graph)
    if classifier is None and read_heads(model.proto):
        raise InputError("expected a classifier; this network is a detector: `predict --detect` finds its boxes")
    if classifier is None:
        outputs = ", ".join(f"{name} {list(model.graph.shape(name) or ['?'])}" for name in model.graph.outputs)
        raise InputError(
            f"expected a classifier, with an output [images, classes]; this network has {outputs}: {_ADVICE}"
        )
    if model.labels and len(model.labels) != classifier.classes:
        raise InputError(f"{len(model.labels)} labels were given for the {classifier.classes} classes of the network")
    return classifier


def best_classes(classifier: Classifier, values: Mapping[str, np.ndarray], images: int, top: int) -> Best:
    """The `top` classes of each image, from the values of `classifier.tensors`; equal ones in class order.

    Raises InputError when there is not one row an image.
    """
    probabilities, logits, note = _scores(classifier, values)
    if len(probabilities) != images:
        raise InputError(f"{classifier.output} has {len(probabilities)} rows for {images} images: {_ADVICE}")
    decisive = probabilities if logits is None else logits  # logits differ where probabilities are rounded to 1
    order = np.argsort(-decisive, axis=1, kind="stable")[:, :top]
    chosen = None if logits is None else np.take_along_axis(logits, order, 1)
    return Best(order, np.take_along_axis(probabilities, order, 1), chosen, note)


def _scores(
    classifier: Classifier, values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray | None, str]:  # [N, classes] probabilities, [N, classes] logits, note
    output = _rows(values[classifier.output], classifier.classes)
    if classifier.logits is not None:
        probabilities = np.exp(output) if classifier.kind == "log-softmax" else output
        logits = _rows(values[classifier.logits], classifier.classes)
        return probabilities, logits, f"the network ends in a {classifier.kind}; logits are its input"
    if are_probabilities(output):
        return output, None, "the output is probabilities already; its logits are not known"
    return _softmax(output), output, "the output is logits; the softmax was taken here"


def _rows(values: np.ndarray, classes: int) -> np.ndarray:  # [N, classes] float32
    return values.reshape(-1, classes).astype(np.float32, copy=False)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
