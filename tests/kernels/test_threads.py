"""The threads of the kernels: our own pool where torch is not loaded, torch's where it is; forks, several callers."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from onnxray.kernels.gram import gram

# A result that a single thread found is the oracle: the number of threads changes no bit.
COMPARE = """
import os, sys, threading
import numpy as np
from onnxray.kernels import set_threads
from onnxray.kernels.gram import gram
x = np.random.default_rng(0).standard_normal((2, 150, 900), np.float32)
set_threads(1)
expected = gram(x)
set_threads(4)
def same():
    return all((gram(x) == expected).all() for _ in range(20))
assert same()
"""
FORK = """
child = os.fork()
if child == 0:
    os._exit(0 if same() else 1)
assert os.waitpid(child, 0)[1] == 0
assert same()
"""
CALLERS = """
answers = []
callers = [threading.Thread(target=lambda: answers.append(same())) for _ in range(4)]
for caller in callers: caller.start()
for caller in callers: caller.join()
assert answers == [True] * 4
"""


@pytest.mark.parametrize("then", ["", FORK, CALLERS, FORK + CALLERS], ids=["alone", "fork", "callers", "both"])
def test_our_own_pool(then: str) -> None:
    code = f"{COMPARE}{then}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_torch_s_threads_from_several_callers() -> None:
    x = np.random.default_rng(0).standard_normal((2, 150, 900), np.float32)
    expected, answers = gram(x), []
    callers = [threading.Thread(target=lambda: answers.append((gram(x) == expected).all())) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(answers) and len(answers) == 4


def test_a_forked_worker_of_torch_does_not_hang() -> None:
    code = """
import warnings
import torch
from torch.utils.data import DataLoader, Dataset
from onnxray.kernels.gram import gram
warnings.simplefilter("ignore")
class Images(Dataset):
    def __len__(self): return 2
    def __getitem__(self, at): return gram(torch.full((2, 150, 900), float(at)))
torch.ones(600, 600) @ torch.ones(600, 600)
gram(torch.ones(2, 150, 900))
found = list(DataLoader(Images(), batch_size=None, num_workers=1, multiprocessing_context="fork"))
assert [float(matrix[1, 2, 3]) for matrix in found] == [0, float(torch.tensor(1 / 150))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
