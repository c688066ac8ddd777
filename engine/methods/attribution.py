"""Attribution: which pixels a network's answer depends on; the result of saliency, grad_cam and their like."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from .. import quantities
from ..images import ImageBatches, Images, displayable
from ..render.heatmap import Heat, heat_sheet
from ..results import Result
from ..structure.classifier import Classifier, find_classifier
from ..targets import ClassProbability, ClassScore, Target, TopClass, as_target, settled
from .predict import Best, Predictions, best_classes, classifier_of, predictions

if TYPE_CHECKING:
    import PIL.Image

    from ..gradient.certificate import BridgeCertificate
    from ..model import Model

_IMAGES_AT_ONCE = 8
_TOP = 5
_ENDS, _SIGNED_ENDS = ("0", "most"), ("better darker", "better brighter")  # what a sheet's first and last colour mean
_SCALE = "every image on its own scale"

Explain = Callable[[np.ndarray, Target], tuple[np.ndarray, np.ndarray]]  # batch, target -> [n] scores, [n, H, W] maps


@dataclass(frozen=True)
class Attribution(Result):
    """For every image a map of how much each pixel matters for a score."""

    method: str
    images: tuple[str, ...]  # [N] paths
    pictures: np.ndarray = field(repr=False)  # [N, H, W, 3] uint8: the network's input, made visible again
    maps: np.ndarray = field(repr=False)  # [N, H, W] float32
    signed: bool  # whether values below 0 mean something
    meaning: str  # what a map's values are
    targets: tuple[str, ...]  # [N] what was explained
    scores: np.ndarray  # [N] float32
    probabilities: np.ndarray | None  # [N] of the target's class; None: the target is no class
    predictions: Predictions | None  # None: the network is no classifier
    layer: str  # the tensor that was looked at
    notes: tuple[str, ...]  # what the reader must know
    certificate: str  # how closely the gradients' network agrees with onnxruntime
    certified: bool
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason

    def heats(self) -> list[Heat]:
        """Every map beside its picture, to be painted."""
        return [Heat(picture, values, self.signed) for picture, values in zip(self.pictures, self.maps, strict=True)]

    def sheet(self, title: str = "") -> PIL.Image.Image:
        """All images below each other: the picture, its map, and the map over the picture."""
        legend = (*(_SIGNED_ENDS if self.signed else _ENDS), _SCALE)
        captions = [self._caption(row) for row in range(len(self.images))]
        return heat_sheet(self.heats(), captions, title or self.method, f"{self.layer}: {self.meaning}", legend)

    def _caption(self, row: int) -> tuple[str, str, str]:
        probability = "" if self.probabilities is None else f"probability {quantities.share(self.probabilities[row])}, "
        return Path(self.images[row]).name, self.targets[row], f"{probability}score {self.scores[row]:.4g}"


@dataclass(frozen=True)
class Method:
    """What sets one method apart from the next."""

    name: str
    layer: str  # the tensor that it looks at
    meaning: str
    explain: Explain
    signed: bool = False


class CertificateWarning(UserWarning):
    """The network that the gradients are taken of does not agree with onnxruntime's."""


@dataclass(frozen=True)
class _Part:
    """What came of one batch."""

    paths: list[Path]
    pictures: list[np.ndarray]
    labels: list[str]
    scores: np.ndarray
    maps: np.ndarray
    best: Best | None  # all classes
    probabilities: np.ndarray | None


def attribution(
    model: Model,
    images: Images,
    target: Target | int | str | None,
    method: Method,
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Attribution:
    """Run a method over images, batch by batch.

    Warns when the network of the gradients does not agree with onnxruntime's.
    Raises InputError when the target is not in the network or no image can be read.
    """
    wanted = as_target(target, model)
    classifier = classifier_of(model) if find_classifier(model.graph) is not None else None
    batches = ImageBatches(images, model, model.session().batching.fixed or _IMAGES_AT_ONCE)
    parts: list[_Part] = []
    certificate = None
    for paths, batch in batches:
        parts.append(_part(model, classifier, wanted, method, paths, batch))
        certificate = certificate or model.torch_certificate(batch[:1])
        if progress is not None:
            progress(batches.consumed, len(batches))
    assert certificate is not None  # there is no batch without an image
    if not certificate.passed:
        warnings.warn(certificate.summary(), CertificateWarning, stacklevel=3)
    return _result(model, classifier, wanted, method, parts, batches.skipped, certificate)


def _part(
    model: Model, classifier: Classifier | None, wanted: Target, method: Method, paths: list[Path], batch: np.ndarray
) -> _Part:
    best = None if classifier is None else _all_classes(model, classifier, batch)
    pictures = [displayable(image, model.spec) for image in batch]
    target = wanted
    if isinstance(wanted, TopClass) and best is not None:
        target = wanted.chosen(best.indices[:, 0], model)
    target = settled(target, model, batch)
    scores, maps = method.explain(batch, target)
    if len(scores) != len(batch):
        raise InputError(f"{target.label} has {len(scores)} values for {len(batch)} images")
    labels = target.labels(len(batch))
    return _Part(paths, pictures, labels, scores, maps, best, _probabilities(target, best, len(paths)))


def _all_classes(model: Model, classifier: Classifier, batch: np.ndarray) -> Best:
    values = model.session().run(batch, classifier.tensors)
    return best_classes(classifier, values, len(batch), classifier.classes)


def _probabilities(target: Target, best: Best | None, images: int) -> np.ndarray | None:  # [images]
    """The network's probability of the class that is the target."""
    if best is None or not isinstance(target, (ClassScore, ClassProbability)):
        return None
    return best.probabilities[best.indices == np.array(target.indices(images))[:, None]]


def _result(
    model: Model,
    classifier: Classifier | None,
    wanted: Target,
    method: Method,
    parts: list[_Part],
    skipped: list[tuple[Path, str]],
    certificate: BridgeCertificate,
) -> Attribution:
    from ..gradient.provenance import notes as provenance_notes  # which needs torch

    names = [str(path) for part in parts for path in part.paths]
    probabilities = [part.probabilities for part in parts if part.probabilities is not None]
    best = [part.best for part in parts if part.best is not None]
    maps = np.concatenate([part.maps for part in parts]).astype(np.float32, copy=False)
    return Attribution(
        method=method.name,
        images=tuple(names),
        pictures=np.stack([picture for part in parts for picture in part.pictures]),
        maps=maps,
        signed=method.signed,
        meaning=method.meaning,
        targets=tuple(label for part in parts for label in part.labels),
        scores=np.concatenate([part.scores for part in parts]),
        probabilities=np.concatenate(probabilities) if probabilities else None,
        predictions=None if classifier is None else predictions(model, classifier, names, best).cut(_TOP),
        layer=method.layer,
        notes=tuple(filter(None, (wanted.note(model), *provenance_notes(model), _blank(names, maps)))),
        certificate=certificate.summary(),
        certified=certificate.passed,
        skipped=tuple((str(path), reason) for path, reason in skipped),
    )


def _blank(names: Sequence[str], maps: np.ndarray) -> str:
    blank = [Path(name).name for name, values in zip(names, maps, strict=True) if not values.any()]
    return f"0 everywhere, so that there is nothing to see: {', '.join(blank)}" if blank else ""
