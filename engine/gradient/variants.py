"""Variants of a module: the same network with other outputs and another backward rule, sharing its weights.

What the outputs do not need is left out, so a run stops at the last tensor that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

from .builder import origin
from .rules import Rule


def variant(module: fx.GraphModule, outputs: Sequence[str], rule: Rule) -> fx.GraphModule:
    """A module that gives the fx nodes `outputs`, as a tuple."""
    graph = fx.Graph(owning_module=module)  # which says what is in the submodules of If, Loop and Scan
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    by_name = {node.name: copy for node, copy in copies.items()}
    graph.output(tuple(by_name[name] for name in outputs))
    graph.eliminate_dead_code()
    _apply(rule, graph)
    return fx.GraphModule(module, graph, module._get_name())


def _apply(rule: Rule, graph: fx.Graph) -> None:
    for node in graph.nodes:
        made_from = origin(node)
        if made_from is not None and made_from.op in rule.functions:
            node.target = rule.functions[made_from.op](node.target)
