"""sanity_check: the quick tests that every explanation should pass, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...importers.provenance import SEED
from ..images import Images
from ..methods.attributing import Progress
from ..methods.attribution import Attribution
from ..methods.options import check_count
from ..results import Result
from .completeness import completeness
from .explaining import Explains
from .insertion_deletion import insertion_deletion
from .max_sensitivity import max_sensitivity
from .randomisation import Randomisation, randomisation
from .scoring import Targets

if TYPE_CHECKING:
    from ..model import Model

_LAYERS = 3  # of the cascade: the output's, one in the middle, all
_ELSEWHERE = 3  # maps for the reference


@dataclass(frozen=True)
class Check:
    """One number, and what to hold it against."""

    name: str
    value: float | None  # mean over the rows; None: no row has one
    reference: float | None  # the same of a random map, or the bound; None: there is none
    good: str  # what good looks like


@dataclass(frozen=True)
class SanityCheck(Result):
    """A method's explanation of some images, checked."""

    method: str
    images: tuple[str, ...]  # [R]
    targets: tuple[str, ...]  # [R]
    checks: tuple[Check, ...]
    settings: Mapping[str, Any]


def sanity_check(
    model: Model,
    found: Attribution,
    images: Images,  # those that were explained
    method: Explains,  # what made `found`: method(model, images, target=…); functools.partial holds options
    *,
    target: Targets = None,  # what was explained
    steps: int = 30,  # of insertion and deletion
    samples: int = 10,  # changed versions of each image
    seed: int = SEED,
    memory: int | str | None = None,  # of insertion and deletion: what the process may hold: 2GB
    progress: Progress | None = None,  # called with (tests done, tests in all)
) -> SanityCheck:
    """Whether the values add up, where the method promises it; whether the map finds what the score depends on; whether
    it stays when the image hardly changes; whether it goes when the network forgets. Values are means over the rows.

    The areas under the curves stand beside those of the same maps moved elsewhere (around the edges, by a quarter of
    each side at least). Noise would be no reference: pixels taken out one by one make a pattern of their own, which
    brings down any score faster than losing the thing does.
    Raises InputError as the metrics and the method do.
    Source: Petsiuk et al. 2018, arXiv:1806.07421; Yeh et al. 2019, arXiv:1901.09392; Adebayo et al. 2018,
    arXiv:1810.03292; Sundararajan et al. 2017, arXiv:1703.01365.
    """
    check_count("steps", steps)
    check_count("samples", samples)
    tests = _ELSEWHERE + 3

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, tests)

    curves = []
    for done, maps in enumerate((found, *_elsewhere(found, seed)), 1):
        curves.append(insertion_deletion(model, maps, images, target=target, steps=steps, seed=seed, memory=memory))
        tell(done)
    changed = max_sensitivity(model, images, method, target=target, samples=samples, seed=seed)
    tell(tests - 1)
    forgetting = randomisation(model, images, method, target=target, layers=_LAYERS, independent=False, seed=seed)
    tell(tests)
    checks = (
        *_sums(model, found, images),
        _area("deletion AUC", "below", [result.deletion_auc for result in curves]),
        _area("insertion AUC", "above", [result.insertion_auc for result in curves]),
        Check("max-sensitivity", _mean(changed.sensitivity), None, "near 0; at 1 it changes by as much as it is large"),
        *_forgotten(forgetting),
    )
    settings = {"steps": steps, "samples": samples, "seed": seed}
    return SanityCheck(found.method, found.images, found.targets, checks, settings)


def _elsewhere(found: Attribution, seed: int) -> list[Attribution]:
    """The same maps moved around the edges: as fine and as strong, and in another place."""
    generator = np.random.default_rng(seed)
    size = np.array(found.maps.shape[1:])
    moves = generator.integers(size // 4, size - size // 4 + 1, (_ELSEWHERE, 2))
    return [replace(found, maps=np.roll(found.maps, move, (1, 2))) for move in moves]


def _sums(model: Model, found: Attribution, images: Images) -> list[Check]:
    if found.gap is None:
        return []
    share = completeness(model, found, images).share
    return [Check("completeness gap", _mean(share), None, "near 0: the values add up to the score's change")]


def _area(name: str, good: str, areas: Sequence[np.ndarray]) -> Check:
    """The map's own area first, those of the reference behind it."""
    return Check(
        name, _mean(areas[0]), _mean(np.concatenate(areas[1:])), f"{good} the reference, the map moved elsewhere"
    )


def _forgotten(forgetting: Randomisation) -> list[Check]:
    last = forgetting.layers[-1]
    checks = []
    for layer in forgetting.layers:
        where = "every layer random" if layer is last else f"random from the output to {layer.layer}"
        assert layer.cascading is not None
        good = "near 0; the reference is a map that ignores the network"
        checks.append(Check(f"rank correlation, {where}", _mean(layer.cascading.largest), 1.0, good))
    return checks


def _mean(values: np.ndarray) -> float | None:
    """Over those that say something: a flat map has no correlation, a score that stays no share."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
