"""The kernels against what people use today, and against what this machine can do.

    python benchmarks/kernels.py [KERNEL …]

A line a case: kernel, shape, the rival's and our time, the ratio, and how much of the measured roof ours reaches. The
roof is measured in the same run: operations a second of a large matrix product, or bytes a second of a copy, by torch
on the same threads. What a kernel saves is not counted as done: of a Gram matrix, the operations of one triangle.

The rivals run in turn in one process, on torch's threads both; times are medians of the rounds, ratios medians of the
rounds' ratios. Where other processes use the cores too, OMP_WAIT_POLICY=passive keeps those threads from spinning
against them. On a machine with a GPU the cases run there, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from onnxray.kernels import backends
from onnxray.kernels.gram import gram
from onnxray.kernels.unpool import max_pool, unpool
from torch.nn import functional

ROUNDS, SECONDS = 41, 2.0  # of one case: that many rounds, or fewer when they take longer
WARM_UP = 3


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    kernel: str
    shape: str
    peer: str
    theirs: Callable[[], object]
    ours: Callable[[], object]
    roof: str  # "product" or "copy"
    work: float  # operations or bytes that ours needs
    bar: float | None = None  # the least ratio
    roof_bar: float | None = None  # the least share of the roof
    error: Callable[[], float] | None = None  # ours against float64, relative to the largest value


def main(names: list[str]) -> bool:
    """Print the table; whether a bar is missed."""
    unknown = [name for name in names if name not in KERNELS]
    if unknown:
        sys.exit(f"no kernel {unknown[0]!r}; there are {', '.join(KERNELS)}")
    devices = ["cpu"] if backends()["cuda"] else ["cpu", "cuda"]
    missed = [_table(device, names) for device in devices]
    return any(missed)


def _table(device: str, names: list[str]) -> bool:
    roofs = {"product": _product_roof(device), "copy": _copy_roof(device)}
    threads = f", {torch.get_num_threads()} threads" if device == "cpu" else ""
    print(f"{device}{threads}: product {roofs['product'] / 1e9:.0f} GFLOP/s, copy {roofs['copy'] / 1e9:.1f} GB/s")
    print(f"{'kernel':10} {'shape':24} {'peer':28} {'theirs':>10} {'ours':>10} {'ratio':>6} {'roof':>6} {'bar':>5}")
    missed = [_line(case, roofs, device) for name in names for case in KERNELS[name](device)]
    return any(missed)


def _line(case: Case, roofs: dict[str, float], device: str) -> bool:
    times = _in_turn([case.theirs, case.ours], device)
    theirs, ours = np.median(times, 0)
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    share = case.work / ours / roofs[case.roof]
    missed = ratio < (case.bar or 0) or share < (case.roof_bar or 0)
    notes = f"{case.bar or '':>5}" + ("  MISSED" if missed else "")
    if case.error is not None:
        notes += f"  error {case.error():.1e}"
    print(
        f"{case.kernel:10} {case.shape:24} {case.peer:28} {theirs * 1e3:7.3f} ms {ours * 1e3:7.3f} ms {ratio:5.2f}x "
        f"{share:6.0%} {notes}",
        flush=True,
    )
    return missed


def _in_turn(rivals: list[Callable[[], object]], device: str) -> np.ndarray:
    """Seconds of each rival in each round, [rounds, rivals]."""
    rounds, end = [], time.perf_counter() + SECONDS
    while len(rounds) < WARM_UP + 5 or (len(rounds) < WARM_UP + ROUNDS and time.perf_counter() < end):
        rounds.append([_seconds(rival, device) for rival in rivals])
    return np.array(rounds[WARM_UP:])


def _seconds(function: Callable[[], object], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _product_roof(device: str) -> float:
    """Operations a second of a large float32 matrix product."""
    size = 1024 if device == "cpu" else 8192
    matrix = torch.randn(size, size, device=device)
    return 2 * size**3 / min(_in_turn([lambda: matrix @ matrix], device)[:, 0])


def _copy_roof(device: str) -> float:
    """Bytes read and written a second by a copy that no cache holds."""
    source = torch.zeros(2**26 if device == "cpu" else 2**29, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / min(_in_turn([lambda: target.copy_(source)], device)[:, 0])


GRAM_SHAPES = (  # N, C, H = W, bar on the CPU
    (1, 64, 224, 1.2),
    (1, 128, 112, None),
    (1, 256, 28, 1.6),
    (1, 256, 56, 1.6),
    (1, 512, 28, 1.6),
    (8, 256, 28, 1.6),
    (8, 512, 28, 1.6),
    (1, 512, 14, None),
    (1, 1024, 14, None),
    (1, 2048, 7, None),
)


def _gram_cases(device: str) -> Iterator[Case]:
    for images, channels, size, bar in GRAM_SHAPES:
        x = torch.randn(images, channels, size, size, device=device).relu()
        shape = f"{images}x{channels}x{size}x{size}"
        work = images * channels * (channels + 1) * size**2
        if device == "cuda":
            bar = 1.3 if channels == 512 else None
        rivals = partial(_gram_of_torch, x), partial(gram, x)
        error = partial(_gram_error, x)
        yield Case("gram", shape, "torch.bmm", *rivals, "product", work, bar, error=error)
        if images > 1:
            rivals = partial(_gradient, _gram_of_torch, x), partial(_gradient, gram, x)
            work += 2 * images * channels**2 * size**2
            yield Case("gram", shape, "torch.bmm and its gradient", *rivals, "product", work)


def _gradient(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).square().sum(), x)[0]


def _gram_of_torch(x: torch.Tensor) -> torch.Tensor:
    """As it is written everywhere."""
    flat = x.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2)) / flat[0].numel()


def _gram_error(x: torch.Tensor) -> float:
    expected = _gram_of_torch(x.double())
    return float((gram(x).double() - expected).abs().max() / expected.abs().max())


UNPOOL_SHAPES = (  # N, C, H = W, kernel, stride, padding
    (8, 64, 112, 2, 2, 0),
    (8, 64, 224, 2, 2, 0),
    (8, 128, 56, 2, 2, 0),
    (8, 64, 112, 3, 2, 1),
)


def _unpool_cases(device: str) -> Iterator[Case]:
    """The rival writes into given memory as we do; then both take new memory, whose pages are touched first."""
    for images, channels, size, kernel, stride, padding in UNPOOL_SHAPES:
        x = torch.randn(images, channels, size, size, device=device)
        y, indices = functional.max_pool2d(x, kernel, stride, padding, return_indices=True)
        switches = max_pool(x.cpu(), (kernel, kernel), stride=stride, padding=padding)[1].to(device)
        options = {"kernel": (kernel, kernel), "stride": stride, "padding": padding, "size": (size, size)}
        shape = f"{images}x{channels}x{size}x{size} {kernel}/{stride}"
        theirs, ours = torch.empty_like(x), torch.empty_like(x)
        into = partial(unpool, y, switches, **options, out=ours)
        work = x.nbytes + y.nbytes + switches.nbytes
        if kernel > stride:
            backward = torch.ops.aten.max_pool2d_with_indices_backward.grad_input
            sizes = [[kernel] * 2, [stride] * 2, [padding] * 2, [1, 1], False]
            rival = partial(backward, y, x, *sizes, indices, grad_input=theirs)
            yield Case("unpool", shape, "max_pool2d's gradient, out=", rival, into, "copy", work)
            continue
        bar, roof_bar = (None, 0.85) if device == "cuda" else (5.0, 0.7) if size == 112 else (None, None)
        rival = partial(torch._C._nn.max_unpool2d, y, indices, (size, size), out=theirs)
        yield Case("unpool", shape, "max_unpool2d, out=", rival, into, "copy", work, bar, roof_bar)
        rectified = partial(unpool, y, switches, **options, relu=True, out=ours)
        both = partial(_unpool_and_relu, rival)
        yield Case("unpool", shape, "max_unpool2d, out=, relu_", both, rectified, "copy", work)
        flat = partial(unpool, y, indices, **options, out=ours)
        more = work - switches.nbytes + indices.nbytes
        yield Case("unpool", shape, "max_unpool2d, out=, int64", rival, flat, "copy", more)
        fresh = partial(functional.max_unpool2d, y, indices, kernel), partial(unpool, y, switches, **options)
        yield Case("unpool", shape, "max_unpool2d", *fresh, "copy", work, bar)


def _unpool_and_relu(unpooling: Callable[[], torch.Tensor]) -> torch.Tensor:
    return unpooling().relu_()


KERNELS: dict[str, Callable[[str], Iterator[Case]]] = {"gram": _gram_cases, "unpool": _unpool_cases}


if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = False  # float32 means float32
    sys.exit(main(sys.argv[1:] or list(KERNELS)))
