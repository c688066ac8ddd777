"""Freed memory is kept once a network was made for torch, unless the user chose otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
from onnxray.engine.gradient.freed_memory import _CHOSEN_BY_USER

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")

# Page faults of two tensors of 40 MB, as MobileNetV2 has for eight images, ten times: before and after.
SCRIPT = """
import resource
import torch
from onnxray.engine.gradient.freed_memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(10_000_000) + 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
print(keep_freed_memory(), before, faults())
"""


def answers(**environment: str) -> tuple[bool, int, int]:
    """In a process of its own, as the settings stay."""
    clean = {name: value for name, value in os.environ.items() if name not in _CHOSEN_BY_USER}
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=clean | environment, capture_output=True, text=True, check=True
    )
    kept, before, after = made.stdout.split()
    return kept == "True", int(before), int(after)


def test_pages_are_not_got_anew() -> None:
    kept, before, after = answers()
    assert kept and before > 100_000 and after < before / 4


def test_left_alone_where_the_user_chose() -> None:
    kept, before, after = answers(MALLOC_MMAP_THRESHOLD_="131072")
    assert not kept and after > before / 2
