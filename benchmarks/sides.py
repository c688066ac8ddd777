"""Two rivals, each in a process of its own, in turn: how one keeps its memory and threads is nothing to the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Any

import numpy as np

Functions = Mapping[str, Callable[[], Any]]

_functions: Functions = {}  # of this process


class Sides:
    """Theirs and ours: `build(ours, *arguments)` makes either side's functions, by name, in its process."""

    def __init__(self, build: Callable[..., Functions], *arguments: Any) -> None:
        self._processes = [
            ProcessPoolExecutor(1, get_context("spawn"), initializer=_hold, initargs=(build, ours, arguments))
            for ours in (False, True)
        ]

    def __enter__(self) -> Sides:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.shutdown()

    def names(self) -> list[str]:
        return self._processes[0].submit(_names).result()

    def answers(self, name: str) -> tuple[Any, Any]:
        theirs, ours = (process.submit(_answer, name).result() for process in self._processes)
        return theirs, ours

    def theirs(self, name: str, rounds: int) -> list[float]:
        """Seconds of theirs alone."""
        return [self._processes[0].submit(_seconds, name).result() for _ in range(rounds)]

    def seconds(self, name: str, rounds: int) -> np.ndarray:  # [rounds, 2]
        """Of theirs and of ours."""
        return np.array(
            [[process.submit(_seconds, name).result() for process in self._processes] for _ in range(rounds)]
        )


def _hold(build: Callable[..., Functions], ours: bool, arguments: tuple[Any, ...]) -> None:
    global _functions
    _functions = build(ours, *arguments)


def _names() -> list[str]:
    return list(_functions)


def _answer(name: str) -> Any:
    return _functions[name]()


def _seconds(name: str) -> float:
    begun = time.perf_counter()
    _functions[name]()
    return time.perf_counter() - begun
