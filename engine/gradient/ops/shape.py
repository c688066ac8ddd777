"""Operators that see values only as laid out: shapes, axes, tiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from . import operator


@operator("Identity")
def identity(x: torch.Tensor) -> torch.Tensor:
    return x


@operator("Shape")
def shape(x: torch.Tensor, *, start: int = 0, end: int | None = None) -> torch.Tensor:
    """Sizes are read in Python, so they stay on the CPU wherever `x` is."""
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


@operator("Size")
def size(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor(x.numel())


@operator("Reshape", since=5)
def reshape(x: torch.Tensor, shape: torch.Tensor, *, allowzero: int = 0) -> torch.Tensor:
    sizes = shape.tolist()
    if not allowzero:
        sizes = [size or x.shape[axis] for axis, size in enumerate(sizes)]
    if not x.numel() and -1 in sizes:  # torch finds the size of an empty axis ambiguous
        others = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = x.numel() // max(others, 1)
    return x.reshape(sizes)


@operator("Flatten")
def flatten(x: torch.Tensor, *, axis: int = 1) -> torch.Tensor:
    sizes = x.shape[:axis], x.shape[axis:]
    return x.reshape([math.prod(part) for part in sizes])


@operator("Transpose")
def transpose(x: torch.Tensor, *, perm: Sequence[int] | None = None) -> torch.Tensor:
    return x.permute(*reversed(range(x.dim()))) if perm is None else x.permute(*perm)


@operator("Squeeze", since=13)
def squeeze(x: torch.Tensor, axes: torch.Tensor | None = None) -> torch.Tensor:
    return x.squeeze() if axes is None else x.squeeze(axes.tolist())


@operator("Squeeze")
def squeeze_by_attribute(x: torch.Tensor, *, axes: Sequence[int] | None = None) -> torch.Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@operator("Unsqueeze", since=13)
def unsqueeze(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    return unsqueeze_by_attribute(x, axes=axes.reshape(-1).tolist())


@operator("Unsqueeze")
def unsqueeze_by_attribute(x: torch.Tensor, *, axes: Sequence[int]) -> torch.Tensor:
    """`axes` count in the output."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("Expand")
def expand(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, shape.tolist()))


@operator("Tile", since=6)
def tile(x: torch.Tensor, repeats: torch.Tensor) -> torch.Tensor:
    return x.repeat(repeats.tolist())


@operator("DepthToSpace")
def depth_to_space(x: torch.Tensor, *, blocksize: int, mode: str = "DCR") -> torch.Tensor:
    """[N, C·b·b, H, W] -> [N, C, H·b, W·b]; the channels count block first (DCR) or block last (CRD)."""
    n, c, h, w = x.shape
    depth = c // blocksize**2
    if mode == "CRD":
        blocks = x.reshape(n, depth, blocksize, blocksize, h, w).permute(0, 1, 4, 2, 5, 3)
    else:
        blocks = x.reshape(n, blocksize, blocksize, depth, h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, depth, h * blocksize, w * blocksize)


@operator("SpaceToDepth")
def space_to_depth(x: torch.Tensor, *, blocksize: int, mode: str = "DCR") -> torch.Tensor:
    """[N, C, H·b, W·b] -> [N, C·b·b, H, W]; the inverse of DepthToSpace."""
    n, c, h, w = x.shape
    h, w = h // blocksize, w // blocksize
    order = (0, 1, 3, 5, 2, 4) if mode == "CRD" else (0, 3, 5, 1, 2, 4)
    blocks = x.reshape(n, c, h, blocksize, w, blocksize).permute(*order)
    return blocks.reshape(n, c * blocksize**2, h, w)
