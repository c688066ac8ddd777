"""Reductions and running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from . import operator
from .unsigned import in_int64, in_int64_modulo, signed

_Reduce = Callable[[torch.Tensor, list[int], bool], torch.Tensor]  # x, axes, keepdims
_AXES_ARE_AN_INPUT = 18  # from this opset version on; for ReduceSum since 13


def _sum(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return x.sum(axes, keepdims, dtype=x.dtype)


def _mean(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    if x.is_floating_point():
        return x.mean(axes, keepdims)
    count = torch.Size(x.shape[axis] for axis in axes).numel()
    return torch.div(_sum(x, axes, keepdims), count, rounding_mode="trunc")


def _prod(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdims, dtype=x.dtype)
    return x


def _max(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _extreme(x, axes, keepdims, torch.amax, largest=False)


def _min(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _extreme(x, axes, keepdims, torch.amin, largest=True)


def _extreme(
    x: torch.Tensor, axes: list[int], keepdims: bool, reduce: Callable[..., torch.Tensor], largest: bool
) -> torch.Tensor:
    """Of no values at all it is the other end of the type's range."""
    if all(x.shape[axis] for axis in axes):
        return reduce(x, axes, keepdims)
    return torch.full_like(_sum(x, axes, keepdims), _end_of_range(x.dtype, largest))


def _end_of_range(dtype: torch.dtype, largest: bool) -> float:
    if dtype.is_floating_point:
        return torch.inf if largest else -torch.inf
    if dtype == torch.bool:
        return largest
    return torch.iinfo(dtype).max if largest else torch.iinfo(dtype).min


def _l1(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _sum(x.abs(), axes, keepdims)


def _l2(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    """Its gradient at zero is zero."""
    return torch.linalg.vector_norm(_floating(x), dim=axes, keepdim=keepdims).to(x.dtype)


def _sum_square(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _sum(x * x, axes, keepdims)


def _log_sum(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _floating(_sum(x, axes, keepdims)).log().to(x.dtype)


def _log_sum_exp(x: torch.Tensor, axes: list[int], keepdims: bool) -> torch.Tensor:
    return _floating(x).logsumexp(axes, keepdims).to(x.dtype)


def _floating(x: torch.Tensor) -> torch.Tensor:
    return x if x.is_floating_point() else x.double()


_REDUCTIONS: dict[str, tuple[_Reduce, int]] = {
    "ReduceL1": (_l1, _AXES_ARE_AN_INPUT),
    "ReduceL2": (_l2, _AXES_ARE_AN_INPUT),
    "ReduceLogSum": (_log_sum, _AXES_ARE_AN_INPUT),
    "ReduceLogSumExp": (_log_sum_exp, _AXES_ARE_AN_INPUT),
    "ReduceMax": (_max, _AXES_ARE_AN_INPUT),
    "ReduceMean": (_mean, _AXES_ARE_AN_INPUT),
    "ReduceMin": (_min, _AXES_ARE_AN_INPUT),
    "ReduceProd": (_prod, _AXES_ARE_AN_INPUT),
    "ReduceSum": (_sum, 13),
    "ReduceSumSquare": (_sum_square, _AXES_ARE_AN_INPUT),
}


def _enter(name: str, function: _Reduce, since: int) -> None:
    @operator(name)
    @_for_wide(name)
    def by_attribute(x: torch.Tensor, *, axes: Sequence[int] | None = None, keepdims: int = 1) -> torch.Tensor:
        return _reduce(function, x, axes, bool(keepdims), False)

    @operator(name, since=since)
    @_for_wide(name)
    def by_input(
        x: torch.Tensor, axes: torch.Tensor | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0
    ) -> torch.Tensor:
        given = None if axes is None else axes.tolist()
        return _reduce(function, x, given, bool(keepdims), bool(noop_with_empty_axes))


def _for_wide(name: str) -> Callable[[Callable[..., torch.Tensor]], Callable[..., torch.Tensor]]:
    modulo = name in ("ReduceSum", "ReduceProd", "ReduceSumSquare")
    return in_int64_modulo if modulo else in_int64


def _reduce(
    function: _Reduce, x: torch.Tensor, axes: Sequence[int] | None, keepdims: bool, no_axes_are_none: bool
) -> torch.Tensor:
    axes = list(axes or (() if no_axes_are_none else range(x.dim())))
    if axes:
        return function(x, axes, keepdims)
    return function(x.unsqueeze(-1), [-1], False)  # every value for itself; to torch, no axes are all axes


for _name, _entry in _REDUCTIONS.items():
    _enter(_name, *_entry)


# -- positions ---


@operator("ArgMax")
def arg_max(x: torch.Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> torch.Tensor:
    return _position(torch.argmax, x, axis, bool(keepdims), bool(select_last_index))


@operator("ArgMin")
def arg_min(x: torch.Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> torch.Tensor:
    return _position(torch.argmin, x, axis, bool(keepdims), bool(select_last_index))


def _position(
    find: Callable[..., torch.Tensor], x: torch.Tensor, axis: int, keepdims: bool, last: bool
) -> torch.Tensor:
    """Of the first extreme value, or of the last."""
    x = signed(x)
    return x.shape[axis] - 1 - find(x.flip(axis), axis, keepdims) if last else find(x, axis, keepdims)


# -- running sums ---


@operator("CumSum")
@in_int64_modulo
def cumulative_sum(x: torch.Tensor, axis: torch.Tensor, *, exclusive: int = 0, reverse: int = 0) -> torch.Tensor:
    return _running(torch.cumsum, x, int(axis), bool(exclusive), bool(reverse), start=0)


@operator("CumProd")
@in_int64_modulo
def cumulative_product(x: torch.Tensor, axis: torch.Tensor, *, exclusive: int = 0, reverse: int = 0) -> torch.Tensor:
    return _running(torch.cumprod, x, int(axis), bool(exclusive), bool(reverse), start=1)


def _running(
    run: Callable[..., torch.Tensor], x: torch.Tensor, axis: int, exclusive: bool, reverse: bool, start: int
) -> torch.Tensor:
    """`exclusive`: each value counts from the next place on."""
    if reverse:
        return _running(run, x.flip(axis), axis, exclusive, False, start).flip(axis)
    if exclusive and x.shape[axis]:
        first = torch.full_like(x.narrow(axis, 0, 1), start)
        x = torch.cat([first, x.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return run(x, axis, dtype=x.dtype)
