"""Scores of images by the network that gradients are taken of: a forward pass and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..targets import Target

if TYPE_CHECKING:
    from ..model import Model


def image_scores(model: Model, batch: np.ndarray, target: Target) -> np.ndarray:  # [n]
    """What the target, settled for n images, says of n images of the network's input."""
    import torch  # which targets of one's own may rely on

    tensor = target.tensor(model)
    value = model.torch().run(batch, [tensor])[tensor]
    return np.asarray(target.score(torch.from_numpy(value)))
