"""build: the backward pass from some tensors of a network to others, node by node, as nodes of ONNX.

The rules at activations are those of engine/gradient/rules.py, which torch runs:

    gradient   f'(x) * g
    guided     f'(x) * max(g, 0)   (Springenberg et al. 2015)
    deconvnet  max(g, 0)           (Zeiler and Fergus 2014); local response normalisation is left out, as in the paper
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...importers.errors import InputError
from ..structure.composites import with_activations
from ..structure.graph import Node
from ..structure.rectifiers import RECTIFIERS
from ..structure.semantics import operands
from .ops import TABLE
from .step import Backward, Gradients, Step, Unsupported
from .values import Known
from .writer import Writer

Rule = Literal["gradient", "guided", "deconvnet"]


@dataclass(frozen=True)
class Passed:
    """What a backward pass made."""

    gradients: Mapping[str, str]  # tensor -> its gradient's name
    through: frozenset[str]  # operators on the way, or the activations that chains of them stand for


# What gradients are of: real numbers, and levels that stand for them.
_NUMBERS = ("", "float32", "float16", "float64", "bfloat16", "uint8", "int8", "uint16", "int16")
# What no gradient passes.
_STOPS = (
    *("Shape", "Size", "ArgMax", "ArgMin", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "And", "Or"),
    *("Not", "Sign", "Floor", "Ceil", "Round", "NonZero", "Constant", "ConstantOfShape", "Range", "OneHot", "IsNaN"),
)


def backward_pass(
    known: Known,
    begin: Mapping[str, str],  # tensor -> the name of its gradient
    to: Sequence[str],  # tensors whose gradients are asked for
    rule: Rule,
    writer: Writer,
) -> Passed:
    """Write the nodes that make the gradients of `to` of those that it begins with.

    Raises InputError naming every operator on the way that has no backward pass here, or when there is no way.
    """
    graph = known.graph
    between = _between(with_activations(graph, known.value), to, begin)
    ways = {*to, *(name for node in between for name in node.outputs)}
    builder = _Builder(known, rule, writer, ways)
    builder.arriving = {tensor: [gradient] for tensor, gradient in begin.items()}
    for node in reversed(between):
        builder.pass_back(node)
    if builder.missing:
        names = "; ".join(f"{what} ({count} ×)" if count > 1 else what for what, count in builder.missing.items())
        instead = "`onnxray explain` without --export runs in torch"
        raise InputError(f"the backward pass cannot be written as ONNX: it lacks {names}; {instead}")
    found = {tensor: builder.gradient(tensor) for tensor in to}
    unreached = [tensor for tensor, gradient in found.items() if gradient is None]
    if unreached:
        raise InputError(f"{' and '.join(begin)} does not depend on {' and '.join(unreached)}")
    gradients = {tensor: gradient for tensor, gradient in found.items() if gradient is not None}
    return Passed(gradients, frozenset(builder.kind(node) for node in between))


def _between(nodes: Sequence[Node], to: Iterable[str], begin: Iterable[str]) -> list[Node]:
    """The nodes that depend on one and that the other depends on, in the graph's order."""
    after, needed, found = set(to), set(begin), list[Node]()
    for node in nodes:
        if node.op not in _STOPS and not after.isdisjoint(operands(node)):
            after.update(node.outputs)
    for node in reversed(nodes):
        read = [name for name in operands(node) if name in after]
        if read and node.op not in _STOPS and not needed.isdisjoint(node.outputs):
            found.append(node)
            needed.update(read)
    return found[::-1]


class _Builder:
    def __init__(self, known: Known, rule: Rule, writer: Writer, ways: set[str]) -> None:
        self._known, self._rule, self._write, self._ways = known, rule, writer, ways
        self.arriving: dict[str, list[str]] = {}
        self.missing: dict[str, int] = {}

    def gradient(self, tensor: str) -> str | None:
        """All that arrives there, added up."""
        parts = self.arriving.get(tensor, [])
        if len(parts) > 1:
            parts[:] = [self._write("Sum", *parts)]
        return parts[0] if parts else None

    def pass_back(self, node: Node) -> None:
        gradients = [self.gradient(name) if name else None for name in node.outputs]
        if not any(gradients):
            return
        wanted = [bool(name) and name in self._ways and self._is_number(name) for name in node.inputs]
        step = self._step(node, gradients, wanted)
        try:
            found = self._through(step)
        except Unsupported as error:
            self._lack(f"{node.op} with {error}" if str(error) else node.op)
            found = [
                gradient or self._write.number(0.0) for gradient in gradients[:1] * len(node.inputs)
            ]  # to see what else is missing
        for tensor, gradient, is_wanted in zip(node.inputs, found, wanted, strict=False):
            if gradient is not None and is_wanted:
                self.arriving.setdefault(tensor, []).append(gradient)

    def _step(self, node: Node, gradients: Gradients, wanted: Sequence[bool]) -> Step:
        known = self._known
        return Step(node, known.graph, self._write, gradients, wanted, known.value, known.images_axis, self._switches)

    def _is_number(self, tensor: str) -> bool:
        found = self._known.graph.types.get(tensor)
        return found is None or found.dtype in _NUMBERS

    def _lack(self, what: str) -> None:
        self.missing[what] = self.missing.get(what, 0) + 1

    def _through(self, step: Step) -> Gradients:
        kind = self.kind(step.node)
        function: Backward | None = TABLE.get(step.node.op)
        if self._rule == "deconvnet" and (kind in RECTIFIERS or kind == "LRN"):
            return [step.gradient if kind == "LRN" else self._write("Relu", step.gradient)]
        if function is None:
            raise Unsupported("")
        if self._rule == "guided" and kind in RECTIFIERS:
            step = step.with_gradient(self._write("Relu", step.gradient))
        return function(step)

    def kind(self, node: Node) -> str:
        """The operator, or the activation it stands for."""
        if node.op != "Clip" or len(node.inputs) < 3:
            return node.op
        low, high = (self._known.value(name) if name else None for name in node.inputs[1:3])
        rectifies = low is not None and high is not None and low.size == high.size == 1 and low == 0 < high
        return "Relu6" if rectifies else node.op

    def _switches(self, node: Node) -> str:
        if len(node.outputs) > 1 and node.outputs[1]:
            return node.outputs[1]
        known = self._write.switches
        if node.index not in known:
            known[node.index] = self._write.free(f"{node.outputs[0]}/switches")
        return known[node.index]
