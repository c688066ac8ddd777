"""Products of matrices."""

from __future__ import annotations

from ..step import Backward, Gradients, Step, Unsupported


def _matrix_product(step: Step) -> Gradients:
    ranks = [len(step.shape(tensor)) for tensor in step.node.inputs[:2]]
    if min(ranks) < 2:
        raise Unsupported("vectors")
    found: list[str | None] = [None, None]
    for number, wanted in enumerate(step.wanted):
        if wanted:
            made = [step.gradient, step.gradient]
            made[1 - number] = _swapped(step, step.node.inputs[1 - number], ranks[1 - number])
            product = step.write("MatMul", *made)
            found[number] = _unbroadcast(step, product, step.node.inputs[number])
    return found


def _swapped(step: Step, tensor: str, rank: int) -> str:
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


_RANK = 4  # of queries, keys and values [N, heads, places, width]


def _attention(step: Step) -> Gradients:
    """Of p v, p = softmax(s q kᵀ + mask)."""
    _check_attention(step)
    write, (q, k, v) = step.write, step.node.inputs[:3]
    scale = step.attribute("scale", step.shape(q)[-1] ** -0.5)
    scores, mask = step.scaled(write("MatMul", q, _swapped(step, k, _RANK)), scale), step.input(3)
    p = write("Softmax", write("Add", scores, mask) if mask else scores, axis=-1)
    weighted = write("Mul", write("MatMul", step.gradient, _swapped(step, v, _RANK)), p)
    total = write("ReduceSum", weighted, write.ints([-1]), keepdims=1)
    arriving = step.scaled(write("Sub", weighted, write("Mul", p, total)), scale)
    return [
        write("MatMul", arriving, k) if step.wanted[0] else None,
        write("MatMul", _swapped(step, arriving, _RANK), q) if step.wanted[1] else None,
        write("MatMul", _swapped(step, p, _RANK), step.gradient) if step.wanted[2] else None,
    ]


def _check_attention(step: Step) -> None:
    for name, unused in (("is_causal", 0), ("softcap", 0), ("left_window_size", -1), ("right_window_size", -1)):
        if step.attribute(name, unused) != unused:
            raise Unsupported(name)
    q, k = (step.shape(tensor) for tensor in step.node.inputs[:2])
    if len(q) != _RANK or q[1] != k[1]:
        raise Unsupported("heads that lie in the width or share keys")
    mask = step.input(3)
    if any(step.wanted[3:]) or any(step.node.inputs[4:]) or (mask and not step.graph.types[mask].dtype.startswith("f")):
        raise Unsupported("a mask that depends on the image or is not added, or values kept from before")


TABLE: dict[str, Backward] = {
    "MatMul": _matrix_product,
    "Gemm": _dense,
    "Einsum": _einsum,
    "Attention": _attention,
}
