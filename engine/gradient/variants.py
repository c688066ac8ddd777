"""Variants of a module: the same network with other outputs and another backward rule, sharing its weights.

What the outputs do not need is left out, so a run stops at the last tensor that is asked for. What they leave room for
is made faster (fusion.py); a tensor that is asked for is always computed as the file says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import fx

from .constants import Constants
from .fusion import fuse, simplify
from .kinds import recognise_activations
from .rules import Rule
from .written_out import write_out_steps

_KEPT = 16  # variants that are kept ready


class Variants:
    """The variants of one module, kept ready. The module is not changed, and what is made for one serves the others.

    `fused`: whether they are made faster, which changes values by rounding.
    """

    def __init__(self, module: fx.GraphModule, fused: bool) -> None:
        self._module, self._fused = module, fused
        self._constants = Constants(module)
        self._kept: OrderedDict[Any, fx.GraphModule] = OrderedDict()

    def get(self, outputs: Iterable[str], rule: Rule, leaves: Iterable[str] = ()) -> fx.GraphModule:
        """A module that gives the fx nodes `outputs`, as a tuple.

        At `leaves` a gradient path begins where none comes in from further down: the tensor is a leaf of autograd's.
        """
        key = (tuple(outputs), rule, tuple(leaves))
        if key not in self._kept:
            self._kept[key] = self._made(*key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def simplified(self, outputs: Iterable[str]) -> tuple[fx.Graph, Constants]:
        """The part of the graph that gives these fx nodes, with what operators of ONNX can express made faster, and
        its constants."""
        graph = _copied(self._module.graph, tuple(outputs))
        write_out_steps(graph)
        recognise_activations(graph, self._constants)
        simplify(graph, self._constants, ())
        graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        return graph, self._constants

    def _made(self, outputs: tuple[str, ...], rule: Rule, leaves: tuple[str, ...]) -> fx.GraphModule:
        graph = _copied(self._module.graph, outputs)
        write_out_steps(graph)
        if self._fused:
            recognise_activations(graph, self._constants)
        ruled = _apply(rule, graph, self._constants)
        if self._fused:
            fuse(graph, self._constants, ruled)
        wanted = dict(zip(outputs, graph.output_node().args[0], strict=True))  # type: ignore[arg-type]
        for name in leaves:
            _begin_at(wanted[name])
        return fx.GraphModule(self._constants.used_in(graph), graph, self._module._get_name())


def _copied(original: fx.Graph, outputs: tuple[str, ...]) -> fx.Graph:
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(original, copies)
    by_name = {node.name: copy for node, copy in copies.items()}
    graph.output(tuple(by_name[name] for name in outputs))
    graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))  # no node has side effects
    return graph


def _apply(rule: Rule, graph: fx.Graph, constants: Constants) -> set[fx.Node]:
    """Put the rule's functions in place; returns the nodes that now have one."""
    makers = rule.makers(graph, constants)
    for node, make in makers.items():
        node.target = _renamed(make(node.target))  # type: ignore[arg-type]  # the nodes of operators call functions
    return set(makers)


def _renamed(function: Callable[..., Any]) -> Callable[..., Any]:
    """fx calls whatever bears the name of a function of torch by that name, as a wrapper of it may."""

    def ruled(*arguments: Any, **keywords: Any) -> Any:
        return function(*arguments, **keywords)

    return ruled


def _begin_at(node: fx.Node) -> None:
    with node.graph.inserting_after(node):
        leaf = node.graph.call_function(_leaf, (node,))
    node.replace_all_uses_with(leaf, delete_user_cb=lambda user: user is not leaf)


def _leaf(x: torch.Tensor) -> torch.Tensor:
    return x if x.requires_grad else x.detach().requires_grad_(x.is_floating_point())
