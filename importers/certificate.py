"""Parity certificate: how far the converted graph is from an independent run of the file it came from.

An importer whose format has an independent reader offers `reference(path, companion, proto, names) -> Reference`; like
`read` it gets the format's options as keywords. The same input goes through that reader and, converted, through
onnxruntime; the certificate says how far apart they end.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .errors import InputError
from .input_spec import get_metadata, set_metadata

METADATA_KEY = "onnxray.certificate"
BAR = 1e-4  # largest difference allowed, as a share of the output's range
_SHOWN = 5  # names in a message
_NOTHING = np.empty(0, bool)
_ONE_STEP = 1.001  # steps: the difference of two multiples of one is not exact


@dataclass(frozen=True)
class Reference:
    """What an independent reader of the source file computes."""

    name: str  # "OpenCV 4.14.0"
    reads: str  # what it was given: "the original files"
    feeds: Mapping[str, np.ndarray]  # graph input -> value that both sides get
    values: Mapping[str, np.ndarray]  # tensor name -> what the reader has for it
    # Where the source rounds what its operators make: tensor -> the size of a step. A number in the middle between two
    # steps goes either way, and the next operators make more of it: so each is compared on the reader's own inputs.
    steps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One tensor, computed by both sides."""

    name: str
    shape: tuple[int, ...]
    difference: float  # largest absolute difference
    range: float  # of the source's values: largest minus smallest
    relative: float  # difference / range
    step: float = field(default=0.0, kw_only=True)  # to which the source rounds it; 0: it does not

    @property
    def passed(self) -> bool:
        """Whether the two agree within the bar, or a step of the source's own rounding."""
        return self.relative <= BAR or self.difference <= self.step * _ONE_STEP


@dataclass(frozen=True)
class Certificate:
    """What was compared, with what, and what was not and why."""

    reference: str = ""  # empty: nothing was compared
    reads: str = ""
    input: str = ""
    outputs: tuple[Comparison, ...] = ()
    inner: tuple[Comparison, ...] = ()  # tensors on the way, in graph order
    missing: tuple[str, ...] = ()  # outputs that the reference does not give
    note: str = ""  # why nothing was compared

    @property
    def verified(self) -> bool:
        """Whether every output was compared and all that was compared agrees."""
        return bool(self.outputs) and not self.missing and not self.failed

    @property
    def failed(self) -> tuple[Comparison, ...]:
        """What does not agree within the bar."""
        return tuple(row for row in (*self.outputs, *self.inner) if not row.passed)

    @property
    def worst(self) -> Comparison | None:
        """The comparison furthest apart, in parts of its range."""
        return max((*self.outputs, *self.inner), key=lambda row: row.relative, default=None)

    def verdict(self) -> Iterator[str]:
        """What the certificate amounts to, a line each."""
        if not self.reference:
            yield f"not verified: {self.note}"
            return
        against = f"{self.reference} ({self.reads}) on {self.input}"
        compared = len(self.outputs) + len(self.inner)
        tensors = f"{compared} tensor{'s' * (compared != 1)}"
        bar = f"{BAR:g}" + " or a rounding step" * any(row.step for row in (*self.outputs, *self.inner))
        if self.failed:
            names = ", ".join(row.name for row in self.failed[:_SHOWN])
            yield f"NOT the same as {against}: {len(self.failed)} of {tensors} differ by more than {bar}: {names}"
        elif self.verified:
            yield f"verified: {tensors} within {bar} of {against}"
        else:
            yield f"verified in part: {tensors} within {bar} of {against}; not compared: {', '.join(self.missing)}"


def certify(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    *,
    per_layer: bool = False,
    options: Mapping[str, Any] | None = None,  # all that `load` was given beside the files
) -> Certificate:
    """Run the source and the converted graph on one input and compare outputs, or every tensor the reader has.

    Where there is nothing to compare with (no independent reader, or its package is not installed) the certificate
    says so in its `note`; that is no error.
    """
    from . import IMPORTERS
    from .sniff import recognise

    name = recognise(path)
    module = import_module(f".{IMPORTERS[name].module}", __package__)
    if not hasattr(module, "reference"):
        reason = "it is ONNX already" if name == "onnx" else f"there is no independent reader of {name}"
        return Certificate(note=reason)
    outputs = [value.name for value in proto.graph.output]
    names = [*outputs, *inner_tensors(proto)] if per_layer else outputs
    try:
        reference = module.reference(path, companion, proto, names, **IMPORTERS[name].chosen(options or {}))
    except InputError as error:
        return Certificate(note=str(error))
    return compare(proto, reference)


def inner_tensors(proto: onnx.ModelProto) -> list[str]:
    """What the nodes compute on the way to the outputs, in order."""
    outputs = {value.name for value in proto.graph.output}
    return [name for node in proto.graph.node for name in node.output if name and name not in outputs]


def compare(proto: onnx.ModelProto, reference: Reference) -> Certificate:
    """The certificate of `proto` against what a reference computed."""
    outputs = [value.name for value in proto.graph.output]
    names = [name for name in (*outputs, *inner_tensors(proto)) if name in reference.values]
    if reference.steps:
        ours = run_onnx(*_on_the_readers_inputs(proto, reference), names)
    else:
        ours = run_onnx(proto, reference.feeds, names)
    rows = {
        name: dataclasses.replace(
            compare_arrays(name, reference.values[name], ours[name]), step=reference.steps.get(name, 0.0)
        )
        for name in names
    }
    shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape))}" for name, value in reference.feeds.items())
    return Certificate(
        reference=reference.name,
        reads=reference.reads,
        input=f"seeded noise: {shapes}",
        outputs=tuple(rows[name] for name in outputs if name in rows),
        inner=tuple(rows[name] for name in names if name not in outputs),
        missing=tuple(name for name in outputs if name not in rows),
    )


def _on_the_readers_inputs(
    proto: onnx.ModelProto, reference: Reference
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The graph, cut behind every tensor that the reader has, and what is fed in there: its values of them."""
    cut, feeds = onnx.ModelProto(), dict(reference.feeds)
    cut.CopyFrom(proto)
    inner = {name: f"{name}/reference" for name in inner_tensors(proto)}
    fed = {name: place for name, place in inner.items() if reference.values.get(name, _NOTHING).dtype == np.float32}
    for node in cut.graph.node:
        node.input[:] = [fed.get(name, name) for name in node.input]
    for name, place in fed.items():
        feeds[place] = reference.values[name]
        shape = reference.values[name].shape
        cut.graph.input.append(onnx.helper.make_tensor_value_info(place, onnx.TensorProto.FLOAT, shape))
    return cut, feeds


def compare_arrays(name: str, theirs: np.ndarray, ours: np.ndarray) -> Comparison:
    """Two versions of one tensor; shapes that differ only in dimensions of one count as equal."""
    shape = tuple(ours.shape)
    if _long(theirs.shape) != _long(ours.shape):
        return Comparison(name, shape, float("inf"), float("nan"), float("inf"))
    theirs, ours = theirs.astype(np.float64).ravel(), ours.astype(np.float64).ravel()
    if theirs.size == 0:
        return Comparison(name, shape, 0.0, 0.0, 0.0)
    apart = np.abs(theirs - ours)
    difference = float("inf") if np.isnan(apart).any() else float(apart.max())
    span = float(theirs.max() - theirs.min())
    # A constant output has no range; its size stands in.
    scale = span or float(np.abs(theirs).max()) or 1.0
    return Comparison(name, shape, difference, span, difference / scale)


def _long(shape: Sequence[int]) -> list[int]:
    return [dim for dim in shape if dim != 1]


def run_onnx(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Tensors of an ONNX graph by name, run by onnxruntime on the CPU, graph optimisations off."""
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(proto)
    present = {value.name for value in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(list(names), dict(feeds)), strict=True)) if names else {}


def write_certificate(proto: onnx.ModelProto, certificate: Certificate) -> None:
    """Store the certificate in the model's metadata, replacing an earlier one."""
    set_metadata(proto, METADATA_KEY, json.dumps(dataclasses.asdict(certificate)))


def read_certificate(proto: onnx.ModelProto) -> Certificate | None:
    """What `write_certificate` stored, or None."""
    text = get_metadata(proto, METADATA_KEY)
    if text is None:
        return None
    plain = json.loads(text)
    for name in ("outputs", "inner"):
        plain[name] = tuple(Comparison(**{**row, "shape": tuple(row["shape"])}) for row in plain[name])
    return Certificate(**{**plain, "missing": tuple(plain["missing"])})
