"""Layer-wise relevance propagation as backward rules: what travels back is relevance, in place of gradients.

Relevance R that arrives at y becomes, for z = f(x) with stored weights w and biases b:

    epsilon        x * vjp_f(R / (z + eps sign z))                      (Bach et al. 2015, eq. 58)
    alpha, beta    the same for the positive and for the negative products of x and w alone (and the biases of that
                   sign), the first taken alpha times, the second beta times and subtracted (eq. 60)
    flat           evenly to all places that a value is made of         (Lapuschkin et al. 2019)

Sums, means, poolings, rescalings and normalisations with stored statistics have eps: each term gets its share. An
activation hands on what arrives, and so do rounding to levels and what comes ahead of the first layer: a file's own
preprocessing. MaxPool and what moves values keep their gradients, which send relevance to where a value came from.
A BatchNormalization behind a convolution is taken into it first, as both are one linear map, and what is fused or
computes on levels is written out first (written_out.py).
At the target relevance begins as value times gradient of the score: for a logit, the logit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from ...importers.errors import InputError
from ..structure.rectifiers import RECTIFIERS
from .builder import origin
from .constants import Constants
from .fusion import fold as take_in_what_follows
from .kinds import kind
from .rules import Maker, Operation, Rule
from .written_out import write_out_levels

EPSILON = 1e-6  # added to what is divided by, where no rule says otherwise

CONVOLUTIONS = ("Conv", "ConvTranspose")
DENSE = ("Gemm", "MatMul", "com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
SUMS = (
    *("Add", "Sub", "Sum", "Mean", "Neg", "Mul", "Div", "BatchNormalization", "Resize", "Upsample"),
    *("AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"),
)
HANDED_ON = (
    *(*RECTIFIERS, "Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Clip", "LRN", "Dropout", "Identity", "Cast"),
    *("Round", "QuantizeLinear", "DequantizeLinear", "com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear"),
    *("com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearSigmoid"),
)
_MOVES = (
    *("MaxPool", "GlobalMaxPool", "ReduceMax", "Max", "Concat", "Split", "Slice", "Pad", "CenterCropPad", "Expand"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Gather", "DepthToSpace", "SpaceToDepth"),
    "com.microsoft.NhwcMaxPool",
)
_NO_VALUES = ("Shape", "Size", "Constant")  # of these no relevance comes
_PRODUCTS = (*CONVOLUTIONS, *DENSE, "Mul")
_NAMED = 3  # nodes of each kind in a message

Carried = dict[fx.Node, list[int]]  # what depends on the image -> which of its arguments do
Way = Callable[[torch.Tensor], Sequence[torch.Tensor]]  # relevance of a value -> of what it is made of


@dataclass(frozen=True)
class Relevance(Rule):
    """`functions` are of kinds of node, `first` of the layers that the image goes into; None: as of other layers."""

    first: Maker | None = None

    def makers(self, graph: fx.Graph, constants: Constants) -> dict[fx.Node, Maker]:
        """Raises InputError naming all nodes that there is no rule for."""
        write_out_levels(graph, constants)
        for node in list(graph.nodes):
            if kind(node) == "Conv":
                take_in_what_follows(node, constants, ())
        carried = _carried(graph)
        _check(carried)
        behind = _behind_layers(carried)
        makers = {node: self._maker(node, carried[node], node in behind) for node in carried}
        ruled = {node: make for node, make in makers.items() if make is not None}
        ends = [node for node in graph.output_node().all_input_nodes if len(node.users) == 1 and node in carried]
        return ruled | {node: _begun(ruled.get(node)) for node in ends if node.op == "call_function"}

    def _maker(self, node: fx.Node, variable: list[int], behind: bool) -> Maker | None:
        if not behind and kind(node) in (*CONVOLUTIONS, *DENSE) and self.first is not None:
            return self.first
        if not behind and kind(node) in SUMS and len(variable) == 1:
            return handed_on
        return self.functions.get(kind(node))


# -- the graph ---


def _carried(graph: fx.Graph) -> Carried:
    carried: Carried = {}
    for node in graph.nodes:
        places = [place for place, entry in enumerate(node.args) if isinstance(entry, fx.Node) and entry in carried]
        if node.op == "placeholder" or (places and node.op != "output" and kind(node) not in _NO_VALUES):
            carried[node] = places
    return carried


def _behind_layers(carried: Carried) -> set[fx.Node]:
    """What is made of a layer's values."""
    behind: set[fx.Node] = set()
    for node in carried:
        if any(entry in behind or kind(entry) in (*CONVOLUTIONS, *DENSE) for entry in node.all_input_nodes):
            behind.add(node)
    return behind


def _check(carried: Carried) -> None:
    unknown: dict[str, list[str]] = {}
    for node, variable in carried.items():
        obstacle = _obstacle(node, variable)
        if obstacle:
            made_from = origin(node)
            unknown.setdefault(obstacle, []).append(node.name if made_from is None else made_from.name)
    if unknown:
        reasons = "; ".join(f"{obstacle} ({_names(names)})" for obstacle, names in unknown.items())
        raise InputError(f"layer-wise relevance propagation has no rule for {reasons}: integrated_gradients needs none")


def _obstacle(node: fx.Node, variable: Collection[int]) -> str:
    """What about this node there is no rule for, or ""."""
    of = kind(node)
    if of in _PRODUCTS and {0, 1} <= set(variable):
        return f"{of} of two computed tensors"
    if (of == "Div" and 1 in variable) or (of == "BatchNormalization" and set(variable) != {0}):
        return f"{of} by a computed tensor"
    known = (*_PRODUCTS, *SUMS, *HANDED_ON, *_MOVES, "")
    return "" if of in known and node.op != "call_module" else of or "a loop or branch"


def _names(nodes: Sequence[str]) -> str:
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return f"node{'s' * (len(nodes) > 1)} {', '.join(nodes[:_NAMED])}{more}"


# -- the rules of single nodes ---


class _Relevance(torch.autograd.Function):
    """The values `y`; what arrives at them takes the way to `xs`."""

    @staticmethod
    def forward(ctx: Any, way: Way, y: torch.Tensor, *xs: torch.Tensor) -> torch.Tensor:
        ctx.way = way
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None, *ctx.way(gradients[0])


def _sent(made: Any, way: Way, xs: Sequence[torch.Tensor]) -> Any:
    """A node's output, or outputs, the first with another way back."""
    several = isinstance(made, tuple)
    first = _Relevance.apply(way, (made[0] if several else made).detach(), *xs)
    return (first, *made[1:]) if several else first


def _variable(arguments: Sequence[Any]) -> list[int]:
    return [place for place, entry in enumerate(arguments) if isinstance(entry, torch.Tensor) and entry.requires_grad]


def _with(arguments: Sequence[Any], values: Mapping[int, Any]) -> list[Any]:
    """The arguments, some of them others."""
    return [values.get(place, entry) for place, entry in enumerate(arguments)]


def _stable(z: torch.Tensor, epsilon: float) -> torch.Tensor:
    return z + torch.where(z < 0, -epsilon, epsilon)


def handed_on(function: Operation) -> Operation:
    """Relevance goes on as it comes."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        made = function(*arguments, **keywords)
        xs = [arguments[place] for place in _variable(arguments)[:1]]
        return _sent(made, lambda relevance: [relevance.sum_to_size(x.shape) for x in xs], xs)

    return run


@dataclass(frozen=True)
class Epsilon:
    """In proportion to what each x adds to z."""

    epsilon: float = EPSILON

    def __call__(self, function: Operation) -> Operation:
        def run(*arguments: Any, **keywords: Any) -> Any:
            places = _variable(arguments)
            leaves = [arguments[place].detach().requires_grad_() for place in places]
            made = function(*_with(arguments, dict(zip(places, leaves, strict=True))), **keywords)
            z = made[0] if isinstance(made, tuple) else made

            def way(relevance: torch.Tensor) -> list[torch.Tensor]:
                return _shares(z, leaves, relevance, self.epsilon)

            return _sent(made, way, [arguments[place] for place in places])

        return run


def _shares(
    z: torch.Tensor, leaves: Sequence[torch.Tensor], relevance: torch.Tensor, epsilon: float = EPSILON
) -> list[torch.Tensor]:
    found = torch.autograd.grad(z, leaves, relevance / _stable(z.detach(), epsilon))
    return [leaf.detach() * gradient for leaf, gradient in zip(leaves, found, strict=True)]


@dataclass(frozen=True)
class AlphaBeta:
    """Relevance for `alpha` times, against alpha - 1 times."""

    alpha: float

    def __call__(self, function: Operation) -> Operation:
        def run(*arguments: Any, **keywords: Any) -> Any:
            if not _variable(arguments):
                return function(*arguments, **keywords)
            place = _variable(arguments)[0]
            x, weight = arguments[place], arguments[1 - place]
            bias = arguments[2] if len(arguments) > 2 else None

            def way(relevance: torch.Tensor) -> list[torch.Tensor]:
                found = self.alpha * one_side(True, relevance)
                return [found if self.alpha == 1 else found - (self.alpha - 1) * one_side(False, relevance)]

            def one_side(positive: bool, relevance: torch.Tensor) -> torch.Tensor:
                """By the products of this sign."""
                leaves = [_part(x.detach(), side).requires_grad_() for side in (True, False)]
                weights = [_part(weight, side) for side in (positive, not positive)]
                biases = [None if bias is None else _part(bias, positive), None]
                with torch.enable_grad():
                    terms = [
                        function(*_with(arguments, {place: leaf, 1 - place: w, 2: b}), **keywords)
                        for leaf, w, b in zip(leaves, weights, biases, strict=True)
                    ]
                    return sum(_shares(terms[0] + terms[1], leaves, relevance))  # type: ignore[return-value]

            return _sent(function(*_detached(arguments), **keywords), way, [x])

        return run


def flat(function: Operation) -> Operation:
    """Evenly, whatever x and w are."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        if not _variable(arguments):
            return function(*arguments, **keywords)
        place = _variable(arguments)[0]
        x, weight = arguments[place], arguments[1 - place]

        def way(relevance: torch.Tensor) -> list[torch.Tensor]:
            leaf, ones = torch.ones_like(x).requires_grad_(), torch.ones_like(weight)
            with torch.enable_grad():
                z = function(*_with(arguments, {place: leaf, 1 - place: ones, 2: None}), **keywords)
                return _shares(z, [leaf], relevance)

        return _sent(function(*_detached(arguments), **keywords), way, [x])

    return run


def _part(x: torch.Tensor, positive: bool) -> torch.Tensor:
    return x.clamp(min=0) if positive else x.clamp(max=0)


def _detached(arguments: Sequence[Any]) -> list[Any]:
    return [entry.detach() if isinstance(entry, torch.Tensor) else entry for entry in arguments]


def _begun(make: Maker | None) -> Maker:
    """Relevance begins behind this node: value times gradient."""

    def maker(function: Operation) -> Operation:
        inner = function if make is None else make(function)

        def run(*arguments: Any, **keywords: Any) -> Any:
            y = inner(*arguments, **keywords)
            return _sent(y, lambda gradient: [gradient * y.detach()], [y])

        return run

    return maker


# -- for a whole network ---


def relevance_rule(name: str, convolution: Maker, dense: Maker, first: Maker | None = None) -> Relevance:
    """One rule for convolutions, one for dense layers, one for the layers that the image goes into."""
    layers = {**dict.fromkeys(CONVOLUTIONS, convolution), **dict.fromkeys(DENSE, dense)}
    return Relevance(name, {**dict.fromkeys(SUMS, Epsilon()), **dict.fromkeys(HANDED_ON, handed_on), **layers}, first)


def _by_epsilon(epsilon: float) -> Relevance:
    return relevance_rule("epsilon", Epsilon(epsilon), Epsilon(epsilon))


def _by_alpha_beta(alpha: float) -> Relevance:
    return relevance_rule("alpha-beta", AlphaBeta(alpha), AlphaBeta(alpha))


def _composite(epsilon: float, alpha: float) -> Relevance:
    return relevance_rule("composite", AlphaBeta(alpha), Epsilon(epsilon), flat)


# Their parameters are options of `lrp`. With equal parameters the rules are equal, and so are the variants they make.
RELEVANCE_RULES: dict[str, Callable[..., Relevance]] = {
    "epsilon": _by_epsilon,
    "alpha-beta": _by_alpha_beta,
    "composite": _composite,
}
