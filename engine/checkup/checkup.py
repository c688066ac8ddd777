"""checkup: what is wrong with a trained convolutional network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..images import ImageBatches, Images
from .channels import ChannelStatistics
from .convolutions import Convolution, convolutions
from .duplicates import COSINE, duplicates
from .findings import KINDS, Checkup, Finding
from .first_layers import FirstLayer, first_layer, image_convolutions
from .units import Units, find_units

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session

DEAD = 1e-6  # of the tensor's largest magnitude: a unit that is not rectified and changes less is dead
ALWAYS_ON = 1e-3  # standard deviation over mean, below which a channel says the same of everything
SATURATED = 0.999  # of the places at a bound
# Between the worst of the trained networks measured and planted faults: docs/checkup.md has the figures.
ALIASED = 0.4  # mean over the layer's filters
CONTRAST = 50.0  # times the median filter's length
LEAST_IMAGES = 100  # for units of one value an image: fewer leave many a healthy one silent
_MEMORY = 2 << 30  # bytes beside what the process holds, when there is no budget


def checkup(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    layers: Sequence[str] | None = None,  # layers or tensors by name, * stands for any part; None: all
    *,
    memory: int | str | None = None,
    session: Session | None = None,
    progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
) -> Checkup:
    """Dead, always-on and saturated units, duplicate filters, aliasing and blocked contrast of the first layers.

    Raises InputError when there is no convolution, none of `layers`, or no image can be read.
    (M. Zeiler and R. Fergus, 2013, arXiv:1311.2901, section 4.1, for the first layers' faults)
    """
    session = session or model.session(memory=memory)
    units = {each.tensor: each for each in find_units(model.graph)}
    asked = _Asked(layers)
    watched = {name: each for name, each in units.items() if asked(each.layer, name)}
    batches = ImageBatches(images, model, 1)
    findings, firsts, filters, known = _filters(model, session, asked, units)
    if not known:
        found = ", ".join(op for op, _ in Counter(node.op for node in model.graph.nodes).most_common(5)) or "nothing"
        raise InputError(f"expected a network with convolutions of stored weights, found {found}: try `activations`")
    asked.check()
    statistics, count, skipped = _watch(session, batches, watched, progress)
    few = [name for name, each in statistics.items() if each.places == 1 and count < LEAST_IMAGES]
    for name in few:
        del statistics[name]
    findings += [finding for name, each in statistics.items() for finding in _judge(watched[name], each)]
    order = {name: place for place, name in enumerate(session.tensors)}
    findings.sort(key=lambda finding: (order[finding.tensor], [*KINDS].index(finding.kind)))
    return Checkup(
        model=model.name,
        images=count,
        units=sum(len(each.mean) for each in statistics.values()),
        filters=filters,
        findings=tuple(findings),
        first_layers=tuple(firsts),
        not_judged=tuple(few),
        skipped=skipped,
    )


class _Asked:
    """Which layers are wanted."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self.patterns = None if names is None else [name.replace("[", "[[]") for name in names]
        self.met: set[str] = set()

    def __call__(self, *names: str) -> bool:
        if self.patterns is None:
            return True
        met = {pattern for pattern in self.patterns for name in names if fnmatchcase(name, pattern)}
        self.met |= met
        return bool(met)

    def check(self) -> None:
        """Raise InputError when a pattern met no layer."""
        missing = [pattern for pattern in self.patterns or () if pattern not in self.met]
        if missing:
            name = missing[0].replace("[[]", "[")
            raise InputError(f"no convolution or activation function is called {name!r}; `summary` lists the layers")


# -- filters ---


def _filters(
    model: Model, session: Session, asked: _Asked, units: dict[str, Units]
) -> tuple[list[Finding], list[FirstLayer], int, int]:
    """Faults of the weights, the first layers, how many filters were looked at, and how many layers there are."""
    shown = {each.layer: each.tensor for each in reversed(units.values())}
    firsts = image_convolutions(model)
    findings: list[Finding] = []
    seen: list[FirstLayer] = []
    filters = known = 0
    for conv in convolutions(model.graph):
        known += 1
        if not asked(conv.name, conv.tensor, conv.node.outputs[0]):
            continue
        filters += len(conv.weights)
        tensor = shown.get(conv.name, conv.tensor)
        findings += _duplicates(conv, tensor)
        first = first_layer(model, session, conv) if conv.name in firsts else None
        if first is not None:
            seen.append(first)
            findings += _first_layer(first, tensor)
    return findings, seen, filters, known


def _duplicates(conv: Convolution, tensor: str) -> Iterator[Finding]:
    for channels, cosine in duplicates(conv):
        values = (1.0, *[cosine] * (len(channels) - 1))
        yield Finding("duplicate", conv.name, tensor, channels, values, cosine, COSINE)


def _first_layer(first: FirstLayer, tensor: str) -> Iterator[Finding]:
    if first.overlaps and first.mean_aliased > ALIASED:
        found = _finding(
            "aliasing", first.layer, tensor, np.flatnonzero(first.aliased > ALIASED), first.aliased, ALIASED
        )
        yield replace(found, number=first.mean_aliased)
    if (high := np.flatnonzero(first.contrast > CONTRAST)).size:
        yield _finding("contrast", first.layer, tensor, high, first.contrast, CONTRAST)


# -- units ---


def _watch(
    session: Session,
    batches: ImageBatches,
    watched: dict[str, Units],
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, ChannelStatistics], int, tuple[tuple[str, str], ...]]:
    """Statistics of every watched tensor, how many images there were, and which could not be read."""
    names = list(watched)
    memory = session.memory or session.batching.resident + _MEMORY
    session.batching.check(session.memory, names, held=0)
    rest = batches.rest(0, session.batching.stream_size(names, memory))
    statistics = {name: ChannelStatistics(each.bounds) for name, each in watched.items()}
    count = 0
    for paths, batch in rest:
        values = session.run_unchecked(batch, names)
        for name in names:
            statistics[name].add(session.batching.per_image(name, values.pop(name), len(batch)))
        count += len(paths)
        if progress is not None:
            progress(rest.consumed, len(batches))
    return statistics, count, tuple((str(path), reason) for path, reason in rest.skipped)


def _judge(units: Units, found: ChannelStatistics) -> Iterator[Finding]:
    """A channel has one fault at most: the first that fits."""
    broken = ~np.isfinite(found.mean)
    limit = 0.0 if units.rectified else DEAD
    reach = found.high if units.rectified else found.relative_range
    dead = ~broken & (reach <= limit)
    magnitude = np.where(broken, 0, np.abs(found.mean))
    relative = found.deviation / np.where(magnitude > 0, magnitude, 1)
    constant = ~broken & ~dead & (magnitude > 0) & (relative < ALWAYS_ON)
    stuck = ~broken & ~dead & ~constant & (found.stuck > SATURATED)
    for kind, where, numbers, threshold in (
        ("not finite", broken, found.mean, 0.0),
        ("dead", dead, reach, limit),
        ("always on", constant, relative, ALWAYS_ON),
        ("saturated", stuck, found.stuck, SATURATED),
    ):
        if (channels := np.flatnonzero(where)).size:
            yield _finding(kind, units.layer, units.tensor, channels, numbers, threshold)


def _finding(
    kind: str, layer: str, tensor: str, channels: np.ndarray, numbers: np.ndarray, threshold: float
) -> Finding:
    values = tuple(float(value) for value in numbers[channels])
    worst = min(values) if kind == "always on" else max(values)
    return Finding(kind, layer, tensor, tuple(map(int, channels)), values, worst, threshold)
