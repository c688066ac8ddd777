"""Shapes that inference cannot tell, from running the network: onnxruntime is imported only when that is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from ...importers.opset import lowered
from ...importers.provenance import SEED
from .shapes import TensorType

if TYPE_CHECKING:
    import onnxruntime as ort

_SILENT = 4  # onnxruntime's log level
_LARGEST = 1 << 33  # bytes of all computed tensors at 4 an element: more is not computed just for shapes


def traced_types(
    proto: onnx.ModelProto,
    inputs: Mapping[str, TensorType],  # with full shapes
    known: Mapping[str, TensorType],
    names: Sequence[str],  # tensors of unknown shape
    folder: Path | None,
) -> dict[str, TensorType]:
    """Types of `names`, from a run on seeded random inputs and one on zeros: a dimension in which they differ depends
    on the data and stays None, and so does one of size 0.

    Raises ValueError when the network is too large to run for this, InputError or an error of onnxruntime when it
    cannot run.
    """
    stored = {tensor.name for tensor in proto.graph.initializer}
    if sum((kind.elements or 0) * 4 for name, kind in known.items() if name not in stored) > _LARGEST:
        raise ValueError("the network is too large to run it for its shapes")
    session = _open(proto, names, folder)
    first, second = (session.run(list(names), feeds) for feeds in (_random(inputs), _zeros(inputs)))
    found = {}
    for name, one, two in zip(names, first, second, strict=True):
        if isinstance(one, np.ndarray) and isinstance(two, np.ndarray) and one.ndim == two.ndim:
            dims = tuple(a if a == b and a else None for a, b in zip(one.shape, two.shape, strict=True))
            found[name] = TensorType("string" if one.dtype == object else str(one.dtype), dims)
        elif isinstance(one, list):
            found[name] = TensorType("sequence", None)
    return found


def _open(proto: onnx.ModelProto, names: Sequence[str], folder: Path | None) -> ort.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    while True:
        try:
            return onnxruntime.InferenceSession(_bytes(proto, names), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen error types and exports none
            proto = lowered(proto, str(error))  # strictly older, or it raises


def _bytes(proto: onnx.ModelProto, names: Sequence[str]) -> bytes:
    """The model with `names` as outputs: serialised protobuf messages merge when they are joined."""
    given = {value.name for value in proto.graph.output}
    extra = onnx.ModelProto()
    extra.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in given)
    return proto.SerializeToString() + extra.SerializeToString()


def _zeros(inputs: Mapping[str, TensorType]) -> dict[str, np.ndarray]:
    return {name: np.zeros(tuple(size or 1 for size in kind.shape or ()), kind.dtype) for name, kind in inputs.items()}


def _random(inputs: Mapping[str, TensorType]) -> dict[str, np.ndarray]:
    """Floats between 0 and 1, whole numbers 1: axes and sizes among the inputs then differ between the two runs."""
    generator = np.random.default_rng(SEED)
    draws = {name: generator.uniform(size=zeros.shape) for name, zeros in _zeros(inputs).items()}
    return {
        name: np.asarray(draw if np.dtype(inputs[name].dtype).kind == "f" else np.ceil(draw)).astype(inputs[name].dtype)
        for name, draw in draws.items()
    }
