"""The operator table against onnx's own node tests (forward) and finite differences (backward)."""

from __future__ import annotations

import dataclasses
import importlib
import inspect

import onnx
import pytest
from backend_cases import EXCLUDED_DOMAINS, EXCLUDED_OPERATORS, RELEASES, Case, cases, outcome, run_bridge
from conftest import REPOSITORY
from old_operators import FORMS, old_cases
from onnx import TensorProto, defs
from onnxray.engine.gradient import builder
from onnxray.engine.gradient.control_flow import CONTROL_FLOW
from onnxray.engine.gradient.ops import Operator, find
from onnxray.importers.opset import with_opset
from onnxray.importers.walk import all_nodes
from operator_checks import NO_GRADIENT, SEQUENCES, check_gradient, coverage, gradient_cases, operators_of, table

BAR = 0.99
OLDEST = 7  # opset
STRINGS = {"StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
DEFINED = {"NegativeLogLikelihoodLoss", "SequenceMap", "SoftmaxCrossEntropyLoss"}  # by other operators, in ONNX itself
OUTDATED = {"DynamicQuantizeLinear"}  # defined by ReduceMin as it was until opset 13


@pytest.mark.parametrize("opset", RELEASES)
def test_what_onnxruntime_passes_the_bridge_passes(opset: int) -> None:
    found = coverage(opset)
    counts = f"{len(found.passed)} of {len(found.passed) + len(found.failed)} cases at opset {opset}"
    failing = "\n".join(f"{case.name}: {reason}" for case, reason in found.failed.items())
    print(f"{counts}; {found.refused} that onnxruntime does not pass; excluded: {dict(found.excluded)}")
    assert found.share >= BAR, f"{counts}:\n{failing}"


@pytest.mark.parametrize("opset", RELEASES)
def test_only_what_is_named_is_excluded(opset: int) -> None:
    """Seen from the case itself, not from the operator lists."""
    dishonest = [case.name for case in cases(opset) if bool(case.exclusion) != _is_out_of_scope(case)]
    assert not dishonest
    assert sum(not case.exclusion for case in cases(opset)) > 0.8 * len(cases(opset))


def _is_out_of_scope(case: Case) -> bool:
    """Training, ai.onnx.ml, strings, sequences, optional values or random values."""
    graph = case.model.graph
    nodes = list(all_nodes(graph.node))
    kinds = [value.type for value in (*graph.input, *graph.output)]
    return (
        any(node.domain.startswith(("ai.onnx.ml", "ai.onnx.preview.training")) for node in nodes)
        or any(kind.WhichOneof("value") != "tensor_type" for kind in kinds)
        or any(kind.tensor_type.elem_type == TensorProto.STRING for kind in kinds)
        or any("Sequence" in node.op_type and node.op_type != "ReverseSequence" for node in nodes)
        or any(node.op_type in STRINGS for node in nodes)
        or any(node.op_type.startswith(("Random", "Bernoulli", "Optional")) for node in nodes)
        or any(node.op_type.endswith("Loss") for node in nodes)
        or "training" in case.name
    )


def test_the_table_has_every_operator_of_onnx() -> None:
    names = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}
    known = {entry.name for entry in table()} | set(CONTROL_FLOW)
    assert names - known == STRINGS | RANDOM | DEFINED
    assert not known - names


def _forms() -> list[defs.OpSchema]:
    newest = defs.onnx_opset_version()
    forms = {
        (name, version): defs.get_schema(name, version, "")
        for name in {entry.name for entry in table()}
        for version in range(OLDEST, newest + 1)
        if defs.has(name, version, "")
    }
    return list({(form.name, form.since_version): form for form in forms.values() if not form.deprecated}.values())


def test_every_form_since_opset_7_is_known_with_all_its_attributes_and_inputs() -> None:
    unknown = []
    for form in _forms():
        entry = find(form.name, "", max(OLDEST, form.since_version))
        if entry is None or not form.attributes.keys() <= entry.keywords | _UNTOLD.get(form.name, set()):
            lacking = form.attributes.keys() - (entry.keywords if entry else set())
            unknown.append(f"{form.name}-{form.since_version}: {sorted(lacking)}")
        elif not _takes(entry, form.max_input):
            unknown.append(f"{form.name}-{form.since_version}: {form.max_input} inputs")
    assert not unknown


_UNTOLD: dict[str, set[str]] = {
    "Constant": {"sparse_value", "value_float", "value_floats", "value_int", "value_ints", "value_string"}
    | {"value_strings"},  # numbers are rewritten as `value` by the pre-pass; strings have no tensor
}


def _takes(entry: Operator, inputs: int) -> bool:
    parameters = inspect.signature(entry.function).parameters.values()
    several = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    return several or sum(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in parameters) >= inputs


@pytest.mark.parametrize("number", range(len(FORMS)), ids=lambda number: f"{FORMS[number][1]}_{FORMS[number][0]}")
def test_the_forms_before_opset_13(number: int) -> None:
    assert not outcome(run_bridge, old_cases()[number])


@pytest.mark.parametrize("entry", table(), ids=lambda entry: f"{entry.name}_{entry.since}")
def test_gradients_equal_finite_differences(entry: Operator) -> None:
    if entry.name in SEQUENCES:
        pytest.skip("its values are sequences: see test_control_flow.py")
    judged = {case.name: check_gradient(case) for case in gradient_cases().get((entry.name, entry.since), ())}
    if entry.name in NO_GRADIENT:
        assert not [name for name, found in judged.items() if found == ""]  # else the list is wrong
        return
    assert not {name: found for name, found in judged.items() if found}
    assert "" in judged.values(), "no case depends differentiably on its inputs"


def test_the_list_of_operators_without_gradient_names_known_ones_only() -> None:
    assert NO_GRADIENT.keys() | SEQUENCES <= {entry.name for entry in table()}
    assert set(EXCLUDED_DOMAINS) == {"ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training"}
    assert EXCLUDED_OPERATORS.keys() >= STRINGS | RANDOM


# -- ONNX's own definitions ---


def _defined() -> list[str]:
    """Operators that ONNX defines by others."""
    schemas = [defs.get_schema(entry.name) for entry in table() if defs.has(entry.name)]
    return sorted({s.name for s in schemas if s.has_function or s.has_context_dependent_function} - OUTDATED)


@pytest.mark.parametrize("name", _defined())
def test_operators_can_be_built_from_their_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator newer than the table would be: the table's entry is hidden."""
    newest = onnx.defs.onnx_opset_version()
    of_it = [case for case in coverage(newest).passed if name in operators_of(case) and "expanded" not in case.name]
    chosen = [_renumbered(case, newest) for case in of_it]  # a definition may need operators of its own time

    def find_others(operator: str, *arguments: object, **keywords: object) -> Operator | None:
        return None if operator == name else find(operator, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(builder, "find", find_others)
    failed = {case.name: reason for case in chosen if (reason := outcome(run_bridge, case))}
    assert len(failed) <= len(chosen) * (1 - BAR), failed


def _renumbered(case: Case, opset: int) -> Case:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    return dataclasses.replace(case, model=with_opset(model, opset))


# -- the page ---


def test_the_page_lists_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """`docs/make_operators.py` makes it; a new operator needs a new page."""
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    page = importlib.import_module("make_operators")
    text = page.PAGE.read_text()
    listed = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")]
    assert [name for name in listed if name[0].isupper()] == page.operator_names()
    assert ", ".join(page.contributed_names()) in text
