"""Session: forward runs on onnxruntime, any tensor by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .model import Model


class Session:
    """Runs a model forward. One onnxruntime session is kept per set of requested tensors."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(
        self,
        inputs: np.ndarray | Mapping[str, np.ndarray],  # [N, C, H, W] float32, or graph input -> array
        tensors: Sequence[str] | None = None,  # names of any tensors of the graph; None: the graph's outputs
    ) -> dict[str, np.ndarray]:
        """Tensor name -> value."""
        raise NotImplementedError
