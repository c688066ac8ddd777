"""guided_backprop: the fine structure that a score responds to, through what is active and speaks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..images import Images
from .attributing import Progress, Wanted, attribution, wanted_targets
from .attribution import PER_GREY_LEVEL, Attribution, Method
from .rectified import DARKER_OR_BRIGHTER, check_rectifiers, explain_by

if TYPE_CHECKING:
    from ..model import Model

_MEANING = "the score's gradient per grey level, all that is negative left out at every ReLU on its way back"
_NOTE = "guided backpropagation shows structure that is there; much of it looks alike for every target"


def guided_backprop(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained; None: each image's own first class
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,
) -> Attribution:
    """The gradient of a score, rectified on its way back at every ReLU, which lets it pass only where it is active too.

    Maps are [N, H, W] float32, summed over the channels, in score per grey level: positive where a brighter pixel
    raises the score. `raw` is [N, C, H, W], in score per unit of the network's input.
    GELU, SiLU and the like count as ReLUs (engine/gradient/rules.py).
    Raises InputError when nothing before the target rectifies, the target is not in the network, gradients do not
    reach it, or no image can be read.
    Source: Springenberg et al. 2014, Striving for Simplicity, arXiv:1412.6806, section 3.4 and figure 1.
    """
    from ..gradient.rules import GUIDED

    targets = wanted_targets(target, model)
    check_rectifiers("guided_backprop", model, targets)
    explain = explain_by(GUIDED, model, memory)
    method = Method("guided_backprop", _MEANING, explain, True, PER_GREY_LEVEL, DARKER_OR_BRIGHTER, notes=(_NOTE,))
    return attribution(model, images, targets, method, progress)
