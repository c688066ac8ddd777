"""Summary: a row a node with shapes, parameters, MACs, activation bytes and receptive field, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..results import Result
from .cost import Costs, NodeCost, Parameter
from .graph import Graph, Node
from .memory import PeakMemory, peak_memory
from .op_families import family_of
from .receptive_field import ReceptiveField, receptive_fields

if TYPE_CHECKING:
    from ..model import Model

_LAYER_FAMILIES = {"convolution", "dense", "pooling", "resize", "normalisation", "attention", "recurrent"}
_NO_LAYERS = {"ArgMax", "ArgMin", "TopK", "Pad"}


@dataclass(frozen=True)
class Layer:
    """One node of the graph. None: not known."""

    name: str
    op: str
    output: str  # the node's first output tensor
    shape: tuple[int | None, ...] | None  # of `output`
    dtype: str  # of `output`
    params: int  # learned values the node uses
    statistics: int  # running means and variances it uses
    macs: int | None
    flops: int | None
    activation_bytes: int | None  # of all its outputs
    weight_dtype: str  # as stored; "" without weights, "float32, int8" when mixed
    sparsity: float | None  # share of zeros among its weights; None without weights
    receptive_field: ReceptiveField | None  # of `output`; None when no input is an image
    is_layer: bool  # convolution, pooling, dense, norm … or anything with parameters or with unknown cost


@dataclass(frozen=True)
class Summary(Result):
    """The whole model. Totals count a tensor that several nodes share once."""

    model: str
    input_shapes: dict[str, tuple[int, ...]]
    assumed: dict[str, tuple[int, ...]]  # input -> the axes whose size the file leaves open (batch 1 not counted)
    image_input: str  # receptive fields are in pixels of this input; "" when there is none
    rows: tuple[Layer, ...]
    total_params: int
    total_statistics: int
    total_macs: int | None  # None when a node's are not known
    known_macs: int
    unknown_macs: tuple[str, ...]  # those nodes
    total_flops: int | None
    total_activation_bytes: int | None
    peak_memory: PeakMemory
    weight_bytes: int
    weight_dtypes: dict[str, int]  # dtype as stored -> learned values
    sparsity: float | None  # share of zeros among all learned values

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The rows that are layers."""
        return tuple(row for row in self.rows if row.is_layer)

    @property
    def others(self) -> dict[str, int]:
        """Operator -> how many nodes are not layers. None of them has parameters."""
        return dict(Counter(row.op for row in self.rows if not row.is_layer).most_common())


def summarize(model: Model) -> Summary:
    """Everything the table of layers shows, from the file alone: nothing is run."""
    graph = model.graph
    costs = Costs(graph)
    image, axes = image_axes(model)
    fields = receptive_fields(graph, image, axes) if axes else {}
    rows = tuple(_row(graph, costs, node, cost, fields) for node, cost in zip(graph.nodes, costs.nodes, strict=True))
    parameters = costs.parameters.values()
    dtypes: Counter[str] = Counter()
    for parameter in parameters:
        dtypes[parameter.dtype] += parameter.elements
    return Summary(
        model=model.path.name,
        input_shapes=dict(model.input_shapes),
        assumed=_assumed_axes(model),
        image_input=image if axes else "",
        rows=rows,
        total_params=costs.params,
        total_statistics=sum(row.statistics for row in rows),
        total_macs=_total(row.macs for row in rows),
        known_macs=sum(row.macs or 0 for row in rows),
        unknown_macs=tuple(row.name for row in rows if row.macs is None),
        total_flops=_total(row.flops for row in rows),
        total_activation_bytes=_total(row.activation_bytes for row in rows),
        peak_memory=peak_memory(graph),
        weight_bytes=sum(parameter.bytes for parameter in parameters),
        weight_dtypes=dict(dtypes.most_common()),
        sparsity=_sparsity(parameters),
    )


def image_axes(model: Model) -> tuple[str, tuple[int, ...]]:
    """The image input and its spatial axes; no axes when no input looks like an image or a signal."""
    named = [model.spec.input] if model.spec.input in model.input_shapes else []
    for name in (*named, *model.input_shapes):
        rank = len(model.input_shapes[name])
        if rank >= 3:
            nhwc = model.spec.layout == "NHWC"
            return name, tuple(range(1, rank - 1)) if nhwc else tuple(range(2, rank))
    return "", ()


def _row(graph: Graph, costs: Costs, node: Node, cost: NodeCost, fields: Mapping[str, ReceptiveField]) -> Layer:
    output = node.outputs[0]
    known = graph.types.get(output)
    constant = costs.is_constant(node)
    has_weights = bool(cost.params or cost.statistics)
    return Layer(
        name=node.name,
        op=node.op,
        output=output,
        shape=graph.shape(output),
        dtype=known.dtype if known else "?",
        params=cost.params,
        statistics=cost.statistics,
        macs=cost.macs,
        flops=cost.flops,
        activation_bytes=cost.activation_bytes,
        weight_dtype=", ".join(dict.fromkeys(weight.dtype for weight in cost.weights)),
        sparsity=_sparsity(cost.weights),
        receptive_field=fields.get(output),
        is_layer=not constant and (_is_layer(graph, node) or has_weights or cost.macs is None),
    )


def _is_layer(graph: Graph, node: Node) -> bool:
    """Whether the field calls it a layer. A reduction is one where it pools an image, not inside a normalisation."""
    if node.op.startswith("Reduce"):
        return len(graph.shape(node.inputs[0]) or ()) >= 4
    return family_of(node.op) in _LAYER_FAMILIES and node.op not in _NO_LAYERS


def _sparsity(weights: Iterable[Parameter]) -> float | None:
    known = [(weight.zeros, weight.elements) for weight in weights if weight.zeros is not None]
    total = sum(elements for _, elements in known)
    return sum(zeros for zeros, _ in known) / total if total else None


def _total(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)


def _assumed_axes(model: Model) -> dict[str, tuple[int, ...]]:
    """Input -> axes after the batch that the file leaves open."""
    from ...importers.onnx_file import graph_inputs

    open_axes = {
        name: tuple(
            axis
            for axis, dim in enumerate(value.type.tensor_type.shape.dim)
            if axis and not (dim.HasField("dim_value") and dim.dim_value > 0)
        )
        for name, value in graph_inputs(model.proto).items()
    }
    return {name: axes for name, axes in open_axes.items() if axes}
