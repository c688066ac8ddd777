"""The network, node by node, to ONNX; shapes of inputs come from the user, the weights, or by trying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import onnx

from ..errors import InputError, nearest_names
from ..graph_builder import Dim, GraphBuilder
from ..image_sides import USUAL_SIDES
from ..input_spec import InputSpec
from .operator_writer import BATCH, FixedBatchNeeded, OperatorWriter
from .operators import LEARNED, LOSSES, operator_functions
from .symbol import VARIABLE, Entry, Node, Symbol

_SIDES = ("height", "width")
_LARGEST_SIDE = 1 << 31
_TELLING = {("Convolution", 4), ("Deconvolution", 4), ("FullyConnected", 2)}  # and the axes of its weight
_FIT_ANY = "neither file says it: the most usual size that fits the weights"

Shapes = dict[str, tuple[Dim, ...]]  # graph input -> shape


def translate(
    symbol: Symbol, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None
) -> tuple[onnx.ModelProto, bool]:
    """The network as ONNX, and whether the sides of its images were found by trying.

    Raises InputError when operators or weights are missing or do not fit.
    """
    symbol = _live(symbol)
    _check_supported(symbol)
    inputs = _input_shapes(symbol, shapes, size)
    is_open = any(side in _SIDES for shape in inputs.values() for side in shape)
    if is_open and any(node.op == "FullyConnected" for node in symbol.nodes):
        for side in USUAL_SIDES:
            try:
                return _with_any_batch(symbol, _with_side(inputs, side)), True
            except InputError:
                continue
    return _with_any_batch(symbol, inputs), False


def input_spec(proto: onnx.ModelProto, tried: bool) -> InputSpec:
    """What is known of images: MXNet's files say nothing about them."""
    images = [value for value in proto.graph.input if len(value.type.tensor_type.shape.dim) == 4]
    if not images:
        return InputSpec()
    spec = InputSpec(input=images[0].name).override("MXNet's layout", layout="NCHW")
    height, width = (dim.dim_value for dim in images[0].type.tensor_type.shape.dim[2:])
    return spec.override(_FIT_ANY, size=(height, width)) if tried and height and width else spec


def _live(symbol: Symbol) -> Symbol:
    """Only what the heads depend on, without labels: these are read in training alone."""
    needed, waiting = set[int](), [index for index, _ in symbol.heads]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting += [entry for entry, _ in _read(symbol.nodes[index])]
    places = {old: new for new, old in enumerate(sorted(needed))}
    nodes = [
        replace(node, inputs=tuple((places[index], output) for index, output in _read(node)))
        for old, node in enumerate(symbol.nodes)
        if old in places
    ]
    return Symbol(nodes, [(places[index], output) for index, output in symbol.heads], symbol.parameters)


def _read(node: Node) -> tuple[Entry, ...]:
    return node.inputs[:1] if node.op in LOSSES else node.inputs


def _check_supported(symbol: Symbol) -> None:
    """Raise InputError naming all operators that have no function and all weights that are missing."""
    unknown: dict[str, list[str]] = {}
    missing: list[str] = []
    for node in symbol.nodes:
        if node.op != VARIABLE and node.op not in operator_functions():
            unknown.setdefault(node.op, []).append(node.name)
        for entry in node.inputs[LEARNED.get(node.op, len(node.inputs)) :]:
            variable = symbol.variable(entry)
            if variable is not None and variable not in symbol.parameters:
                missing.append(variable)
    if unknown:
        listed = "; ".join(
            f"{op} (node {', '.join(names[:3])}{' …' * (len(names) > 3)})" for op, names in unknown.items()
        )
        raise InputError(f"operators that onnxray cannot translate: {listed}")
    if missing:
        raise InputError(f"the parameters lack {', '.join(dict.fromkeys(missing))}; do the two files belong together?")


def _input_shapes(symbol: Symbol, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None) -> Shapes:
    """As the user says, else as the variable says, else from the weights that read it."""
    names = [node.name for node in symbol.nodes if node.op == VARIABLE and node.name not in symbol.parameters]
    for name in shapes:
        if name not in names and not (name == "" and len(names) == 1):
            raise InputError(f"--shape names no input of the model: {name}; {nearest_names(name, names)}")
        if not all(0 < side < _LARGEST_SIDE for side in shapes[name]):
            raise InputError(f"--shape {name}: every size must be at least 1, found {list(shapes[name])}")
    if not names:
        raise InputError("the network has no input: all that it reads are parameters")
    return {name: _input_shape(symbol, name, shapes.get(name) or shapes.get(""), size) for name in names}


def _input_shape(
    symbol: Symbol, name: str, given: Sequence[int] | None, size: tuple[int, int] | None
) -> tuple[Dim, ...]:
    node = next(node for node in symbol.nodes if node.op == VARIABLE and node.name == name)
    stated = given or node.attributes.wholes("__shape__")
    if given is None and not all(0 < side < _LARGEST_SIDE for side in stated):
        stated = ()
    shape: tuple[Dim, ...] = tuple(stated) or _shape_from_weights(symbol, name)
    if size is not None and len(shape) == 4 and given is None:
        shape = (*shape[:2], *size)
    return (BATCH, *shape[1:]) if len(shape) > 1 and (not stated or shape[0] == 1) else shape


def _shape_from_weights(symbol: Symbol, name: str) -> tuple[Dim, ...]:
    """From the first convolution or fully connected layer that the input leads to."""
    seen = {index for index, node in enumerate(symbol.nodes) if node.op == VARIABLE and node.name == name}
    for index, node in enumerate(symbol.nodes):
        if not any(entry in seen for entry, _ in node.inputs):
            continue
        seen.add(index)
        weight = symbol.parameters.get(symbol.variable(node.inputs[1]) or "") if len(node.inputs) > 1 else None
        if weight is None or (node.op, weight.ndim) not in _TELLING:
            continue
        if node.op == "FullyConnected":
            return (BATCH, weight.shape[1])
        first, second = weight.shape[:2]
        group = node.attributes.whole("num_group", 1)
        return (BATCH, first if node.op == "Deconvolution" else second * group, *_SIDES)
    raise InputError(f"no MXNet file says the shape of the input {name}; give it with --shape {name}=1x3x224x224, say")


def _with_side(inputs: Shapes, side: int) -> Shapes:
    return {name: tuple(side if dim in _SIDES else dim for dim in shape) for name, shape in inputs.items()}


def _with_any_batch(symbol: Symbol, inputs: Shapes) -> onnx.ModelProto:
    try:
        return _translate(symbol, inputs)
    except FixedBatchNeeded:
        fixed = {name: tuple(1 if dim == BATCH else dim for dim in shape) for name, shape in inputs.items()}
        return _translate(symbol, fixed)


def _translate(symbol: Symbol, inputs: Shapes) -> onnx.ModelProto:
    graph = GraphBuilder("mxnet", reserved={node.name for node in symbol.nodes if node.name not in symbol.parameters})
    tensors: dict[Entry, str] = {}
    for index, node in enumerate(symbol.nodes):
        if node.op != VARIABLE:
            _write(index, symbol, graph, tensors)
        elif node.name in inputs:
            tensors[index, 0] = graph.input(node.name, inputs[node.name])
        else:
            tensors[index, 0] = graph.constant(node.name, symbol.parameters[node.name])
    _check_made(symbol, symbol.heads, tensors, "the network ends in")
    try:
        return graph.finish(_outputs(symbol, graph, tensors))
    except ValueError as error:
        raise InputError(f"the network does not make a consistent graph: {error}") from error


def _write(index: int, symbol: Symbol, graph: GraphBuilder, tensors: dict[Entry, str]) -> None:
    node = symbol.nodes[index]
    _check_made(symbol, node.inputs, tensors, f"{node.name} ({node.op}) reads")
    writer = OperatorWriter(node, symbol, graph, [tensors[entry] for entry in node.inputs])
    try:
        operator_functions()[node.op](writer)
    except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        shapes = ", ".join(str(list(graph.shape(tensor))) for tensor in writer.inputs)
        raise writer.error(f"does not fit its inputs of shape {shapes} ({error})") from error
    tensors.update({(index, output): tensor for output, tensor in enumerate(writer.outputs)})


def _check_made(symbol: Symbol, entries: Iterable[Entry], tensors: Mapping[Entry, str], who: str) -> None:
    """Raise InputError where an output of an earlier node is wanted that is not computed."""
    for index, output in entries:
        if (index, output) not in tensors:
            maker = symbol.nodes[index]
            raise InputError(f"{who} output {output} of {maker.name} ({maker.op}), which is not supported")


def _outputs(symbol: Symbol, graph: GraphBuilder, tensors: Mapping[Entry, str]) -> list[str]:
    """The tensors of the heads; what is an input or a parameter itself is handed through."""
    return [
        graph.node("Identity", [tensors[entry]], graph.temporary(f"{name}_output"), name=f"{name}_output")
        if (name := symbol.variable(entry)) is not None
        else tensors[entry]
        for entry in symbol.heads
    ]
