"""Whether a hundred calls leave something behind: memory, or tensors."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch
from onnxray.engine.batching import resident_bytes

WARM_UP, CALLS = 30, 100


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(value), torch.Tensor) for value in gc.get_objects())  # isinstance asks lazy objects


def assert_nothing_is_left(call: Callable[[], object], input_bytes: int) -> None:
    """Of CALLS calls, each with an input of that size: no tensor, and on average less than a third of an input (malloc
    alone moves by some MB)."""
    for _ in range(WARM_UP):
        call()
    tensors, held = live_tensors(), resident_bytes()
    for _ in range(CALLS):
        call()
    assert live_tensors() == tensors
    if held:  # where the system says
        assert resident_bytes() - held < CALLS * input_bytes // 3
