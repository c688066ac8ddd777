"""Backward rules: how gradients pass activation functions. A rule is handed to a run; the module is never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rule:
    """For some kinds of node (ONNX operator names) another function, with the same values and another gradient."""

    name: str
    functions: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = field(
        default_factory=dict, hash=False
    )


PLAIN = Rule("plain")
