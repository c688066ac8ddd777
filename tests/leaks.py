"""Whether a hundred calls leave something behind: memory, or tensors."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache

import torch
from onnxray.engine.batching import resident_bytes

WARM_UP, CALLS, ROUNDS = 10, 100, 3


class _Mallinfo2(ctypes.Structure):
    """What glibc (2.33) tells of its heaps, mallinfo(3); bytes except for the two counts."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


@cache
def _mallinfo2() -> Callable[[], _Mallinfo2] | None:
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is not None:
        function.restype = _Mallinfo2
    return function


def bytes_in_use() -> int:
    """What malloc has handed out and not got back: resident memory does not grow where a leak fills freed memory."""
    mallinfo2 = _mallinfo2()
    if mallinfo2 is None:
        return resident_bytes()
    told = mallinfo2()
    return int(told.uordblks + told.hblkhd)


def live_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(value), torch.Tensor) for value in gc.get_objects())  # isinstance asks lazy objects


def assert_nothing_is_left(call: Callable[[], object], input_bytes: int) -> None:
    """Of CALLS calls, each with an input of that size: no tensor, and on average less than a third of an input.

    Caches may grow now and then: what leaks grows in every round."""
    for _ in range(WARM_UP):
        call()
    tensors, left = live_tensors(), []
    for _ in range(ROUNDS):
        held = bytes_in_use()
        for _ in range(CALLS):
            call()
        assert live_tensors() == tensors
        left.append(bytes_in_use() - held)
        if left[-1] < CALLS * input_bytes // 3:  # 0 where the system does not say
            return
    raise AssertionError(f"{ROUNDS} rounds of {CALLS} calls each left bytes behind: {left}")
