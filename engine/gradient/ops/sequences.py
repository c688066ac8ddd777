"""Sequences of tensors, as Python lists, and optional values, as None or the value."""

from __future__ import annotations

from typing import Any

import torch
from onnx import TypeProto

from ....importers.errors import InputError
from . import operator


@operator("SequenceConstruct")
def sequence_construct(*entries: torch.Tensor) -> list[torch.Tensor]:
    return list(entries)


@operator("SequenceEmpty")
def sequence_empty(*, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return []


@operator("SequenceInsert")
def sequence_insert(
    sequence: list[torch.Tensor], entry: torch.Tensor, position: torch.Tensor | None = None
) -> list[torch.Tensor]:
    place = len(sequence) if position is None else int(position)
    return [*sequence[:place], entry, *sequence[place:]]


@operator("SequenceErase")
def sequence_erase(sequence: list[torch.Tensor], position: torch.Tensor | None = None) -> list[torch.Tensor]:
    place = (-1 if position is None else int(position)) % len(sequence)
    return [*sequence[:place], *sequence[place + 1 :]]


@operator("SequenceAt")
def sequence_at(sequence: list[torch.Tensor], position: torch.Tensor) -> torch.Tensor:
    return sequence[int(position)]


@operator("SequenceLength")
def sequence_length(sequence: list[torch.Tensor]) -> torch.Tensor:
    return torch.tensor(len(sequence))


@operator("ConcatFromSequence")
def concat_from_sequence(sequence: list[torch.Tensor], *, axis: int, new_axis: int = 0) -> torch.Tensor:
    return (torch.stack if new_axis else torch.cat)(sequence, axis)


@operator("SplitToSequence")
def split_to_sequence(
    x: torch.Tensor, sizes: torch.Tensor | None = None, *, axis: int = 0, keepdims: int = 1
) -> list[torch.Tensor]:
    """`sizes`: of each part, or one for all, the last being smaller; without, single slices, as `keepdims` says."""
    if sizes is None:
        return list(x.split(1, axis) if keepdims else x.unbind(axis))
    return list(x.split(sizes.tolist() if sizes.dim() else int(sizes), axis))


@operator("Optional")
def optional(value: Any = None, *, type: TypeProto | None = None) -> Any:
    return value


@operator("OptionalHasElement")
def optional_has_element(value: Any = None) -> torch.Tensor:
    return torch.tensor(value is not None)


@operator("OptionalGetElement")
def optional_get_element(value: Any) -> Any:
    if value is None:
        raise InputError("OptionalGetElement: there is no value")
    return value
