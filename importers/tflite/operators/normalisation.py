"""Numbers relative to their neighbours."""

from __future__ import annotations

from ..operator_writer import OperatorWriter

_LEAST_NORM = 1e-6  # of TensorFlow Lite's kernel


def l2(op: OperatorWriter) -> None:
    """Every vector along the last axis, divided by its length."""
    (tensor,), first = op.aligned(0)
    axis = 1 if first and len(op.shape()) > 2 else len(op.shape()) - 1
    length = op.add("length", "ReduceL2", [tensor], axes=[axis], keepdims=1)
    divisor = op.add("divisor", "Max", [length, op.array("least", _LEAST_NORM)])
    op.emit("Div", [tensor, divisor], first=first)


def local_response(op: OperatorWriter) -> None:
    """Across channels (Krizhevsky et al. 2012); ONNX divides alpha by the number of channels in a window."""
    size = 2 * op.option("radius") + 1
    if size < 1 or len(op.shape()) != 4:
        raise op.error(f"a radius of {op.option('radius')} around an image of {len(op.shape())} axes")
    attributes = {"bias": op.option("bias"), "beta": op.option("beta")}
    op.emit("LRN", [op.first()], first=True, size=size, alpha=op.option("alpha") * size, **attributes)


OPERATORS = {"L2_NORMALIZATION": l2, "LOCAL_RESPONSE_NORMALIZATION": local_response}
