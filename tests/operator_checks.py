"""How the operator table is measured: forward against onnx's node cases, backward against finite differences.

`tests/engine/gradient/test_operators.py` holds the bars, `docs/make_operators.py` writes the page.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from backend_cases import EXCLUDED_OPERATORS, RELEASES, Case, cases, outcome, run_bridge, run_onnxruntime
from old_operators import old_cases
from onnx import NodeProto, numpy_helper
from onnxray.engine.gradient.builder import build
from onnxray.engine.gradient.dtypes import to_torch
from onnxray.engine.gradient.ops import Operator, entries, find
from onnxray.importers.errors import InputError
from onnxray.importers.normalise import normalise
from onnxray.importers.walk import all_nodes
from torch.autograd import gradcheck

# Operators without a gradient, and why. Every other one must pass a gradcheck.
_WHY_NOT = {
    "its output is true or false": (
        "And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual IsInf IsNaN OptionalHasElement"
    ),
    "its output are indices or sizes": "ArgMax ArgMin NonMaxSuppression NonZero SequenceLength Shape Size",
    "it works on bits, not on real numbers": "BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor",
    "its output depends on sizes only": (
        "BlackmanWindow HammingWindow HannWindow MelWeightMatrix Constant ConstantOfShape EyeLike SequenceEmpty"
    ),
    "its output is 0 or 1, and constant wherever it is smooth": "Hardmax",
    "its input are the bytes of an image file": "ImageDecoder",
    "it rounds; the gradient passes straight through instead (test_quantised.py)": (
        "QuantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul Round"
    ),
}
# Operators without a gradient, and why. Every other one must pass a gradcheck.
NO_GRADIENT = {name: reason for reason, names in _WHY_NOT.items() for name in names.split()}
# What holds sequences, which no case of a single node has: test_control_flow.py differentiates through graphs of them.
SEQUENCES = frozenset(
    (
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceErase",
        "SequenceInsert",
        "SplitToSequence",
    )
)
# Inputs (by position) of real numbers that say how to compute, not what with: kept as the cases have them.
_KEPT = {
    "Dropout": {1, 2},
    "MaxRoiPool": {1},
    "OneHot": {0, 1},
    "Pad": {2, 3},
    "Resize": {1, 2, 3},
    "RoiAlign": {1},
    "Upsample": {1},
}
_LARGE = 100.0  # beyond, as where a type's limits are tried, differences drown in rounding
_FEW = 40  # numbers up to which every single derivative is compared, not random combinations of them


@dataclass(frozen=True)
class Coverage:
    """What became of one release's node cases."""

    excluded: Counter[str]  # reason -> cases
    refused: int  # cases that onnxruntime does not pass
    passed: tuple[Case, ...]
    failed: dict[Case, str]  # case -> what is wrong
    unjudged: tuple[int, int]  # of the cases that onnxruntime does not pass: (the bridge gives what onnx expects, all)

    @property
    def share(self) -> float:
        """Of the cases that onnxruntime passes, what the bridge passes."""
        return len(self.passed) / (len(self.passed) + len(self.failed))


@cache
def coverage(opset: int) -> Coverage:
    """Run all node cases of a release."""
    excluded = Counter(case.exclusion for case in cases(opset) if case.exclusion)
    counted = [case for case in cases(opset) if not case.exclusion]
    judged = [case for case in counted if not outcome(run_onnxruntime, case)]
    others = set(counted) - set(judged)
    reasons = {case: outcome(run_bridge, case) for case in counted}
    return Coverage(
        excluded,
        len(others),
        tuple(case for case in judged if not reasons[case]),
        {case: reasons[case] for case in judged if reasons[case]},
        (sum(not reasons[case] for case in others), len(others)),
    )


# -- gradients ---


def table() -> tuple[Operator, ...]:
    """The entries for ONNX's own operators, exact ones."""
    found = {(entry.name, entry.since): find(entry.name, "", entry.since) for entry in entries() if not entry.domain}
    return tuple(entry for entry in found.values() if entry is not None)


@cache
def gradient_cases() -> dict[tuple[str, int], tuple[Case, ...]]:
    """Operator and first version -> the cases of a single such node, the newest release's that has any."""
    found: dict[tuple[str, int], tuple[Case, ...]] = {}
    for release in (None, *RELEASES):
        fresh: dict[tuple[str, int], list[Case]] = {}
        for case in old_cases() if release is None else cases(release):
            entry = _entry(case)
            if entry is not None and entry.name not in EXCLUDED_OPERATORS:
                fresh.setdefault((entry.name, entry.since), []).append(case)
        found |= {key: tuple(value) for key, value in fresh.items()}
    return found


def _entry(case: Case) -> Operator | None:
    nodes: list[NodeProto] = list(case.model.graph.node)
    if len(nodes) != 1 or nodes[0].domain or case.exclusion:
        return None
    return find(nodes[0].op_type, "", _opsets(case.model)[""])


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}


def check_gradient(case: Case) -> str | None:
    """Compare torch's derivatives with finite differences, in float64 on random inputs.

    "": they agree; None: nothing in the outputs depends differentiably on the inputs; else what is wrong.
    """
    kept = _KEPT.get(case.model.graph.node[0].op_type, set())
    generator = np.random.default_rng(0)
    values = [np.asarray(value) for value in case.inputs]
    drawn = [place for place, value in enumerate(values) if place not in kept and _is_real(value)]
    if not drawn and values and values[0].dtype.kind in "iu" and values[0].size:
        drawn = [0]  # a case of integers, of an operator that may take real numbers too
    feeds = [to_torch(value, torch.float64) for value in values]
    for place in drawn:
        feeds[place] = torch.tensor(_drawn(values[place], generator), dtype=torch.float64, requires_grad=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _compared(_module(case), feeds)
    except InputError as error:
        return None if "element type" in str(error) else str(error)  # 4-bit floats
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _compared(module: Any, feeds: list[torch.Tensor]) -> str | None:
    def smooth(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = module(*inputs)
        found = (value for value in outputs if isinstance(value, torch.Tensor) and value.requires_grad)
        return tuple(value[value.isfinite()] for value in found)  # what is masked out is infinite

    if not smooth(*feeds):
        return None
    numbers = sum(value.numel() for value in feeds if value.requires_grad)
    gradcheck(smooth, tuple(feeds), fast_mode=numbers > _FEW)
    return ""


def _module(case: Case) -> Any:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = [value.name for value in model.graph.input]
    normalise(model)
    return build(model.graph, names, _opsets(model), numpy_helper.to_array, torch.float64).module


def _is_real(value: np.ndarray) -> bool:
    return value.dtype.kind in "fV" and value.size > 0 and bool(np.isfinite(value.astype(np.float64)).all())


def _drawn(value: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Random numbers from the range of the case's own: valid where those are, and hardly ever on a kink."""
    value = value.astype(np.float64).clip(-_LARGE, _LARGE)
    low, high = value.min(), value.max()
    if low == high:
        return value * generator.uniform(0.9, 1.1, value.shape) + (low == 0) * generator.uniform(-1, 1, value.shape)
    margin = 0.05 * (high - low)
    return generator.uniform(low + margin, high - margin, value.shape)


def operators_of(case: Case) -> set[str]:
    """The standard operators a case uses, those in bodies too."""
    return {node.op_type for node in all_nodes(case.model.graph.node) if not node.domain}
