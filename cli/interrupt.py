"""Ctrl-C during long work: what is done by then is kept. Pressed again it ends at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..engine.methods.attribution import Stop

INTERRUPTED = 130  # exit code, as shells have it


@contextmanager
def stoppable(progress: Callable[[float, int], None]) -> Iterator[Callable[[float, int], None]]:
    """A progress function that raises Stop once Ctrl-C was pressed."""
    pressed = False

    def on_interrupt(number: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        print("stopping, and keeping what is done; Ctrl-C again ends at once", file=sys.stderr)

    def asked(done: float, total: int) -> None:
        progress(done, total)
        if pressed:
            raise Stop

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
