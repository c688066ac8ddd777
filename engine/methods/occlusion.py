"""occlusion: how much the score falls when a patch of the image, or of a feature map inside, is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...importers.provenance import SEED
from ..images import Images
from ..targets import Target
from .attributing import Progress, Wanted, attribution, wanted_targets
from .attribution import FOR_OR_AGAINST, Attribution, Maps, Method, Report, Together
from .covered import Covering
from .feature_maps import enlarged, image_size
from .fills import Fill, check_fill, covers, described
from .forward import forward
from .patches import Extent, sliding_over
from .surfaces import surface

if TYPE_CHECKING:
    from ..model import Model

_MEANING = {
    "image": "how much the score falls when the pixel is covered, on average over the patches that cover it",
    "layer": "how much the score falls when the place is covered, on average over the patches that cover it",
}
_ZERO = "what covers is the network's input 0: the mean colour that preprocessing subtracts"


def occlusion(
    model: Model,
    images: Images,  # files, folders, globs, or arrays [N, H, W, 3]
    *,
    target: Wanted | Sequence[Wanted] = None,  # what is explained, all in one go; None: each image's own first class
    layer: str | None = None,  # what is covered instead of the image: a feature map, a tensor or its node
    patch: Extent | None = None,  # pixels, rows and columns; None: 16; of a layer: places, a fourteenth of its sides
    stride: Extent | None = None,  # from one patch to the next; None: 8; of a layer: half of None's patch
    fill: Fill = "zero",  # what covers: zero, black, mean, blur, noise, shift:2, a colour, a level, a picture
    seed: int = SEED,  # of the noise
    memory: int | str | None = None,  # what the process may hold: 2GB
    progress: Progress | None = None,  # may raise Stop: positions that are missing then are NaN in `raw`
) -> Attribution:
    """A patch slides over the image; the score without what it covers is compared with the score of the whole image.

    Maps are [N, H, W] float32, in units of the score: above 0 what speaks for it. `raw` is [N, rows, columns], the
    score's fall at each position, from the top left; the last of a row or column may reach over the border. Each
    position changes a part of every layer only, and only that is computed, exactly (engine/incremental); where that
    saves nothing, or torch cannot run the network, onnxruntime runs the whole of it.
    With a `layer` the patch slides over that feature map and covers all its channels, and the map is enlarged to the
    image's size, bilinearly; it can be covered by zero, by each channel's mean, and by itself shifted.
    `shift:2` covers with the same, moved by 2 pixels down and right: how much the score hangs on the exact place.
    Raises InputError when the patch is larger than the image, an option is out of range, the target or layer is not in
    the network or the one does not depend on the other, or no image can be read.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2; computed as of Nakandala et al. 2019,
    doi:10.1145/3299869.3319874, without its approximations.
    """
    check_fill(fill, layer)
    targets = wanted_targets(target, model)
    on = surface(model, layer, targets, memory)
    at = sliding_over(on, patch, stride)
    covering = Covering(model, targets, on, at, memory)

    def explain(batch: np.ndarray, targets: Sequence[Target], report: Report) -> list[Maps]:
        scores = [forward(model, batch, wanted, (), memory)[0] for wanted in targets]
        seen, stopped = covering.scores(batch, covers(model, batch, layer, fill, seed), targets, report)
        falls = [score[:, None] - of_target for score, of_target in zip(scores, seen, strict=True)]
        return [
            Maps(score, drawn(at.spread(fall)), on.name, fall.reshape(len(batch), *at.grid), stopped=stopped)
            for score, fall in zip(scores, falls, strict=True)
        ]

    def drawn(maps: np.ndarray) -> np.ndarray:
        return maps if layer is None else enlarged(maps, image_size(model))

    meaning = _MEANING["image" if layer is None else "layer"]
    options = {
        "layer": layer,
        "patch": list(at.patch),
        "stride": list(at.stride),
        "fill": described(fill),
        "seed": seed,
    }
    notes = (_ZERO,) if layer is None and described(fill) == "zero" else ()
    needs: Literal["onnxruntime", "torch"] = "onnxruntime" if covering.why_whole else "torch"
    method = Method("occlusion", meaning, Together(explain), True, "score", FOR_OR_AGAINST, options, notes, needs)
    return attribution(model, images, target, method, progress)
