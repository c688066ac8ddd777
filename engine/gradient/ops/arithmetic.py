"""Elementwise arithmetic, comparison and logic."""

from __future__ import annotations

import torch

from . import operator


@operator("Add", since=7)
def add(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a + b
