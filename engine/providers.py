"""onnxruntime's execution providers: which of them work on this machine, and opening a session on them."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from ..importers.errors import InputError, nearest_names
from ..importers.opset import lowered, refusal_reason

if TYPE_CHECKING:
    import onnxruntime as ort

_SUFFIX = "ExecutionProvider"
_AUTOMATIC = ("CUDA", "CPU")  # tried in this order; the others (TensorRT compiles for minutes) only by name
_SILENT, _WARNINGS = 4, 2  # onnxruntime's log levels; warnings are its default, errors it raises as well


def choose_providers(names: Sequence[str] | None) -> list[str]:
    """onnxruntime's provider names for `names` ("cuda", "cpu" …), the CPU always last; None: the best that works.

    Raises InputError when one is unknown or does not work here, with the reason.
    """
    if names is None:
        return [f"{name}{_SUFFIX}" for name in _AUTOMATIC if why_not(name) is None]
    known = {name.lower(): name for name in available()}
    chosen = []
    for name in names:
        short = name.removesuffix(_SUFFIX).lower()
        if short not in known:
            raise InputError(f"onnxruntime here has no provider {name!r}; {nearest_names(short, known)}")
        reason = why_not(known[short])
        if reason is not None:
            raise InputError(f"the provider {name!r} does not work here: {reason}")
        chosen.append(f"{known[short]}{_SUFFIX}")
    return list(dict.fromkeys([*chosen, f"CPU{_SUFFIX}"]))


def available() -> list[str]:
    """Short names of the providers that this build of onnxruntime was compiled with."""
    import onnxruntime

    return [name.removesuffix(_SUFFIX) for name in onnxruntime.get_available_providers()]


@cache
def why_not(name: str) -> str | None:
    """Why a provider does not work on this machine, or None when it does. Asked by opening a one-node network on it.

    onnxruntime reports missing libraries on stderr and goes on without; here that becomes the reason.
    """
    if name == "CPU":
        return None
    if name not in available():
        return "this onnxruntime was built without it"
    if name in ("CUDA", "Tensorrt") and not _cuda_devices():
        return "no NVIDIA driver with a device"
    with _quiet() as said:
        _preload_cuda(name)
        try:
            session = _onnxruntime_session(_identity(), _options(_SILENT), [f"{name}{_SUFFIX}", f"CPU{_SUFFIX}"])
        except Exception as error:
            return refusal_reason(str(error))
    if f"{name}{_SUFFIX}" not in session.get_providers():
        return " ".join(said.getvalue().split()) or "its libraries cannot be loaded"
    return None


def _cuda_devices() -> int:
    """Devices that the NVIDIA driver offers; the driver is asked itself, without any CUDA library."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _preload_cuda(name: str) -> None:
    """CUDA and cuDNN from the nvidia-* packages, where they are installed."""
    import onnxruntime

    if name == "CUDA" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """No word from onnxruntime on stderr; what its Python part prints is caught."""
    import onnxruntime

    said = io.StringIO()
    onnxruntime.set_default_logger_severity(_SILENT)
    try:
        with contextlib.redirect_stdout(said):
            yield said
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)


def _identity() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def _options(
    severity: int,
    *,
    arena: bool = True,
    folder: Path | None = None,
    profile: Path | None = None,
    optimised: bool = True,
) -> ort.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    # The arena keeps every buffer it ever had; under a memory budget it must not.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if profile is not None or not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return options


def _onnxruntime_session(data: bytes, options: ort.SessionOptions, providers: list[str]) -> ort.InferenceSession:
    import onnxruntime

    return onnxruntime.InferenceSession(data, options, providers=providers)


def open_session(
    proto: onnx.ModelProto,
    outputs: Sequence[str],  # tensors to give besides the graph's own outputs
    providers: list[str],
    *,
    folder: Path | None = None,  # where the weights lie that are not in `proto`
    arena: bool = True,
    profile: Path | None = None,  # where onnxruntime writes what each node took, as the file has it: not optimised
    optimised: bool = True,  # whether nodes may be fused
) -> ort.InferenceSession:
    """An onnxruntime session that gives `outputs` too. They survive its optimisations, being outputs of the graph.

    A model newer than this onnxruntime is lowered: its format version, then its operators by onnx's converter.
    Raises InputError when onnxruntime cannot run the model.
    """
    options = _options(_SILENT, arena=arena, folder=folder, profile=profile, optimised=optimised)
    while True:
        data = _with_outputs(proto, outputs)
        try:
            return _onnxruntime_session(data, options, providers)
        except Exception as error:  # onnxruntime has a dozen error types and documents none
            proto = lowered(proto, str(error))  # strictly older, or it raises


def _with_outputs(proto: onnx.ModelProto, outputs: Sequence[str]) -> bytes:
    """The model's bytes with more graph outputs: protobuf messages written one after another merge when read, so
    neither the model handed in is changed nor its weights are copied once more."""
    extra = onnx.ModelProto()
    extra.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    try:
        return proto.SerializeToString() + extra.SerializeToString()
    except Exception as error:  # 2 GB is protobuf's limit; each of its implementations raises another type
        raise InputError(
            f"the model cannot be handed to onnxruntime ({error}); keep its weights as external data"
        ) from None
