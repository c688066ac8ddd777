"""A second opinion: the same network as the package onnx2torch converts it, run and asked for gradients like ours.

onnx2torch knows about half of the operator versions that vision models need. Nodes that it lacks or refuses are taken
from our operator table, through its own registry, in a domain of ours. What it has is left as it is, mistakes
included: only so is it a second opinion.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from operator import getitem
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

_OURS = "onnxray"  # the domain that nodes for our operator table are put into
_GIVES_ALL = ("Split", "TopK")  # all other modules of onnx2torch return the first output only
_ONE_LINE = 200  # characters of a foreign error message


@dataclass(frozen=True)
class _Network:
    """What the converter of one node must know of the whole."""

    nodes: Mapping[str, NodeProto]  # by name
    opsets: Mapping[str, int]  # operator domain -> version
    precision: torch.dtype | None  # of all floats


_NETWORK: ContextVar[_Network] = ContextVar("network")  # the one that is being converted


class Onnx2torchModel(TorchModel):
    """The network as onnx2torch converts it; runs, values and gradients as of TorchModel.

    Raises InputError when onnx2torch cannot be imported or does not convert the network, and at a run when its copy
    stumbles, or under any backward rule but the plain one.
    """

    ours: tuple[str, ...]  # nodes that are not onnx2torch's but ours, because it lacks or refuses them

    def _build(self) -> Built:
        proto = self.model.proto
        opsets = {"" if entry.domain in STANDARD else entry.domain: entry.version for entry in proto.opset_import}
        token = _NETWORK.set(_Network({node.name: node for node in proto.graph.node}, opsets, self.precision))
        try:
            built, self.ours = _converted(_embedded(self.model))
        finally:
            _NETWORK.reset(token)
        built.module.eval().requires_grad_(False)
        if self.precision is not None:
            built.module.to(self.precision)
        return built

    def _forward(
        self, feeds: Mapping[str, torch.Tensor], tensors: Sequence[str], rule: Rule, leaves: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        if rule != PLAIN:
            raise InputError(f"the rule {rule.name} works on our own conversion only, not via onnx2torch")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its ways of indexing are deprecated
            try:
                return super()._forward(feeds, tensors, rule, leaves)
            except InputError:
                raise
            except Exception as error:
                raise InputError(f"onnx2torch's copy of this network does not run: {_one_line(error)}") from None


def second_opinion(model: Model, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, Comparison]:
    """Graph output -> how far our own conversion is from onnx2torch's.

    Raises InputError as `Onnx2torchModel` does.
    """
    theirs, ours = model.torch(via="onnx2torch").run(inputs), model.torch().run(inputs)
    return {name: compare_arrays(name, theirs[name], ours[name]) for name in model.graph.outputs}


# -- conversion ---


def _converted(proto: onnx.ModelProto) -> tuple[Built, tuple[str, ...]]:
    """The module, and the names of the nodes in it that are ours."""
    _check_installed()
    from onnx2torch import convert
    from onnx2torch.utils.safe_shape_inference import safe_shape_inference

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it takes modes of Resize for torch's: the comparison says so
        try:
            inferred = safe_shape_inference(proto)  # a copy
            ours = _hand_over(inferred)
            module = convert(inferred)
        except InputError:
            raise
        except Exception as error:  # it raises whatever it comes across
            raise InputError(f"onnx2torch does not convert this network: {_one_line(error)}") from None
    return Built(module, _named_outputs(module, inferred)), ours


def _check_installed() -> None:
    try:
        import onnx2torch  # noqa: F401
    except Exception as error:  # torchvision raises RuntimeError beside a torch that it was not built for
        raise InputError(
            "via onnx2torch needs the packages onnx2torch and torchvision, the latter built for the installed torch "
            f"{torch.__version__} (from the same place as that): {_one_line(error)}"
        ) from None


def _embedded(model: Model) -> onnx.ModelProto:
    """The network with all weights inside; a copy where it has any outside."""
    if not any(map(is_external, all_tensors(model.proto.graph))):
        return model.proto
    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    for tensor in filter(is_external, all_tensors(copy.graph)):
        tensor.CopyFrom(numpy_helper.from_array(read_tensor(tensor, model.folder), tensor.name))
    return copy


def _named_outputs(module: fx.GraphModule, proto: onnx.ModelProto) -> dict[str, str]:
    """ONNX tensor -> fx node; onnx2torch's own outputs, which it may swap or repeat, are replaced by the graph's."""
    from onnx2torch.onnx_graph import OnnxGraph

    graph = module.graph
    calls = {node.target: node for node in graph.nodes if node.op == "call_module"}
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    values = dict(zip((value.name for value in proto.graph.input), inputs, strict=True))
    for name, node in OnnxGraph(proto.graph).nodes.items():
        values |= _values(graph, calls[name], node.output_values)
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = (tuple(values[value.name] for value in proto.graph.output),)
    module.recompile()
    return {name: node.name for name, node in values.items()}


def _values(graph: fx.Graph, call: fx.Node, names: tuple[str, ...]) -> dict[str, fx.Node]:
    if len(names) == 1:
        return {names[0]: call}
    with graph.inserting_after(call):
        return {name: graph.call_function(getitem, (call, index)) for index, name in enumerate(names) if name}


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_ONE_LINE]


# -- nodes of ours ---


def _hand_over(proto: onnx.ModelProto) -> tuple[str, ...]:
    """Put the nodes that onnx2torch cannot convert into our domain, whose converter is ours; their names."""
    refused = list(_refused(proto))
    for node in refused:
        node.domain = _OURS
    _register({node.op_type for node in refused})
    proto.opset_import.append(helper.make_opsetid(_OURS, 1))
    return tuple(node.name for node in refused)


def _refused(proto: onnx.ModelProto) -> Iterator[NodeProto]:
    from onnx2torch.node_converters import get_converter
    from onnx2torch.onnx_graph import OnnxGraph

    opsets = {entry.domain: entry.version for entry in proto.opset_import}
    graph = OnnxGraph(proto.graph)
    for node in graph.nodes.values():
        try:
            get_converter(node.operation_type, opsets[node.domain], node.domain)(node, graph)
            refused = any(node.output_values[1:]) and node.operation_type not in _GIVES_ALL
        except Exception:  # it lacks the version or an attribute, wants a constant where there is none, or stumbles
            refused = True
        if refused:
            yield node.proto


def _register(operators: Iterable[str]) -> None:
    """Enter our converter into onnx2torch's registry, once an operator."""
    from onnx2torch.node_converters import get_converter
    from onnx2torch.node_converters.registry import add_converter

    for name in operators:
        try:
            get_converter(name, 1, _OURS)
        except NotImplementedError:
            add_converter(name, 1, _OURS)(_convert)


def _convert(node: Any, graph: Any) -> Any:
    """A converter as onnx2torch wants it: the node alone, as a graph, built by our builder."""
    from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

    network = _NETWORK.get()
    proto = network.nodes[node.name]
    bodies = [body for attribute in proto.attribute for body in subgraphs(attribute)]
    captured = sorted({name for body in bodies for name in free_names(body)})
    inputs = tuple(dict.fromkeys(name for name in (*proto.input, *captured) if name))
    return OperationConverterResult(_OneNode(proto, inputs, network), OnnxMapping(inputs, tuple(proto.output)))


class _OneNode(nn.Module):
    """One node of the graph, by our operator table: its inputs without the omitted ones -> its output, or outputs."""

    def __init__(self, node: NodeProto, inputs: tuple[str, ...], network: _Network) -> None:
        super().__init__()
        given = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in inputs]
        made = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
        graph = helper.make_graph([node], node.name, given, made)
        built = build(graph, inputs, network.opsets, numpy_helper.to_array, network.precision)
        self.network, self.outputs = built.module, tuple(node.output)

    def forward(self, *inputs: torch.Tensor) -> Any:
        values = iter(self.network(*inputs))
        if len(self.outputs) == 1:
            return next(values)
        return tuple(next(values) if name else None for name in self.outputs)
