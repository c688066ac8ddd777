"""Functions that the sandbox's tests run in it: each tries what the sandbox should not let it do."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from onnxray.importers.errors import InputError


def write(folder: Path, text: str) -> None:
    """What a converter does."""
    (folder / "result.txt").write_text(text)


def refuse(folder: Path) -> None:
    raise InputError("expected a cat, found a dog")


def fail(folder: Path) -> None:
    raise ZeroDivisionError("first line\nsecond line")


def say_nothing(folder: Path) -> None:
    sys.exit(7)


def link(folder: Path, target: str) -> None:
    (folder / "result.txt").symlink_to(target)


def write_to(folder: Path, target: str) -> None:
    Path(target).write_text("canary")


def read_from(folder: Path, target: str) -> None:
    (folder / "result.txt").write_text(Path(target).read_text())


def remove(folder: Path, target: str) -> None:
    Path(target).unlink()


def connect(folder: Path, port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=2).close()


def start(folder: Path, target: str) -> None:
    subprocess.run(["/bin/sh", "-c", f"echo canary > {target}"], check=True)


def start_by_system(folder: Path, target: str) -> None:
    if os.system(f"echo canary > {target}"):
        raise PermissionError("the shell did not start")


def kill(folder: Path, process: int) -> None:
    os.kill(process, signal.SIGTERM)


def capabilities(folder: Path) -> None:
    (folder / "result.txt").write_text(Path("/proc/self/status").read_text())


def crash(folder: Path) -> None:
    ctypes.string_at(0)


def spin(folder: Path) -> None:
    while True:
        pass


def sleep(folder: Path) -> None:
    time.sleep(60)


def take_memory(folder: Path, size: int) -> None:
    (folder / "result.txt").write_text(str(len(bytearray(size))))


def write_much(folder: Path, size: int) -> None:
    with (folder / "result.txt").open("wb") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))


def environment(folder: Path) -> None:
    (folder / "result.txt").write_text("\n".join(os.environ))


def outlive(folder: Path) -> None:
    """A child of the child that would go on for a while."""
    process = os.fork()
    if process == 0:
        time.sleep(60)
        os._exit(0)
    (folder / "result.txt").write_text(str(process))
