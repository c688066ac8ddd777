"""Bridge certificate: that the torch copy of a network is the same network, by numbers.

Values: onnxruntime (graph optimisations off) and the bridge compute every tensor from the same inputs. Gradients: the
bridge's against finite differences of onnxruntime's outputs (finite_differences.py has the mathematics).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from ...importers.certificate import BAR
from ...importers.errors import InputError
from ..results import Result
from .finite_differences import BARS, POINTS, GradientCheck, Kind, check_gradients
from .parity import Progress, TensorComparison, compare_tensors, find_amplified, run_nodes
from .projection import Projection
from .provenance import moves_in_steps, notes
from .samples import Inputs, Samples

if TYPE_CHECKING:
    from ..model import Model
    from ..session import Session
    from .torch_model import TorchModel

_ROUNDINGS = 10  # that the bar allows a network which onnxruntime computes in half precision, the bridge in float32
_HALVES = {"float16": 2**-11, "bfloat16": 2**-8}  # type -> relative size of one rounding
_QUICK: tuple[Kind, ...] = ("gradient", "random")
_QUICK_RULES = 4  # of quadrature, the cheapest
_THOROUGH: tuple[Kind, ...] = ("gradient", "gradient", "random", "random", "random")
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_NAMED = 3  # weights in a message


@dataclass(frozen=True)
class BridgeCertificate(Result):
    """How far the torch bridge is from onnxruntime. Differences are shares of a tensor's range, largest minus smallest
    of onnxruntime's values."""

    input: str  # what both were given
    bar: float  # largest difference allowed
    outputs: tuple[TensorComparison, ...]  # the graph's, as attribution methods compute them: nodes fused where it pays
    nodes: tuple[TensorComparison, ...]  # every tensor that nodes compute, in graph order, one by one; empty: not asked
    missing: tuple[str, ...]  # tensors that the bridge does not have
    gradients: GradientCheck
    notes: tuple[str, ...]  # what the reader must know
    skipped: tuple[tuple[str, str], ...] = ()  # broken images: path, reason

    @property
    def passed(self) -> bool:
        """Whether nothing that was compared is wrong, and outputs were compared at all."""
        return bool(self.outputs) and self.first_failed is None and not self.gradients.failed

    @property
    def first_failed(self) -> TensorComparison | None:
        """The first tensor in graph order that the bridge computes otherwise."""
        return next((row for row in (*self.nodes, *self.outputs) if not row.passed and not row.amplified), None)

    @property
    def amplified(self) -> tuple[TensorComparison, ...]:
        """Over the bar, but the nodes are right: rounding before them decided a tie, say. In graph order."""
        return tuple(row for row in (*self.nodes, *self.outputs) if row.amplified)

    @property
    def worst(self) -> TensorComparison | None:
        """The row furthest apart."""
        return max((*self.nodes, *self.outputs), key=lambda row: row.relative, default=None)

    def summary(self) -> str:
        """One line."""
        failed = self.first_failed
        if failed is not None:
            where = f"node {failed.node} ({failed.op}), tensor {failed.name}, by {failed.relative:.2g} of its range"
            return f"torch DIFFERS from onnxruntime, first at {where} (bar {self.bar:.2g}); {self._gradients()}"
        agree = [row.relative for row in (*self.nodes, *self.outputs) if row.passed]
        within = f"within {max(agree):.2g}" if agree else "in no tensor"
        jumps = f", but for {self._jumps()}" if self.amplified else ""
        return f"torch equals onnxruntime {within} (bar {self.bar:.2g}){jumps}; {self._gradients()}"

    def _jumps(self) -> str:
        first, count = self.amplified[0], len({row.name for row in self.amplified})
        rest = f" and {count - 1} after it" if count > 1 else ""
        return f"{first.name} ({first.op}){rest}, where rounding decides"

    def _gradients(self) -> str:
        check = self.gradients
        if not check.checked:
            return f"gradients not checked: {check.note}"
        worst = max(check.errors.items(), key=lambda entry: entry[1] / BARS[entry[0]])
        if check.failed:
            return f"gradients WRONG: {_percent(worst[1])} from finite differences (bar {_percent(BARS[worst[0]])})"
        return f"gradients within {_percent(max(check.errors.values()))} of finite differences"

    def to_json(self) -> dict[str, Any]:
        """As of Result, with the verdict."""
        return {"passed": self.passed, "summary": self.summary(), **super().to_json()}


def certify(
    model: Model,
    inputs: Inputs | None = None,  # None: seeded noise shaped like real preprocessed pixels
    *,
    per_node: bool = True,  # every tensor that nodes compute; False: the outputs, and the rest only where they differ
    gradients: bool = True,
    via: str | None = None,  # as of Model.torch
    memory: int | str | None = None,  # what the process may hold; None: no limit
    progress: Progress | None = None,  # called with (tensors compared, tensors in all)
) -> BridgeCertificate:
    """Compare the torch bridge with onnxruntime, tensor by tensor and gradient by finite difference.

    Raises InputError when the network cannot be bridged, an input does not fit, the outputs are NaN because weights
    are no numbers (they are named), or one tensor does not fit in `memory`.
    """
    torch_model = model.torch(via) if via else model.torch()
    session = model.session(providers=["cpu"], memory=memory, optimised=False)
    samples = Samples(model, inputs)
    said = tuple(_notes(model, session, samples))
    bar = _bar(model)
    outputs = [name for name in model.graph.outputs if name in session.tensors and name in torch_model.tensors]
    rows = compare_tensors(torch_model.run, session, samples, outputs, bar)
    nodes: list[TensorComparison] = []
    if per_node or not all(row.passed for row in rows):
        known = [name for name in session.tensors if name in torch_model.tensors]
        nodes = compare_tensors(partial(run_nodes, torch_model), session, samples, known, bar, progress)
        nodes = find_amplified(torch_model, session, samples, nodes)
        rows = _as_their_nodes(rows, nodes)
    check = GradientCheck(note="not asked for")
    if gradients:
        check = _check(torch_model, session, samples, thorough=per_node)
    return BridgeCertificate(
        input=samples.description,
        bar=bar,
        outputs=tuple(rows),
        nodes=tuple(nodes),
        missing=tuple(name for name in session.tensors if name not in torch_model.tensors),
        gradients=check,
        notes=said,
        skipped=tuple((str(path), reason) for path, reason in samples.skipped),
    )


def _check(torch_model: TorchModel, session: Session, samples: Samples, thorough: bool) -> GradientCheck:
    if moves_in_steps(torch_model.model):
        return GradientCheck(note="the network rounds; its steps have no finite differences that gradients could equal")
    function = Projection(torch_model, session, next(iter(samples)))
    if thorough:
        return check_gradients(function, _THOROUGH)
    return check_gradients(function, _QUICK, POINTS[:_QUICK_RULES])


def _bar(model: Model) -> float:
    half = _half(model)
    return _ROUNDINGS * _HALVES[half] if half else BAR


def _half(model: Model) -> str:
    """The coarsest type of half precision that a tensor has, or ""."""
    kinds = {entry.dtype for entry in model.graph.types.values()} & _HALVES.keys()
    return max(kinds, key=_HALVES.__getitem__, default="")


def _as_their_nodes(outputs: list[TensorComparison], nodes: list[TensorComparison]) -> list[TensorComparison]:
    """The outputs; one over the bar is excused as its node is, which ran unfused."""
    excused = {row.name for row in nodes if row.amplified}
    return [dataclasses.replace(row, amplified=row.name in excused and not row.passed) for row in outputs]


def _notes(model: Model, session: Session, samples: Samples) -> Iterator[str]:
    """What the reader must know before the numbers.

    Raises InputError where the outputs are NaN because weights are no numbers.
    """
    yield from notes(model)
    half = _half(model)
    if half:
        allowed = f"{_ROUNDINGS} roundings of {half}, in which onnxruntime computes"
        yield f"the bar is {_bar(model):.2g} instead of {BAR:g}: {allowed}"
    spoilt = _spoilt_weights(model)
    if not spoilt:
        return
    values = session.run(next(iter(samples)), model.graph.outputs)
    if any(value.dtype.kind == "f" and np.isnan(value).any() for value in values.values()):
        raise InputError(f"the outputs are NaN, for {spoilt}: the file is damaged, or its training diverged")
    yield f"{spoilt}; the outputs are numbers all the same"


def _spoilt_weights(model: Model) -> str:
    """Which weights hold NaN or infinities, and how many; "" when none does."""
    found = []
    for name, tensor in model.graph.initializers.items():
        if tensor.data_type in _FLOATS:
            value = model.graph.weight(name)
            value = value.astype(np.float32) if value.dtype.kind != "f" else value
            counts = {"NaN": np.isnan(value).sum(), "infinite": np.isinf(value).sum()}
            kinds = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
            found += [f"{name} ({kinds} of {value.size:,})"] if kinds else []
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"weights that are no numbers: {', '.join(found[:_NAMED])}{more}" if found else ""


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %"
