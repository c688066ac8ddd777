"""Products of matrices."""

from __future__ import annotations

from ..step import Backward, Gradients, Step, Unsupported


def _matrix_product(step: Step) -> Gradients:
    left, right = (len(step.shape(tensor)) for tensor in step.node.inputs[:2])
    if min(left, right) < 2:
        raise Unsupported("vectors")
    found: list[str | None] = [None, None]
    for number, wanted in enumerate(step.wanted):
        if wanted:
            made = [step.gradient, step.gradient]
            made[1 - number] = _swapped(step, step.node.inputs[1 - number])
            product = step.write("MatMul", *made)
            found[number] = _unbroadcast(step, product, step.node.inputs[number])
    return found


def _swapped(step: Step, tensor: str) -> str:
    rank = len(step.shape(tensor))
    return step.write("Transpose", tensor, perm=[*range(rank - 2), rank - 1, rank - 2])


def _unbroadcast(step: Step, gradient: str, tensor: str) -> str:
    """Matrices of fewer products than there are."""
    small, large = step.shape(tensor), step.shape(step.y)
    if len(small) != len(large):
        raise Unsupported("tensors of different rank, both of which depend on the image")
    axes = [axis for axis in range(len(large) - 2) if small[axis] == 1 < large[axis]]
    return gradient if not axes else step.write("ReduceSum", gradient, step.write.ints(axes), keepdims=1)


def _dense(step: Step) -> Gradients:
    if any(step.wanted[1:]):
        raise Unsupported("weights that depend on the image")
    if step.attribute("transA", 0):
        raise Unsupported("transA")
    swapped = 1 - step.attribute("transB", 0)
    return [step.write("Gemm", step.gradient, step.node.inputs[1], transB=swapped, alpha=step.attribute("alpha", 1.0))]


def _einsum(step: Step) -> Gradients:
    """Each operand's gradient is the product of the result's with the others."""
    inputs, _, result = step.attribute("equation").replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not result or "." in inputs or any(len(set(term)) < len(term) for term in terms):
        raise Unsupported(f"the equation {step.attribute('equation')}")
    found: list[str | None] = []
    for number, wanted in enumerate(step.wanted):
        others = [other for other in range(len(terms)) if other != number]
        if not wanted:
            found.append(None)
            continue
        read = ",".join([result, *(terms[other] for other in others)])
        if not set(terms[number]) <= set(read):
            raise Unsupported(f"the equation {step.attribute('equation')}")
        operands = [step.gradient, *(step.node.inputs[other] for other in others)]
        found.append(step.write("Einsum", *operands, equation=f"{read}->{terms[number]}"))
    return found


TABLE: dict[str, Backward] = {"MatMul": _matrix_product, "Gemm": _dense, "Einsum": _einsum}
