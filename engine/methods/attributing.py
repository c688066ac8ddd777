"""A method run over images: batches, targets, certificate, and the Attribution made of it all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...importers.errors import InputError
from ..images import ImageBatches, Images, displayable
from ..structure.classifier import Classifier, find_classifier
from ..targets import ClassProbability, ClassScore, Target, TopClass, as_target, settled
from .attribution import Attribution, CertificateWarning, Maps, Method, Report, Stop, Together
from .predict import Best, best_classes, classifier_of, predictions

if TYPE_CHECKING:
    from ..gradient.certificate import BridgeCertificate
    from ..model import Model

Wanted: TypeAlias = Target | int | str | None  # what is explained; None: each image's own first class
Progress: TypeAlias = Callable[[float, int], None]  # called with (images done, images in all); may raise Stop

_IMAGES_AT_ONCE = 8
_TOP = 5
_FORWARD = "none needed: onnxruntime's forward passes alone, no gradients"


@dataclass(frozen=True)
class _Part:
    """What came of one batch and one target."""

    pictures: list[np.ndarray]
    labels: list[str]
    maps: Maps
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class _Batch:
    """What came of one batch: a part for each target."""

    paths: list[Path]
    parts: list[_Part]
    best: Best | None  # all classes


def attribution(
    model: Model,
    images: Images,
    target: Wanted | Sequence[Wanted],  # several: each image is explained for each
    method: Method,
    progress: Progress | None = None,
) -> Attribution:
    """Run a method over images, batch by batch. Rows are in the images' order, those of one image in the targets'.

    Warns when the network of the gradients does not agree with onnxruntime's.
    Raises InputError when a target is not in the network or no image can be read.
    """
    targets = wanted_targets(target, model)
    classifier = classifier_of(model) if find_classifier(model.graph) is not None else None
    batches = ImageBatches(images, model, model.session().batching.fixed or _IMAGES_AT_ONCE)
    done: list[_Batch] = []
    certificate = None
    stopped = ""
    for paths, batch in batches:
        best = None if classifier is None else _all_classes(model, classifier, batch)
        report = _reporting(progress, batches.consumed - len(batch), len(batch), len(batches))
        parts = _parts(model, best, targets, method, batch, report)
        done.append(_Batch(paths, parts, best))
        if method.needs != "onnxruntime" and certificate is None:
            certificate = model.torch_certificate(batch[:1], gradients=method.needs == "gradients")
        stopped = parts[0].maps.stopped or _asked_to_stop(report, batches)
        if stopped:
            break
    if certificate is not None and not certificate.passed:
        warnings.warn(certificate.summary(), CertificateWarning, stacklevel=3)
    found = _result(model, classifier, targets, method, done, batches.skipped, certificate)
    return replace(found, stopped=stopped)


def wanted_targets(target: Wanted | Sequence[Wanted], model: Model) -> list[Target]:
    """The targets, one or several. Raises InputError when one is not in the network, or there is none."""
    several = list(target) if isinstance(target, Sequence) and not isinstance(target, str) else [target]
    if not several:
        raise InputError("expected a target, found an empty list; None is each image's own first class")
    return [as_target(entry, model) for entry in several]


def _reporting(progress: Progress | None, before: int, images: int, total: int) -> Report:
    def report(share: float) -> None:
        if progress is not None:
            progress(before + share * images, total)

    return report


def _asked_to_stop(report: Report, batches: ImageBatches) -> str:
    try:
        report(1.0)
    except Stop:
        if batches.consumed < len(batches):
            return f"stopped after {batches.consumed} of {len(batches)} images"
    return ""


def _parts(
    model: Model, best: Best | None, targets: Sequence[Target], method: Method, batch: np.ndarray, report: Report
) -> list[_Part]:
    settled_targets = [_settled(target, model, best, batch) for target in targets]
    if isinstance(method.explain, Together):
        found = method.explain.explain(batch, settled_targets, report)
    else:
        found = [method.explain(batch, target) for target in settled_targets]
    return [_part(model, best, target, maps, batch) for target, maps in zip(settled_targets, found, strict=True)]


def _settled(target: Target, model: Model, best: Best | None, batch: np.ndarray) -> Target:
    if isinstance(target, TopClass) and best is not None:
        target = target.chosen(best.indices[:, 0], model)
    return settled(target, model, batch)


def _part(model: Model, best: Best | None, target: Target, maps: Maps, batch: np.ndarray) -> _Part:
    if len(maps.scores) != len(batch):
        raise InputError(f"{target.label} has {len(maps.scores)} values for {len(batch)} images")
    pictures = [displayable(image, model.spec) for image in batch]
    return _Part(pictures, target.labels(len(batch)), maps, _probabilities(target, best, len(batch)))


def _all_classes(model: Model, classifier: Classifier, batch: np.ndarray) -> Best:
    values = model.session().run(batch, classifier.tensors)
    return best_classes(classifier, values, len(batch), classifier.classes)


def _probabilities(target: Target, best: Best | None, images: int) -> np.ndarray | None:  # [images]
    """The network's probability of the class that is the target."""
    if best is None or not isinstance(target, (ClassScore, ClassProbability)):
        return None
    return best.probabilities[best.indices == np.array(target.indices(images))[:, None]]


# -- everything together ---


def _result(
    model: Model,
    classifier: Classifier | None,
    targets: list[Target],
    method: Method,
    done: list[_Batch],
    skipped: list[tuple[Path, str]],
    certificate: BridgeCertificate | None,
) -> Attribution:
    paths = [str(path) for batch in done for path in batch.paths]
    parts = [part for batch in done for part in batch.parts]
    rows = _image_by_image([len(batch.paths) for batch in done], len(targets))
    names = [str(path) for batch in done for _ in batch.parts for path in batch.paths]
    labels = [label for part in parts for label in part.labels]
    maps = np.concatenate([part.maps.maps for part in parts])[rows].astype(np.float32, copy=False)
    best = [batch.best for batch in done if batch.best is not None]
    notes = [*(target.note(model) for target in targets), *method.notes]
    if method.needs != "onnxruntime":
        from ..gradient.provenance import notes as of_gradients  # which needs torch

        notes += of_gradients(model)
    return Attribution(
        method=method.name,
        images=tuple(names[row] for row in rows),
        pictures=np.stack([picture for part in parts for picture in part.pictures])[rows],
        maps=maps,
        raw=_raw(parts, rows),
        signed=method.signed,
        meaning=method.meaning,
        units=method.units,
        ends=method.ends,
        targets=tuple(labels[row] for row in rows),
        scores=np.concatenate([part.maps.scores for part in parts])[rows],
        probabilities=_joined([part.probabilities for part in parts], rows),
        gap=_joined([part.maps.gap for part in parts], rows),
        predictions=None if classifier is None else predictions(model, classifier, paths, best).cut(_TOP),
        layer=", ".join(dict.fromkeys(part.maps.layer for part in parts)),
        settings=method.settings,
        notes=tuple(dict.fromkeys(filter(None, (*notes, _blank([names[row] for row in rows], maps))))),
        certificate=_FORWARD if certificate is None else certificate.summary(),
        certified=certificate is None or certificate.passed,
        source=model.source,
        skipped=tuple((str(path), reason) for path, reason in skipped),
    )


def _image_by_image(sizes: Sequence[int], targets: int) -> np.ndarray:
    """Where the rows of each image are, when batches of these sizes are put together target by target."""
    starts = np.cumsum([0, *(size * targets for size in sizes)])
    blocks = [
        start + np.arange(size * targets).reshape(targets, size).T.ravel()
        for start, size in zip(starts[:-1], sizes, strict=True)
    ]
    return np.concatenate(blocks)


def _raw(parts: Sequence[_Part], rows: np.ndarray) -> np.ndarray | None:
    values = [part.maps.maps if part.maps.raw is None else part.maps.raw for part in parts]
    if len({value.shape[1:] for value in values}) > 1:
        return None
    return np.concatenate(values)[rows].astype(np.float32, copy=False)


def _joined(values: Sequence[np.ndarray | None], rows: np.ndarray) -> np.ndarray | None:
    """None where a part has none."""
    found = [value for value in values if value is not None]
    return np.concatenate(found)[rows] if len(found) == len(values) else None


def _blank(names: Sequence[str], maps: np.ndarray) -> str:
    blank = [Path(name).name for name, values in zip(names, maps, strict=True) if not values.any()]
    return f"0 everywhere, so that there is nothing to see: {', '.join(dict.fromkeys(blank))}" if blank else ""
