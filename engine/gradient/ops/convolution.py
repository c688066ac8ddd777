"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from ...structure.window_pads import Sides, halved, window_pads
from . import operator
from .padding import pad, symmetric

CONVOLUTIONS: dict[int, Callable[..., torch.Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., torch.Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def spatial_rank(name: str, x: torch.Tensor) -> int:
    """Number of spatial axes, which torch takes up to three of."""
    rank = x.dim() - 2
    if rank not in CONVOLUTIONS:
        raise InputError(f"{name} over {rank} spatial axes: torch has one to three")
    return rank


@operator("Conv")
def conv(
    x: torch.Tensor,  # [N, C, …]
    w: torch.Tensor,  # [M, C / group, …]
    b: torch.Tensor | None = None,  # [M]
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    rank = spatial_rank("Conv", x)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    sides = window_pads(x.shape[2:], w.shape[2:], strides, dilations, pads, auto_pad)
    if not symmetric(sides):
        x, sides = pad(x, sides), [(0, 0)] * rank
    return CONVOLUTIONS[rank](x, w, b, strides, [begin for begin, _ in sides], dilations, group)


@operator("ConvTranspose")
def conv_transpose(
    x: torch.Tensor,  # [N, C, …]
    w: torch.Tensor,  # [C, M / group, …]
    b: torch.Tensor | None = None,  # [M]
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    rank = spatial_rank("ConvTranspose", x)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    extras = output_padding or [0] * rank
    full = [
        (size - 1) * stride + extra + (kernel - 1) * dilation + 1
        for size, stride, extra, kernel, dilation in zip(
            x.shape[2:], strides, extras, w.shape[2:], dilations, strict=True
        )
    ]
    sides = _transposed_pads(full, x.shape[2:], strides, pads, auto_pad, output_shape)
    # What the end is cut by less than the begin is torch's output padding, if the kernel's reach allows.
    ends = [extra + begin - end for extra, (begin, end) in zip(extras, sides, strict=True)]
    fits = all(0 <= end < max(reach) for end, *reach in zip(ends, strides, dilations, strict=True))
    function = _TRANSPOSED[rank]
    if fits and all(begin >= 0 for begin, _ in sides):
        return function(x, w, b, strides, [begin for begin, _ in sides], ends, group, dilations)
    y = function(x, w, None, strides, 0, 0, group, dilations)
    y = pad(y, [(-begin, extra - end) for extra, (begin, end) in zip(extras, sides, strict=True)])
    return y if b is None else y + b.reshape(-1, *[1] * rank)


def _transposed_pads(
    full: Sequence[int],  # [spatial] of the output before anything is cut off
    size: Sequence[int],  # [spatial] of the input
    strides: Sequence[int],
    pads: Sequence[int] | None,
    auto_pad: str,
    output_shape: Sequence[int] | None,
) -> Sides:
    """What is cut off at both sides; the pads where nothing else says."""
    rank = len(full)
    same, upper = auto_pad in ("SAME_UPPER", "SAME_LOWER"), auto_pad == "SAME_UPPER"
    if output_shape:  # too large a one is filled up at the end
        wanted = output_shape[-rank:]
        begins = [halved(max(0, whole - out), not upper)[0] for whole, out in zip(full, wanted, strict=True)]
        return [(begin, whole - out - begin) for begin, whole, out in zip(begins, full, wanted, strict=True)]
    if same:
        totals = [whole - count * stride for whole, count, stride in zip(full, size, strides, strict=True)]
        return [halved(max(0, total), not upper) for total in totals]
    return window_pads(full, [1] * rank, strides, strides, pads, auto_pad)


@operator("DeformConv", since=19)
def deform_conv(
    x: torch.Tensor,  # [N, C, H, W]
    w: torch.Tensor,  # [M, C / group, h, w]
    offset: torch.Tensor,  # [N, offset_group * h * w * 2, H', W'], (y, x) a tap
    b: torch.Tensor | None = None,  # [M]
    mask: torch.Tensor | None = None,  # [N, offset_group * h * w, H', W']
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:
    """Every tap of the kernel reads where its offset says, bilinearly, zero outside (arXiv:1811.11168, eq. 1)."""
    if x.dim() != 4:
        raise InputError(f"DeformConv of a tensor with {x.dim()} axes: only [N, C, H, W] can be done")
    n, out = x.shape[0], tuple(offset.shape[2:])
    taps = w.shape[2:].numel()
    places = _tap_places(x, w, out, strides or (1, 1), pads or (0, 0, 0, 0), dilations or (1, 1))
    places = places + offset.reshape(n * offset_group, taps, 2, *out)
    read = _read_bilinear(x.reshape(n * offset_group, -1, *x.shape[2:]), places)  # [N G, C / G, taps, H', W']
    if mask is not None:
        read = read * mask.reshape(n * offset_group, 1, taps, *out)
    columns = read.reshape(n, group, -1, out[0] * out[1])
    y = (w.reshape(group, w.shape[0] // group, -1) @ columns).reshape(n, -1, *out)
    return y if b is None else y + b.reshape(-1, 1, 1)


def _tap_places(
    x: torch.Tensor,
    w: torch.Tensor,
    out: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
) -> torch.Tensor:  # [taps, 2, H', W'], pixels of x
    """Where a plain convolution would read."""
    axes = []
    for axis in range(2):
        starts = torch.arange(out[axis], device=x.device) * strides[axis] - pads[axis]
        steps = torch.arange(w.shape[2 + axis], device=x.device) * dilations[axis]
        axes.append(steps[:, None] + starts)  # [kernel, out]
    shape = (*w.shape[2:], *out)
    y = axes[0][:, None, :, None].expand(shape)
    return torch.stack((y, axes[1][None, :, None, :].expand(shape)), 2).flatten(0, 1).to(x.dtype)


def _read_bilinear(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """x [N, C, H, W] at `places` [N, K, 2, H', W'] -> [N, C, K, H', W']."""
    count, out = places.shape[1], places.shape[3:]
    size = torch.tensor(x.shape[2:], dtype=x.dtype, device=x.device).reshape(2, 1, 1)
    grid = (2 * places + 1) / size - 1  # of pixel centres, with the edges of the image at -1 and 1
    grid = grid.flip(2).permute(0, 1, 3, 4, 2).flatten(1, 2)
    read = F.grid_sample(x, grid, "bilinear", "zeros", align_corners=False)
    return read.reshape(*x.shape[:2], count, *out)


@operator("Col2Im", since=18)
def col2im(
    columns: torch.Tensor,  # [N, C * taps, blocks]
    image_shape: torch.Tensor,
    block_shape: torch.Tensor,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> torch.Tensor:  # [N, C, *image_shape]
    """The sum of all blocks, each at its place."""
    image, block = image_shape.tolist(), block_shape.tolist()
    rank = len(image)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    sides = window_pads(image, block, strides, dilations, pads, "NOTSET")
    padded = [size + begin + end for size, (begin, end) in zip(image, sides, strict=True)]
    places = torch.zeros([1] * 2 * rank, dtype=torch.long, device=columns.device)  # [*block, *blocks]
    for axis, (size, taps, stride, dilation) in enumerate(zip(padded, block, strides, dilations, strict=True)):
        starts = torch.arange((size - dilation * (taps - 1) - 1) // stride + 1, device=columns.device) * stride
        steps = torch.arange(taps, device=columns.device) * dilation
        index = (steps[:, None] + starts).reshape(
            [taps if a == axis else len(starts) if a == rank + axis else 1 for a in range(2 * rank)]
        )
        places = places * size + index
    taps = places.shape[:rank].numel()
    values = columns.reshape(columns.shape[0], columns.shape[1] // taps, -1)
    flat = values.new_zeros(*values.shape[:2], torch.Size(padded).numel())
    summed = flat.index_add(2, places.flatten(), values).reshape(*values.shape[:2], *padded)
    return pad(summed, [(-begin, -end) for begin, end in sides])


@operator("CausalConvWithState", since=27, several=True)
def causal_conv_with_state(
    x: torch.Tensor,  # [N, C, L]
    w: torch.Tensor,  # [C, 1, k]
    b: torch.Tensor | None = None,  # [C]
    past: torch.Tensor | None = None,  # [N, C, k - 1], the positions before x
    *,
    activation: str = "none",
) -> tuple[torch.Tensor, torch.Tensor]:  # like x; the last k - 1 positions
    before = w.shape[2] - 1
    x = F.pad(x, (before, 0)) if past is None else torch.cat((past, x), 2)
    y = F.conv1d(x, w, b, groups=x.shape[1])
    return F.silu(y) if activation in ("silu", "swish") else y, x[:, :, x.shape[2] - before :]
