"""The network, operator by operator, to ONNX: images channels first, sizes fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from ..channels_last import to_first
from ..errors import InputError
from ..graph_builder import GraphBuilder
from .dilation import with_dilations
from .folding import fold
from .operator_writer import Layout, OperatorWriter, rounding
from .operators import OperatorFunction, operator_functions
from .reader import NUMPY_TYPES, Network, Operator, Tensor

_TO_FIRST, _TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
_WRAPPERS = ("QUANTIZE", "DEQUANTIZE", "CAST")  # change how numbers are stored, not where


def translate(
    network: Network, shapes: Mapping[str, Sequence[int]], dequantize: bool = False
) -> tuple[onnx.ModelProto, set[str]]:
    """The network as ONNX, and which of its tensors have channels first where the file has them last.

    Raises InputError naming all operators that have no function, or the first that does not fit its inputs.
    """
    functions = operator_functions()
    _check_supported(network, functions)
    network = with_dilations(network)
    made = {name for operator in network.operators for name in operator.outputs}
    graph = GraphBuilder(network.name, reserved={*network.inputs, *made})
    layout = Layout(network, graph, dequantize, set(network.outputs), _already_first(network))
    for name in network.inputs:
        _declare(layout, name, shapes)
    for operator in network.operators:
        _translate(operator, layout, functions[operator.kind])
    try:
        proto = graph.finish([_output(layout, name) for name in network.outputs])
    except (ValueError, MemoryError) as error:
        raise InputError(f"the network does not make a consistent graph: {error}") from error
    tensors = layout.tensors
    inner = {name for name in made if name in tensors and tensors.is_first(name) and tensors.first(name) == name}
    ends = {name for name in network.outputs if layout.output_is_first(name)}
    return proto, inner | ends | {name for name in network.inputs if _is_turned(layout, name)}


def _check_supported(network: Network, functions: Mapping[str, OperatorFunction]) -> None:
    """Raise InputError naming all operators and tensors that are not."""
    unknown = Counter(operator.kind for operator in network.operators if operator.kind not in functions)
    found = []
    if unknown:
        found.append("operators " + ", ".join(f"{kind} ({count})" for kind, count in unknown.items()))
    if network.refused:
        found.append("tensors " + ", ".join(f"{name} ({why})" for name, why in network.refused.items()))
    if found:
        raise InputError(f"not supported: {'; '.join(found)}; nothing was written")
    _check_order(network)


def _check_order(network: Network) -> None:
    """Raise InputError unless every tensor is made once, and before it is read: walking back then comes to an end."""
    waiting = {name for operator in network.operators for name in operator.outputs}
    made = set(network.inputs)
    if len(made) < len(network.inputs) or len(set(network.outputs)) < len(network.outputs):
        raise InputError("the file is damaged: it names an input or an output twice")
    for operator in network.operators:
        if "" in operator.outputs or not operator.outputs or not operator.inputs:
            raise InputError(f"the file is damaged: an operator {operator.kind} reads or makes nothing")
        for name in operator.inputs:
            if name in waiting and name not in made:
                raise InputError(f"the file is damaged: {operator.kind} reads {name} before it is made")
        for name in operator.outputs:
            if name in made:
                raise InputError(f"the file is damaged: {operator.kind} makes {name}, which is there already")
            made.add(name)


def _translate(operator: Operator, layout: Layout, function: OperatorFunction) -> None:
    writer = OperatorWriter(operator, layout)
    try:
        if not fold(operator, layout, function):
            function(writer)
    except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise writer.error(f"does not fit its inputs ({error})") from error


def _declare(layout: Layout, name: str, shapes: Mapping[str, Sequence[int]]) -> None:
    """A graph input; where the file has bytes with a scale, floats that are rounded to what the bytes can say."""
    tensor = layout.network.tensors[name]
    first = _is_turned(layout, name)
    shape = _input_shape(tensor, first, shapes)
    if tensor.is_quantised:
        dtype: int = onnx.TensorProto.FLOAT
    elif tensor.type in NUMPY_TYPES:
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(NUMPY_TYPES[tensor.type]))
    else:
        raise InputError(f"the input {name} is of type {tensor.type}, expected numbers")
    entered = layout.graph.input(name, shape, dtype)
    for role, op, others, attributes in (
        rounding(layout.graph, tensor, layout.dequantize) if tensor.is_quantised else ()
    ):
        made = layout.graph.temporary(f"{name}/{role}")
        entered = layout.graph.node(op, [entered, *others], made, name=made, **attributes)
    (layout.tensors.made_first if first else layout.tensors.made_last)(name, entered)


def _is_turned(layout: Layout, name: str) -> bool:
    """Whether an input has channels first in the graph and last in the file."""
    return len(layout.network.tensors[name].shape) == 4 and name not in layout.kept


def _input_shape(tensor: Tensor, first: bool, shapes: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """As the user says (in the graph's order), else as the file does; unknown sizes are written as 1 there."""
    given = shapes.get(tensor.name) or shapes.get("")
    if given and len(given) == len(tensor.shape):
        return tuple(given)
    if min(tensor.shape, default=1) < 1:
        raise InputError(f"the input {tensor.name} has the shape {list(tensor.shape)}; say it with --shape")
    return tuple(tensor.shape[axis] for axis in to_first(4)) if first else tensor.shape


def _already_first(network: Network) -> set[str]:
    """Graph inputs and outputs of four axes that the file itself has channels first: it transposes them at once."""
    makers = {name: operator for operator in network.operators for name in operator.outputs}
    found = set()
    for name in network.outputs:
        operator = makers.get(name)
        while operator is not None and operator.kind in _WRAPPERS:
            operator = makers.get(operator.inputs[0])
        if operator is not None and _turns(network, operator, _TO_FIRST):
            found.add(name)
    for name in network.inputs:
        readers = _readers(network, name)
        if readers and all(_turns(network, operator, _TO_LAST) for operator in readers):
            found.add(name)
    return found


def _readers(network: Network, name: str) -> list[Operator]:
    direct = [operator for operator in network.operators if name in operator.inputs]
    if len(direct) == 1 and direct[0].kind in _WRAPPERS:
        return [operator for operator in network.operators if direct[0].outputs[0] in operator.inputs]
    return direct


def _turns(network: Network, operator: Operator, perm: Sequence[int]) -> bool:
    if operator.kind != "TRANSPOSE" or len(operator.inputs) < 2:
        return False
    stored = network.tensors[operator.inputs[1]].stored
    return stored is not None and stored.ravel().tolist() == list(perm)


def _output(layout: Layout, name: str) -> str:
    """The tensor of a graph output under the file's name, in the order in which it is given out."""
    tensor = layout.network.tensors[name]
    if name not in layout.tensors:
        if tensor.real is None:
            raise InputError(f"nothing makes the output {name}")
        layout.tensors.store(name, tensor.real)
    found = layout.tensors.first(name) if layout.output_is_first(name) else layout.tensors.last(name)
    if found == name and name not in layout.network.inputs:
        return name
    target = layout.graph.temporary(f"{name}/output") if name in layout.network.inputs else name
    return layout.graph.node("Identity", [found], target, name=target)
