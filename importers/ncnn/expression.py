"""Sizes that pnnx writes as expressions of other blobs' sizes: "0w,-1" or "*(0h,2),//(1c,4)"; worked out here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from ..errors import InputError
from .layer_writer import LayerWriter

_LONGEST = 256  # characters: as many as NCNN reads
_LARGEST = 1 << 40
_TWO: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: int(a / b) if isinstance(a, int) and isinstance(b, int) else math.floor(a / b),
    "max": max,
    "min": min,
}
_ONE: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "neg": lambda a: -a,
    "sign": lambda a: (a > 0) - (a < 0),
    "square": lambda a: a * a,
    "sqrt": math.sqrt,
    "trunc": math.trunc,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": lambda a: int(math.copysign(math.floor(abs(a) + 0.5), a)),
}
_AXES = {"w": -1, "h": -2, "d": -3}


def evaluate(layer: LayerWriter, expression: str) -> list[int]:
    """The numbers of a list of expressions, functions before their arguments.

    Raises InputError when it is not one, or depends on a size that is open.
    """
    stack: list[float] = []
    try:
        for token in re.findall(r"[^\s(),]+", expression[:_LONGEST])[::-1]:
            if token in _TWO:
                stack.append(_TWO[token](stack.pop(), stack.pop()))
            elif token in _ONE:
                stack.append(_ONE[token](stack.pop()))
            elif re.fullmatch(r"\dn", token):
                raise layer.error(f"its sizes depend on the batch: {expression[:40]!r}")
            elif re.fullmatch(r"\d[whdc]", token):
                stack.append(_size(layer, int(token[0]), token[1]))
            else:
                stack.append(int(token) if re.fullmatch(r"[+-]?\d+", token) else float(token))
            if abs(stack[-1]) > _LARGEST:
                raise OverflowError("too large")
        return [int(value) for value in stack[::-1]]
    except (IndexError, ArithmeticError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise layer.error(f"cannot work out {expression[:40]!r} ({error})") from None


def _size(layer: LayerWriter, blob: int, axis: str) -> int:
    """Of an axis of an input; axes that it does not have are 1."""
    shape = layer.blob_shape(blob)
    if axis == "c":
        return layer.sizes(shape[:1])[0] if len(shape) > 2 else 1
    place = _AXES[axis] + len(shape)
    has = place >= (1 if len(shape) > 2 else 0)
    return layer.sizes(shape[place : place + 1])[0] if has else 1
