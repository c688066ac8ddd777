"""The operator table: ONNX operator -> torch function.

A function takes the operator's inputs by position (None: omitted) and its attributes by keyword, with ONNX's own
defaults; it is called once a node, on tensors of any float dtype, and never changes what it is handed.

>>> @operator("Softmax", since=13)
... def softmax(x: torch.Tensor, *, axis: int = -1) -> torch.Tensor:
...     return x.softmax(axis)

An operator whose meaning changed has one function a meaning; `since` is the first opset version it holds for.
`several=True`: the operator can have several outputs, and the function returns a tuple. A function that asks for the
keyword `n_outputs` is told how many of them the node names. `straight_through=True`: a second meaning, taken instead
of the exact one where gradients are wanted and the exact one has none (rounding, integers).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

FAMILIES = (
    "activations",
    "arithmetic",
    "attention",
    "casting",
    "comparison",
    "constants",
    "contrib",
    "contrib_quantised",
    "convolution",
    "cutting",
    "indexing",
    "linear",
    "normalisation",
    "pooling",
    "quantised",
    "recurrent",
    "reduction",
    "regions",
    "resize",
    "scattering",
    "sequences",
    "shape",
    "signal",
    "straight_through",
)

Function = TypeVar("Function", bound=Callable[..., Any])
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Operator:
    """One meaning of an ONNX operator, from opset version `since` to the next entry."""

    name: str
    domain: str
    since: int
    function: Callable[..., Any]
    several: bool  # the function returns a tuple, one entry an output
    keywords: frozenset[str]  # attributes it knows, and "n_outputs"


_Key = tuple[str, str, bool]  # domain, name, straight-through
_TABLE: dict[_Key, list[Operator]] = {}


def operator(
    name: str, *, since: int = 1, domain: str = "", several: bool = False, straight_through: bool = False
) -> Callable[[Function], Function]:
    """Enter a function into the table, under one or (stacked) several names."""

    def enter(function: Function) -> Function:
        kinds = inspect.signature(function).parameters.values()
        keywords = frozenset(parameter.name for parameter in kinds if parameter.kind is parameter.KEYWORD_ONLY)
        meanings = _TABLE.setdefault((domain, name, straight_through), [])
        if any(entry.since == since for entry in meanings):
            raise ValueError(f"operator {domain}:{name} version {since} is in the table already")
        meanings.append(Operator(name, domain, since, function, several, keywords))
        meanings.sort(key=lambda entry: entry.since)
        return function

    return enter


@cache
def _filled() -> dict[_Key, list[Operator]]:
    for family in FAMILIES:
        import_module(f".{family}", __name__)
    return _TABLE


def find(name: str, domain: str, opset: int, straight_through: bool = False) -> Operator | None:
    """The entry that holds for this opset version, or None. `straight_through`: rather a meaning with a gradient."""
    domain = "" if domain in _STANDARD else domain
    for key in ((domain, name, True), (domain, name, False))[not straight_through :]:
        for entry in reversed(_filled().get(key, [])):
            if entry.since <= opset:
                return entry
    return None


def entries() -> Iterator[Operator]:
    """The whole table, sorted by name."""
    for key in sorted(_filled()):
        yield from _filled()[key]
