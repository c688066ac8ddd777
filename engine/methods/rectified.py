"""What guided_backprop and deconvnet share: gradients of which ReLUs and their like let only what is positive pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ...importers.errors import InputError
from ..images import image_input
from ..targets import Target
from .attribution import Explain, Maps
from .gradients import image_gradients
from .saliency import brightening

if TYPE_CHECKING:
    from ..gradient.rules import Rule
    from ..model import Model

DARKER_OR_BRIGHTER = ("darker", "brighter")  # what the first and last colour mean
_NAMED = 5  # operators in a message


def explain_by(rule: Rule, model: Model, memory: int | str | None) -> Explain:
    """Gradients by that rule, [n, C, H, W]; a map is their sum along one more grey level in every channel."""
    image = image_input(model)[0]

    def explain(batch: np.ndarray, wanted: Target) -> Maps:
        scores, gradient = image_gradients(model, batch, wanted, memory, rule)
        return Maps(scores, brightening(gradient, model.spec.scale), image, gradient)

    return explain


def check_rectifiers(method: str, model: Model, targets: Iterable[Target]) -> None:
    """Raise InputError where there is no ReLU or its like before a target: the rule would change nothing."""
    from ..structure.rectifiers import RECTIFIERS

    for tensor in dict.fromkeys(target.tensor(model) for target in targets):
        kinds = kinds_before(model, tensor)
        if not kinds.keys() & set(RECTIFIERS):
            found = ", ".join(list(kinds)[:_NAMED]) or "nothing"
            raise InputError(
                f"{method} expects a network with ReLU, GELU or the like before {tensor}, found {found}; "
                "saliency and integrated_gradients fit every network"
            )


def kinds_before(model: Model, tensor: str) -> dict[str, None]:
    """Operators, and the activations that chains of them stand for, of all that the tensor is computed from."""
    from ..gradient.constants import Constants
    from ..gradient.kinds import kind, recognise_activations
    from ..gradient.rules import PLAIN
    from ..gradient.variants import Variants

    network = model.torch()
    part = Variants(network.module, fused=False).get([network.tensors[tensor]], PLAIN)
    recognise_activations(part.graph, Constants(part))
    return {name: None for name in map(kind, part.graph.nodes) if name}
