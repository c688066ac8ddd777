"""A second opinion: the same network as the package onnx2torch converts it, run and asked for gradients like ours.

onnx2torch finds converters by the exact version of an operator and has about half of those that vision models need;
what it lacks is taken from our operator table. What it has is left as it is, mistakes included: only so is it a second
opinion.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from operator import getitem
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import fx, nn

from ...importers.certificate import Comparison, compare_arrays
from ...importers.errors import InputError
from ...importers.opset import STANDARD
from ...importers.tensors import is_external, read_tensor
from ...importers.walk import all_tensors, subgraphs
from .builder import Built, build, free_names
from .rules import PLAIN, Rule
from .torch_model import TorchModel

if TYPE_CHECKING:
    from ..model import Model

# Of the network that is being converted: operator domain -> version, and the type of its floats.
_NETWORK: ContextVar[tuple[Mapping[str, int], torch.dtype | None]] = ContextVar("network")
_ONE_LINE = 200  # characters of a foreign error message


class Onnx2torchModel(TorchModel):
    """The network as onnx2torch converts it; runs, values and gradients as of TorchModel, under the plain rule only.

    Raises InputError when onnx2torch cannot be imported or does not convert the network.
    """

    def _build(self) -> Built:
        proto = self.model.proto
        opsets = {"" if entry.domain in STANDARD else entry.domain: entry.version for entry in proto.opset_import}
        module = _converted(_embedded(self.model), opsets, self.precision).eval().requires_grad_(False)
        if self.precision is not None:
            module.to(self.precision)
        return Built(module, _outputs_by_name(module, proto))

    def forward(self, feeds: Mapping[str, torch.Tensor], tensors: Any, rule: Rule = PLAIN) -> dict[str, torch.Tensor]:
        """As of TorchModel. Raises InputError for a rule other than the plain one."""
        if rule != PLAIN:
            raise InputError(f"the rule {rule.name} works on our own conversion only, not via onnx2torch")
        return super().forward(feeds, tensors, rule)


def second_opinion(model: Model, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, Comparison]:
    """Graph output -> how far our own conversion is from onnx2torch's.

    Raises InputError as `Onnx2torchModel` does.
    """
    theirs, ours = model.torch(via="onnx2torch").run(inputs), model.torch().run(inputs)
    return {name: compare_arrays(name, theirs[name], ours[name]) for name in model.graph.outputs}


# -- conversion ---


def _import() -> ModuleType:
    try:
        import onnx2torch
    except Exception as error:  # torchvision's C++ operators raise RuntimeError where another torch is installed
        raise InputError(
            "via onnx2torch needs the packages onnx2torch and torchvision, the latter built for the installed torch "
            f"{torch.__version__} (from the same place as that): {_one_line(error)}"
        ) from None
    return onnx2torch


def _converted(proto: onnx.ModelProto, opsets: Mapping[str, int], precision: torch.dtype | None) -> fx.GraphModule:
    token = _NETWORK.set((opsets, precision))
    try:
        _register(proto.graph.node, opsets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it rounds modes of Resize to those of torch: the comparison says so
            return _import().convert(proto)
    except InputError:
        raise
    except Exception as error:  # its converters raise whatever they come across
        raise InputError(f"onnx2torch does not convert this network: {_one_line(error)}") from None
    finally:
        _NETWORK.reset(token)


def _embedded(model: Model) -> onnx.ModelProto:
    """The network with all weights inside; a copy where it has any outside."""
    if not any(map(is_external, all_tensors(model.proto.graph))):
        return model.proto
    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    for tensor in filter(is_external, all_tensors(copy.graph)):
        tensor.CopyFrom(numpy_helper.from_array(read_tensor(tensor, model.folder), tensor.name))
    return copy


def _outputs_by_name(module: fx.GraphModule, proto: onnx.ModelProto) -> dict[str, str]:
    """ONNX tensor -> fx node; onnx2torch's own outputs, which it may swap or repeat, are replaced by the graph's."""
    from onnx2torch.onnx_graph import OnnxGraph

    graph = module.graph
    calls = {node.target: node for node in graph.nodes if node.op == "call_module"}
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    values = dict(zip((value.name for value in proto.graph.input), inputs, strict=True))
    for name, node in OnnxGraph(proto.graph).nodes.items():
        values |= _values(graph, calls[name], node.output_values)
    _set_outputs(module, [values[value.name] for value in proto.graph.output if value.name in values])
    return {name: node.name for name, node in values.items()}


def _values(graph: fx.Graph, call: fx.Node, names: tuple[str, ...]) -> dict[str, fx.Node]:
    if len(names) == 1:
        return {names[0]: call}
    with graph.inserting_after(call):
        return {name: graph.call_function(getitem, (call, index)) for index, name in enumerate(names) if name}


def _set_outputs(module: fx.GraphModule, values: list[fx.Node]) -> None:
    output = next(node for node in module.graph.nodes if node.op == "output")
    output.args = (tuple(values),)
    module.recompile()


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_ONE_LINE]


# -- the registry ---


def _register(nodes: Iterable[NodeProto], opsets: Mapping[str, int]) -> None:
    """Give onnx2torch a converter for every operator of these nodes that it lacks, once a version."""
    from onnx2torch.node_converters.registry import add_converter, get_converter

    for node in nodes:
        domain = "" if node.domain in STANDARD else node.domain
        version = _since(node.op_type, domain, opsets.get(domain, 1))
        try:
            get_converter(node.op_type, version, domain)
        except NotImplementedError:
            add_converter(node.op_type, version, domain)(_convert)


def _since(op: str, domain: str, opset: int) -> int:
    """The version that the operator got its present meaning at, which onnx2torch files it under."""
    try:
        return onnx.defs.get_schema(op, opset, domain).since_version
    except onnx.defs.SchemaError:
        return opset


def _convert(node: Any, graph: Any) -> Any:
    """A converter as onnx2torch wants it: the node alone, as a graph, built by our builder."""
    from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

    proto: NodeProto = node.proto
    bodies = [body for attribute in proto.attribute for body in subgraphs(attribute)]
    captured = sorted({name for body in bodies for name in free_names(body)})
    names = tuple(dict.fromkeys(name for name in (*proto.input, *captured) if name))
    module = _OneNode(proto, names, *_NETWORK.get())
    return OperationConverterResult(module, OnnxMapping(names, tuple(proto.output)))


class _OneNode(nn.Module):
    """One node of the graph, by our operator table: its inputs without the omitted ones -> its output, or outputs."""

    def __init__(
        self, node: NodeProto, inputs: tuple[str, ...], opsets: Mapping[str, int], precision: torch.dtype | None
    ) -> None:
        super().__init__()
        given = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in inputs]
        made = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
        graph = helper.make_graph([node], node.name or node.op_type, given, made)
        self.network = build(graph, inputs, opsets, numpy_helper.to_array, precision).module
        self.outputs = tuple(node.output)

    def forward(self, *inputs: torch.Tensor) -> Any:
        values = iter(self.network(*inputs))
        if len(self.outputs) == 1:
            return next(values)
        return tuple(next(values) if name else None for name in self.outputs)
