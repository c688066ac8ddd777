"""The kind of every fx node, as backward rules and fusions know it: its ONNX operator, or the activation it stands for.

Files write newer activations as chains of simple operators, in many algebraic orders: x * Sigmoid(x),
x * Clip(x + 3, 0, 6) / 6, 0.5 * x * (1 + Erf(x / sqrt(2))) … They are recognised by what they compute: a chain of
elementwise operators from one tensor to one tensor whose values agree with an activation's is that activation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from .builder import origin
from .constants import Constants

KIND = "kind"  # key of fx nodes' meta
_ENDS = ("Mul", "Div")  # what such a chain ends in
_ELEMENTWISE = (
    *("Add", "Sub", "Mul", "Div", "Neg", "Reciprocal", "Pow", "Sqrt", "Exp", "Log", "Min", "Max", "Clip", "Relu"),
    *("Erf", "Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Identity", "Cast"),
)
_LONGEST = 12  # nodes in a chain
_SAMPLES = torch.cat([torch.linspace(-9, 9, 181), torch.tensor([-40.0, 40.0])]).double()
_TOLERANCE = 2e-5  # of values up to 9; Gelu's two forms are 5e-4 apart

Chain = dict[fx.Node, None]  # nodes, those that run last first


def kind(node: fx.Node) -> str:
    """ "Conv", "Gelu", "com.microsoft.FusedConv" …; "" for inputs, weights and unpacked tuples."""
    made_from = origin(node)
    if node.op != "call_function" or made_from is None:
        return ""
    return str(node.meta.get(KIND, made_from.op))


def only_user(node: fx.Node) -> fx.Node | None:
    """The node that reads this one, where it is the only one."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def rounds_to_levels(graph: fx.Graph) -> bool:
    """Whether the graph quantises: there, an error of rounding may become one of a whole level."""
    return any(kind(node) in ("QuantizeLinear", "DynamicQuantizeLinear") for node in graph.nodes)


def recognise_activations(graph: fx.Graph, constants: Constants) -> None:
    """Put one node in place of every such chain, unless a tensor inside it is needed elsewhere or asked for."""
    for node in reversed(list(graph.nodes)):
        if kind(node) == "Clip" and _is_relu6(node, constants):
            node.meta[KIND] = "Relu6"
        if kind(node) in _ENDS and node.users:  # those of a chain that is replaced have none left
            _recognise(node, constants)


def _is_relu6(node: fx.Node, constants: Constants) -> bool:
    bounds = [constants.value(argument) for argument in node.args[1:]] or [
        torch.tensor(node.kwargs.get(name, math.inf)) for name in ("min", "max")
    ]
    return len(bounds) == 2 and all(b is not None and b.numel() == 1 for b in bounds) and _positive_up_to(bounds)


def _positive_up_to(bounds: list[Any]) -> bool:
    return bool(bounds[0] == 0 and bounds[1] > 0)


# -- chains ---


def _recognise(end: fx.Node, constants: Constants) -> None:
    chain: Chain = {end: None}
    while len(chain) <= _LONGEST:
        sources = _sources(chain, constants)
        if sources is None:
            return
        if len(sources) == 1 and len(chain) > 1:
            found = _activation(chain, sources[0], constants)
            if found:
                _replace(chain, sources[0], found)
                return
        last = sources[0]
        if kind(last) not in _ELEMENTWISE or any(user not in chain for user in last.users):
            return
        chain[last] = None


def _sources(chain: Chain, constants: Constants) -> list[fx.Node] | None:
    """What the chain reads besides numbers, the last computed first; None where it reads a whole constant tensor."""
    read = {entry for node in chain for entry in node.all_input_nodes if entry not in chain}
    values = {entry: constants.value(entry) for entry in read}
    if any(value is not None and value.numel() != 1 for value in values.values()):
        return None
    variable = sorted((entry for entry in read if values[entry] is None), reverse=True)  # in the graph's order
    return variable or None


def _activation(chain: Chain, source: fx.Node, constants: Constants) -> str:
    """The activation whose values the chain has, or ""."""
    values = {source: _SAMPLES}
    try:
        for node in reversed(chain):
            held = {entry: constants.value(entry) for entry in node.all_input_nodes if entry not in values}
            numbers = {entry: value.double().cpu() for entry, value in held.items() if value is not None}
            arguments, keywords = fx.map_arg((node.args, node.kwargs), (values | numbers).__getitem__)
            values[node] = node.target(*arguments, **keywords)  # type: ignore[operator]
    except (RuntimeError, TypeError, KeyError):
        return ""
    made = values[next(iter(chain))]
    if made.shape != _SAMPLES.shape or not made.is_floating_point():
        return ""
    return next((name for name, y in _catalogue().items() if torch.allclose(made.double(), y, 1e-6, _TOLERANCE)), "")


def _replace(chain: Chain, source: fx.Node, found: str) -> None:
    end = next(iter(chain))
    with end.graph.inserting_before(end):
        node = end.graph.create_node("call_function", _ACTIVATIONS[found], (source,), {}, f"{end.name}_{found}")
    node.meta = {**end.meta, KIND: found.partition(" ")[0]}
    end.replace_all_uses_with(node)
    for entry in chain:
        entry.graph.erase_node(entry)


def _gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x, approximate="tanh")


def _quick_gelu(x: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "Gelu": F.gelu,
    "Gelu tanh": _gelu_tanh,
    "Swish": F.silu,
    "com.microsoft.QuickGelu": _quick_gelu,
    "HardSwish": F.hardswish,
    "Mish": F.mish,
}


@cache
def _catalogue() -> dict[str, torch.Tensor]:
    return {name: function(_SAMPLES) for name, function in _ACTIVATIONS.items()}
