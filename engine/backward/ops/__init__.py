"""Operator -> what writes its part of the backward pass."""

from __future__ import annotations

from ..step import Backward
from . import (
    activations,
    arithmetic,
    convolution,
    indexing,
    movement,
    normalisation,
    pooling,
    products,
    quantised,
    reduction,
    resizing,
)

TABLE: dict[str, Backward] = {
    **activations.TABLE,
    **arithmetic.TABLE,
    **convolution.TABLE,
    **indexing.TABLE,
    **movement.TABLE,
    **normalisation.TABLE,
    **pooling.TABLE,
    **products.TABLE,
    **quantised.TABLE,
    **reduction.TABLE,
    **resizing.TABLE,
}
