"""Reductions: the gradient of what was reduced, handed to all that was; running sums."""

from __future__ import annotations

from ..step import Backward, Gradients, Step


def _axes(step: Step) -> list[int]:
    rank = len(step.shape(step.x))
    found = step.attribute("axes")
    if found is None:
        given = step.constant(1)
        found = [] if given is None else given.ravel().tolist()
    if not len(found):
        return [] if step.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return [int(axis) % rank for axis in found]


def _kept(step: Step, axes: list[int]) -> list[int]:
    """The output's shape, reduced axes kept as 1; -1 is the images."""
    return [1 if axis in axes else size for axis, size in enumerate(step.sizes(step.x))]


def _with_axes(step: Step, tensor: str) -> str:
    axes = _axes(step)
    if step.attribute("keepdims", 1) or not axes:
        return tensor
    return step.write("Reshape", tensor, step.write.ints(_kept(step, axes)))


def _sum(step: Step) -> Gradients:
    return [step.spread(_with_axes(step, step.gradient), step.x)]


def _mean(step: Step) -> Gradients:
    share = step.scaled(step.gradient, 1 / step.elements(step.x, _axes(step)))
    return [step.spread(_with_axes(step, share), step.x)]


def _extreme(step: Step) -> Gradients:
    """Equal ones share it."""
    write, axes = step.write, step.write.ints(_axes(step))
    ties = write("Cast", write("Equal", step.x, _with_axes(step, step.y)), to=1)  # float32
    share = write("Div", _with_axes(step, step.gradient), write("ReduceSum", ties, axes, keepdims=1))
    return [write("Mul", ties, share)]


def _length(step: Step) -> Gradients:
    """x / |x|, and 0 where the length is, as torch has it."""
    length = _with_axes(step, step.y)
    share = step.write("Div", _with_axes(step, step.gradient), length)
    return [
        step.write(
            "Mul",
            step.x,
            step.write("Where", step.write("Greater", length, step.write.number(0.0)), share, step.write.number(0.0)),
        )
    ]


def _lengths(step: Step) -> Gradients:
    return [step.write("Mul", step.write("Sign", step.x), _with_axes(step, step.gradient))]


def _squares(step: Step) -> Gradients:
    return [step.scaled(step.write("Mul", step.x, _with_axes(step, step.gradient)), 2.0)]


def _log_sum_exp(step: Step) -> Gradients:
    share = step.write("Exp", step.write("Sub", step.x, _with_axes(step, step.y)))
    return [step.write("Mul", share, _with_axes(step, step.gradient))]


def _running(step: Step) -> Gradients:
    """The running sum from the other end."""
    exclusive, reverse = (step.attribute(name, 0) for name in ("exclusive", "reverse"))
    return [step.write("CumSum", step.gradient, step.node.inputs[1], exclusive=exclusive, reverse=1 - reverse)]


TABLE: dict[str, Backward] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _extreme,
    "ReduceMin": _extreme,
    "ReduceL2": _length,
    "ReduceL1": _lengths,
    "ReduceSumSquare": _squares,
    "ReduceLogSumExp": _log_sum_exp,
    "CumSum": _running,
}
