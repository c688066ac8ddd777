"""onnx's own backend *node* tests, of four releases: the oracle of the operator table.

The newest opset's cases are made by the installed onnx; those of opsets 13, 17 and 20 lie in the wheels of onnx 1.8.1,
1.12.0 and 1.15.0, which `make node-cases` downloads and unpacks.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

REPOSITORY = Path(__file__).resolve().parent.parent
RELEASES = {13: "1.8.1", 17: "1.12.0", 20: "1.15.0", onnx.defs.onnx_opset_version(): onnx.__version__}
FOLDER = Path(os.environ.get("ONNXRAY_NODE_CASES", REPOSITORY / ".venv" / "node_cases"))

# What the coverage bar leaves out, and why. Everything else counts.
EXCLUDED_DOMAINS = {
    "ai.onnx.ml": "not a vision operator",
    "ai.onnx.preview.training": "training",
    "ai.onnx.training": "training",
}
EXCLUDED_OPERATORS = {
    **dict.fromkeys(
        ("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial"),
        "random values",
    ),
    **dict.fromkeys(
        ("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer", "LabelEncoder"),
        "strings",
    ),
    **dict.fromkeys(
        (
            "SequenceAt",
            "SequenceConstruct",
            "SequenceEmpty",
            "SequenceErase",
            "SequenceInsert",
            "SequenceLength",
            "SequenceMap",
            "SplitToSequence",
            "ConcatFromSequence",
        ),
        "sequences",
    ),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), "optional values"),
    **dict.fromkeys(
        ("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", "Gradient", "Momentum", "Adam", "Adagrad"), "training"
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One model, what goes in and what must come out."""

    name: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    rtol: float
    atol: float

    @property
    def exclusion(self) -> str:
        """Why the case does not count, or ""."""
        nodes = self.model.graph.node
        reasons = [EXCLUDED_DOMAINS.get(node.domain) or EXCLUDED_OPERATORS.get(node.op_type) for node in nodes]
        found = next(filter(None, reasons), None)
        if found:
            return found
        values = (*self.model.graph.input, *self.model.graph.output)
        if any(value.type.WhichOneof("value") != "tensor_type" for value in values):
            return "sequences or optional values"
        if any(value.type.tensor_type.elem_type == TensorProto.STRING for value in values):
            return "strings"
        training = any(a.name == "training_mode" and a.i for node in nodes for a in node.attribute)
        dropout = any(node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] for node in nodes)
        if training or (dropout and "train" in self.name):
            return "training"
        return ""


@cache
def cases(opset: int) -> tuple[Case, ...]:
    """All node cases of the release that made this opset its newest."""
    if RELEASES[opset] == onnx.__version__:
        return tuple(_generated())
    folder = FOLDER / RELEASES[opset] / "onnx" / "backend" / "test" / "data" / "node"
    if not folder.is_dir():
        message = f"no node cases of onnx {RELEASES[opset]} in {FOLDER}: make node-cases"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return tuple(case for path in sorted(folder.iterdir()) for case in _stored(path))


def _generated() -> Iterator[Case]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(0)  # the cases draw their values with it
        for made in collect_testcases(None):
            for number, (inputs, outputs) in enumerate(made.data_sets):
                name = made.name if len(made.data_sets) == 1 else f"{made.name}#{number}"
                arrays = (tuple(map(_array, side)) for side in (inputs, outputs))
                yield Case(name, made.model, *arrays, made.rtol, made.atol)


def _stored(folder: Path) -> Iterator[Case]:
    model = onnx.load(folder / "model.onnx")
    sets = sorted(folder.glob("test_data_set_*"))
    for data in sets:
        try:
            inputs, outputs = (_read(data, side, len(getattr(model.graph, side))) for side in ("input", "output"))
        except Exception:  # sequences and optional values, which are excluded
            inputs = outputs = ()
        yield Case(
            folder.name if len(sets) == 1 else f"{folder.name}#{data.name[-1]}", model, inputs, outputs, 1e-3, 1e-7
        )


def _read(folder: Path, side: str, count: int) -> tuple[Any, ...]:
    files = [folder / f"{side}_{number}.pb" for number in range(count)]
    return tuple(numpy_helper.to_array(TensorProto.FromString(file.read_bytes())) for file in files if file.exists())


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def difference(case: Case, found: list[Any]) -> str:
    """What is wrong with what came out: shape, type or values; "" when nothing is."""
    if len(found) != len(case.outputs):
        return f"{len(found)} outputs, expected {len(case.outputs)}"
    for number, (got, expected) in enumerate(zip(found, case.outputs, strict=True)):
        expected = np.asarray(expected)
        if got.shape != expected.shape or got.dtype != expected.dtype:
            return f"output {number}: {got.dtype}{list(got.shape)}, expected {expected.dtype}{list(expected.shape)}"
        kind = np.complex128 if expected.dtype.kind == "c" else np.float64
        try:
            np.testing.assert_allclose(
                got.astype(kind), expected.astype(kind), rtol=max(case.rtol, 1e-3), atol=max(case.atol, 1e-5)
            )
        except AssertionError as error:
            return f"output {number}: {' '.join(str(error).split())[:200]}"
    return ""


def run_bridge(case: Case) -> list[Any]:
    """The case's outputs as the torch bridge computes them, in the types that the file states."""
    import torch
    from onnxray.engine.gradient.builder import build
    from onnxray.engine.gradient.dtypes import to_numpy, to_torch
    from onnxray.importers.normalise import normalise

    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    inputs = [value.name for value in proto.graph.input]
    normalise(proto)
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in proto.opset_import}
    built = build(proto.graph, inputs, opsets, numpy_helper.to_array, None)
    with torch.no_grad():
        return [to_numpy(value) for value in built.module(*map(to_torch, case.inputs))]


def run_onnxruntime(case: Case) -> list[Any]:
    """The case's outputs as onnxruntime computes them."""
    from onnxray.engine.providers import open_session

    names = [value.name for value in case.model.graph.input]
    session = open_session(case.model, [], ["CPUExecutionProvider"])
    return list(session.run(None, dict(zip(names, case.inputs, strict=True))))


def outcome(run: Any, case: Case) -> str:
    """What is wrong with the case under `run`, or ""."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return difference(case, run(case))
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def main() -> None:
    """python tests/backend_cases.py [OPSET …] [-k PART]: what fails, and how much passes."""
    import argparse
    import collections

    parser = argparse.ArgumentParser()
    parser.add_argument("opsets", nargs="*", type=int, default=list(RELEASES))
    parser.add_argument("-k", default="", help="cases whose name has this part (several with commas)")
    parser.add_argument("--all", action="store_true", help="also cases that onnxruntime fails")
    options = parser.parse_args()
    for opset in options.opsets:
        counted = [case for case in cases(opset) if not case.exclusion]
        counted = [case for case in counted if any(part in case.name for part in options.k.split(","))]
        judged = [case for case in counted if options.all or not outcome(run_onnxruntime, case)]
        failed = {case: reason for case in judged if (reason := outcome(run_bridge, case))}
        for case, reason in failed.items():
            print(f"{opset} {case.name}: {reason}")
        ops = collections.Counter(case.model.graph.node[0].op_type for case in failed)
        print(
            f"opset {opset}: {len(judged) - len(failed)} of {len(judged)} pass;",
            ", ".join(f"{o} {n}" for o, n in ops.most_common(60)),
        )


if __name__ == "__main__":
    main()
