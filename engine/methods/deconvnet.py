"""deconvnet: the structure in the image that a unit answers to, by the network run backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...importers.errors import InputError
from ..images import Images
from ..targets import Channel, Target
from .attributing import Progress, Wanted, attribution, wanted_targets
from .attribution import PER_GREY_LEVEL, Attribution, Method
from .options import check_choice
from .rectified import DARKER_OR_BRIGHTER, check_rectifiers, explain_by, kinds_before

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the unit run backwards, per grey level: ReLUs of what comes back, maxima to where they came from"
_NO_SWITCHES = (
    "nothing before {} takes maxima: without their switches the map hardly depends on the image; guided_backprop's does"
)
_UNITS = ("all", "strongest")


def deconvnet(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    unit: str = "all",  # all places that the score reads; or, of a channel, the strongest, all others zeroed
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """A unit run back to the image through transposed convolutions, switches of the maxima, and ReLUs.

    That is its gradient with another rule at ReLUs, which here rectify what comes back, whatever went forward. The
    paper begins with the unit's activation, here it is 1, so that maps are of one unit of the score.
    Maps are [N, H, W] float32, summed over the channels, in score per grey level: positive where a brighter pixel
    raises the score. `raw` is [N, C, H, W], in score per unit of the network's input.
    `unit`: "strongest" is the paper's: of a target such as conv5:17 only the strongest place in each image.
    GELU, SiLU and the like count as ReLUs (engine/gradient/rules.py). Without max pooling every image gets nearly the
    same map (arXiv:1412.6806, section 3.4), which a note says.
    Raises InputError when nothing before the target rectifies, `unit` does not fit the target, the target is not in
    the network, gradients do not reach it, or no image can be read.
    Source: Zeiler and Fergus 2013, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901, section 2.1.
    """
    from ..gradient.rules import DECONVNET

    check_choice("unit", unit, _UNITS)
    targets = wanted_targets(target, model)
    if unit == "strongest":
        targets = [_strongest(entry) for entry in targets]
    check_rectifiers("deconvnet", model, targets)
    explain, options = explain_by(DECONVNET, model, memory), {"unit": unit}
    tensors = dict.fromkeys(entry.tensor(model) for entry in targets)
    notes = tuple(_NO_SWITCHES.format(name) for name in tensors if "MaxPool" not in kinds_before(model, name))
    method = Method("deconvnet", _MEANING, explain, True, PER_GREY_LEVEL, DARKER_OR_BRIGHTER, options, notes)
    return attribution(model, images, targets, method, progress)


@dataclass(frozen=True)
class _StrongestPlace(Channel):
    """The largest value of one channel in each image."""

    @property
    def label(self) -> str:
        return f"{super().label}, its strongest place"

    def score(self, value: Any) -> Any:
        places = value[self._where(value.shape)].reshape(len(value), -1)
        return places[list(range(len(places))), places.argmax(1)]


def _strongest(target: Target) -> Target:
    if not isinstance(target, Channel):
        raise InputError(f"unit 'strongest' expects a channel as target, LAYER:17, say; found {target.label}")
    return _StrongestPlace(target.layer, target.channel, target.axis)
