"""Whether a hundred calls leave something behind: memory, or tensors."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch
from onnxray.engine.batching import resident_bytes

WARM_UP, CALLS, ROUNDS = 30, 100, 3


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(value), torch.Tensor) for value in gc.get_objects())  # isinstance asks lazy objects


def assert_nothing_is_left(call: Callable[[], object], input_bytes: int) -> None:
    """Of CALLS calls, each with an input of that size: no tensor, and on average less than a third of an input.

    malloc alone takes some MB now and then and keeps them: what leaks grows in every round, malloc in one of them."""
    for _ in range(WARM_UP):
        call()
    tensors, left = live_tensors(), []
    for _ in range(ROUNDS):
        held = resident_bytes()
        for _ in range(CALLS):
            call()
        assert live_tensors() == tensors
        left.append(resident_bytes() - held)
        if left[-1] < CALLS * input_bytes // 3:  # 0 where the system does not say
            return
    raise AssertionError(f"{ROUNDS} rounds of {CALLS} calls each left bytes behind: {left}")
