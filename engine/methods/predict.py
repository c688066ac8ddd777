"""predict: the classes that a network sees in images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..images import ImageBatches, Images
from ..results import Result
from ..structure.classifier import Classifier, find_classifier

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

_IMAGES_AT_ONCE = 16
_ADVICE = "look at its tensors with `activations`"
_SUM_TOLERANCE = 1e-3  # of probabilities, which are rounded, over thousands of classes


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
class Scores:
    """All classes of a batch of images."""

    probabilities: np.ndarray  # [N, classes] float32
    logits: np.ndarray | None  # [N, classes] float32
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
    top = min(top, classifier.classes)
    names: list[str] = []
    found: list[tuple[np.ndarray, Scores]] = []
    for paths, batch in batches:
        scores = class_scores(classifier, session.run(batch, wanted_tensors(classifier)))
        if len(scores.probabilities) != len(batch):
            raise InputError(
                f"{classifier.output} has {len(scores.probabilities)} rows for {len(batch)} images: {_ADVICE}"
            )
        order = ranking(scores)[:, :top]
        found.append((order, _pick(scores, order)))
        names += [str(path) for path in paths]
        if progress is not None:
            progress(batches.consumed, len(batches))
    return _predictions(model, classifier, names, found, batches)


def _predictions(
    model: Model,
    classifier: Classifier,
    names: list[str],
    found: list[tuple[np.ndarray, Scores]],
    batches: ImageBatches,
) -> Predictions:
    indices = np.concatenate([order for order, _ in found])
    logits = [scores.logits for _, scores in found if scores.logits is not None]
    return Predictions(
        images=tuple(names),
        indices=indices,
        labels=tuple(tuple(model.labels[index] if model.labels else "" for index in row) for row in indices),
        probabilities=np.concatenate([scores.probabilities for _, scores in found]),
        logits=np.concatenate(logits) if len(logits) == len(found) else None,
        output=classifier.output,
        classes=classifier.classes,
        note=found[0][1].note,
        skipped=tuple((str(path), reason) for path, reason in batches.skipped),
    )


def classifier_of(model: Model) -> Classifier:
    """The network's classifier output.

    Raises InputError when it has none, or another number of classes than labels.
    """
    classifier = find_classifier(model.graph)
    if classifier is None:
        outputs = ", ".join(f"{name} {list(model.graph.shape(name) or ['?'])}" for name in model.graph.outputs)
        raise InputError(
            f"expected a classifier, with an output [images, classes]; this network has {outputs}: {_ADVICE}"
        )
    if model.labels and len(model.labels) != classifier.classes:
        raise InputError(f"{len(model.labels)} labels were given for the {classifier.classes} classes of the network")
    return classifier


def wanted_tensors(classifier: Classifier) -> list[str]:
    """What to ask the session for."""
    return [classifier.output] if classifier.logits is None else [classifier.output, classifier.logits]


def class_scores(classifier: Classifier, values: dict[str, np.ndarray]) -> Scores:
    """Probabilities and, where they are known, logits of all classes, from the `wanted_tensors`."""
    output = values[classifier.output].reshape(-1, classifier.classes).astype(np.float32, copy=False)
    if classifier.kind == "open":
        if _are_probabilities(output):
            return Scores(output, None, "the output is probabilities already; its logits are not known")
        return Scores(_softmax(output), output, "the output is logits; the softmax was taken here")
    logits = values[str(classifier.logits)].reshape(-1, classifier.classes).astype(np.float32, copy=False)
    probabilities = np.exp(output) if classifier.kind == "log-softmax" else output
    return Scores(probabilities, logits, f"the network ends in a {classifier.kind}; logits are its input")


def ranking(scores: Scores) -> np.ndarray:  # [N, classes] int64
    """Classes from the likeliest on; equal ones in class order."""
    values = scores.probabilities if scores.logits is None else scores.logits
    return np.argsort(-values, axis=1, kind="stable")


def _pick(scores: Scores, order: np.ndarray) -> Scores:
    logits = None if scores.logits is None else np.take_along_axis(scores.logits, order, 1)
    return Scores(np.take_along_axis(scores.probabilities, order, 1), logits, scores.note)


def _are_probabilities(rows: np.ndarray) -> bool:
    inside = rows.min() >= 0 and rows.max() <= 1 + _SUM_TOLERANCE
    return bool(inside and np.abs(rows.sum(1, dtype=np.float64) - 1).max() < _SUM_TOLERANCE)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
