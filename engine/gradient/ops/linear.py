"""Matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from . import operator
from .unsigned import in_int64_modulo


@operator("Gemm", since=7)
@in_int64_modulo
def gemm(
    a: torch.Tensor,  # [M, K]; transA: [K, M]
    b: torch.Tensor,  # [K, N]; transB: [N, K]
    c: torch.Tensor | None = None,  # broadcast to [M, N]
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> torch.Tensor:
    a = a.T if transA else a
    plain = alpha == 1 and (beta == 1 or c is None)
    if plain and transB and (c is None or (c.dim() == 1 and c.shape[0] == b.shape[0])):
        return F.linear(a, b, c)
    b = b.T if transB else b
    if not a.is_floating_point():
        alpha, beta = int(alpha), int(beta)
    if c is None:
        return a @ b if plain else alpha * (a @ b)
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)


@operator("MatMul")
@in_int64_modulo
def matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.matmul(a, b)


@operator("Einsum")
@in_int64_modulo
def einsum(*operands: torch.Tensor, equation: str) -> torch.Tensor:
    return torch.einsum(equation, *operands)


@operator("Det")
def det(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.det(x)
