"""Matrix products."""

from __future__ import annotations

import torch

from . import operator


@operator("Gemm", since=7)
def gemm(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> torch.Tensor:
    a, b = a.T if transA else a, b.T if transB else b
    if c is None:
        return alpha * (a @ b)
    if c.dim() == 1 and alpha == beta == 1.0:
        return torch.addmm(c, a, b)
    return alpha * (a @ b) + beta * c
