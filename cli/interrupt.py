"""Ctrl-C during long work: what is done by then is kept. Pressed again it ends at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..engine.methods.attributing import Progress
from ..engine.methods.attribution import Stop

INTERRUPTED = 130  # exit code, as shells have it


class Interrupt:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def stops(self, progress: Progress) -> Progress:
        """A progress function that raises Stop once it was."""

        def asked(done: float, total: int) -> None:
            progress(done, total)
            if self.pressed:
                raise Stop

        return asked

    def press(self, number: int, frame: Any) -> None:
        """What the system calls."""
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True
        print("stopping, and keeping what is done; Ctrl-C again ends at once", file=sys.stderr)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Ctrl-C is noted instead of raised."""
    interrupt = Interrupt()
    before = signal.signal(signal.SIGINT, interrupt.press)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
