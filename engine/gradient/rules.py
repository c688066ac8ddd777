"""Backward rules: how gradients pass activation functions. A rule is handed to a run; the module is never changed.

What the rules here do at an activation y = f(x), where g is the gradient that arrives at y:

    plain      f'(x) * g
    deconvnet  max(g, 0)           the forward pass does not matter (Zeiler and Fergus 2014)
    guided     f'(x) * max(g, 0)   (Springenberg et al. 2015)

For Relu these are the papers' own rules: f'(x) is 1 where x > 0, else 0. The other activations came later; here they
are treated as what they stand in for: deconvnet rectifies whatever f is, guided keeps the derivative of f, which for
Gelu, Swish and Mish is a little below zero (not under -0.13) in a part of x < 0, and of HardSwish (not under -0.5).
The deconvnet leaves local response normalisation out on the way back, as the paper has no layer for it there.
MaxPool needs no rule: its gradient goes to the places of the maxima, which is the deconvnet's unpooling with switches.
Sigmoid and Tanh, which gate and squash rather than rectify, keep their gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from ..structure.rectifiers import RECTIFIERS
from .constants import Constants
from .kinds import kind

Operation = Callable[..., Any]  # what stands at a node: see ops/__init__.py
Maker = Callable[[Operation], Operation]  # what makes a function with another gradient of it


@dataclass(frozen=True)
class Rule:
    """For some kinds of node another function, with the same values and another gradient."""

    name: str
    functions: Mapping[str, Maker] = field(default_factory=dict, hash=False)  # by kind

    def makers(self, graph: fx.Graph, constants: Constants) -> dict[fx.Node, Maker]:
        """The nodes that get another function. A rule may look at more than their kind, and change the graph first.

        Raises InputError when the rule does not fit the graph.
        """
        return {node: self.functions[kind(node)] for node in graph.nodes if kind(node) in self.functions}


class _RectifiedGradient(torch.autograd.Function):
    """The same values; of the gradient what is positive."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0].clamp(min=0)


class _PassedBy(torch.autograd.Function):
    """The values `y` of a function; their gradient is handed to `x` as it is."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


def deconvnet(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The function with only positive gradients let through, its own derivative left out."""

    def run(x: torch.Tensor, *arguments: Any, **keywords: Any) -> torch.Tensor:
        with torch.no_grad():
            y = function(x, *arguments, **keywords)
        passed: torch.Tensor = _RectifiedGradient.apply(_PassedBy.apply(x, y))
        return passed

    return run


def straight(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The function with the gradient handed on as it is."""

    def run(x: torch.Tensor, *arguments: Any, **keywords: Any) -> torch.Tensor:
        with torch.no_grad():
            y = function(x, *arguments, **keywords)
        passed: torch.Tensor = _PassedBy.apply(x, y)
        return passed

    return run


def rectified_gradient(x: torch.Tensor) -> torch.Tensor:
    """The same values, with only positive gradients let in."""
    y: torch.Tensor = _RectifiedGradient.apply(x)
    return y


class _Guided(Rule):
    """Something behind the activations instead of other functions for them: they can still be fused."""

    def makers(self, graph: fx.Graph, constants: Constants) -> dict[fx.Node, Maker]:
        for node in [node for node in graph.nodes if kind(node) in RECTIFIERS]:
            with graph.inserting_after(node):
                behind = graph.call_function(rectified_gradient, (node,))
            node.replace_all_uses_with(behind, delete_user_cb=lambda user: user.target is not rectified_gradient)
        return {}


PLAIN = Rule("plain")
DECONVNET = Rule("deconvnet", {**dict.fromkeys(RECTIFIERS, deconvnet), "LRN": straight})
GUIDED = _Guided("guided")
