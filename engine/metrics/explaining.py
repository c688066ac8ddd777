"""Methods run again: on other versions of an image, or on another network, for the targets that were decided before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..methods.attribution import Attribution, CertificateWarning
from ..targets import Target

if TYPE_CHECKING:
    from ..model import Model

Explains: TypeAlias = Callable[..., Attribution]  # (model, images, target=…)

_AT_ONCE = 8  # versions explained together


def explained_versions(
    method: Explains, model: Model, versions: Iterable[np.ndarray], targets: Sequence[Target]
) -> Iterator[Attribution]:
    """Pictures [H, W, 3] of one image explained, a few at a time, for all targets. A certificate that fails is the
    explanation's to report, not that of every version."""
    waiting = iter(versions)
    while group := list(islice(waiting, _AT_ONCE)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CertificateWarning)
            found = method(model, np.stack(group), target=list(targets))
        yield found


def values_of(found: Attribution) -> np.ndarray:  # [R, …] float64
    """What the method computed: the raw values, or the maps where those have several sizes."""
    return (found.maps if found.raw is None else found.raw).astype(np.float64)
