"""If, Loop and Scan: modules that hold the bodies and run them as the values at hand say.

All are called with the node's inputs followed by the tensors that the bodies capture, which the bodies take last.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn


class If(nn.Module):
    """One of two branches; neither has inputs but what it captures."""

    def __init__(self, then_branch: fx.GraphModule, else_branch: fx.GraphModule, n_inputs: int, version: int) -> None:
        super().__init__()
        self.then_branch, self.else_branch = then_branch, else_branch

    def forward(self, condition: torch.Tensor, *captured: torch.Tensor) -> Any:
        return (self.then_branch if bool(condition) else self.else_branch)(*captured)


CONTROL_FLOW: dict[str, Any] = {"If": If}
