"""Arithmetic of several tensors, broadcast to one shape."""

from __future__ import annotations

from ..step import Backward, Gradients, Step


def _each(step: Step, gradients: list[str]) -> Gradients:
    """Those of the operands before they were broadcast, where they are wanted."""
    return [
        step.summed_to(gradient, step.y, tensor) if wanted else None
        for gradient, tensor, wanted in zip(gradients, step.node.inputs, step.wanted, strict=True)
    ]


def _sum(step: Step) -> Gradients:
    return _each(step, [step.gradient] * len(step.node.inputs))


def _mean(step: Step) -> Gradients:
    count = len(step.node.inputs)
    return _each(step, [step.scaled(step.gradient, 1 / count)] * count)


def _difference(step: Step) -> Gradients:
    return _each(step, [step.gradient, step.write("Neg", step.gradient) if step.wanted[1] else ""])


def _product(step: Step) -> Gradients:
    pairs = zip(step.node.inputs[::-1], step.wanted, strict=True)
    return _each(step, [step.write("Mul", step.gradient, other) if wanted else "" for other, wanted in pairs])


def _quotient(step: Step) -> Gradients:
    quotient = step.write("Div", step.gradient, step.node.inputs[1])
    below = step.write("Neg", step.write("Mul", quotient, step.y)) if step.wanted[1] else ""
    return _each(step, [quotient, below])


def _extreme(step: Step) -> Gradients:
    """To the operands that are the result; equal ones share it, as in torch's minimum and maximum."""
    ties = [
        step.write("Cast", step.write("Equal", tensor, step.y), to=1)  # float32
        for tensor in step.node.inputs
    ]
    count = ties[0] if len(ties) == 1 else step.write("Sum", *ties)
    share = step.write("Div", step.gradient, count)
    return _each(step, [step.write("Mul", share, tie) for tie in ties])


def _choice(step: Step) -> Gradients:
    condition, zero = step.node.inputs[0], step.write.number(0.0)
    made = [
        step.write("Where", condition, step.gradient, zero) if step.wanted[1] else "",
        step.write("Where", condition, zero, step.gradient) if step.wanted[2] else "",
    ]
    return [
        None,
        *(
            step.summed_to(gradient, step.y, tensor) if wanted else None
            for gradient, tensor, wanted in zip(made, step.node.inputs[1:], step.wanted[1:], strict=True)
        ),
    ]


TABLE: dict[str, Backward] = {
    "Add": _sum,
    "Sum": _sum,
    "Mean": _mean,
    "Sub": _difference,
    "Mul": _product,
    "Div": _quotient,
    "Max": _extreme,
    "Min": _extreme,
    "Where": _choice,
}
