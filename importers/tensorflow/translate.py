"""The network, node by node, to ONNX: images channels first, sizes fixed, whatever is known now computed now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from ..channels_last import to_first
from ..errors import InputError
from ..graph_builder import GraphBuilder
from ..tflite.folding import fold
from ..tflite.operator_writer import OperatorWriter
from ..tflite.reader import NUMPY_TYPES, Tensor
from ..tflite.reader import Network as TensorTable
from .channel_order import input_is_first, is_channels_first, output_is_first
from .layout import NodeLayout
from .lowering import lower, result_type
from .network import CHOICE, VARIABLES, Entry, Network
from .operators import operator_functions
from .reader import Node
from .renaming import rename

SAME = {  # what comes out is what goes in
    *("Identity", "IdentityN", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot", "EnsureShape"),
    *("PlaceholderWithDefault", "ReadVariableOp", "DebugIdentity", "Print"),
}
_COUNTS = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num", "ShapeN": "N"}  # attribute: how many outputs
_TWO = ("TopK", "TopKV2")
_MOST_OUTPUTS = 1 << 16  # of one node
_SHOWN = 12  # operators in a message
_LOSSES = (ValueError, ArithmeticError, IndexError, KeyError, TypeError, MemoryError)


def translate(
    network: Network,
    shapes: Mapping[str, Sequence[int]],  # graph input -> shape, in the graph's order; "": the only input
    size: tuple[int, int] | None = None,  # of images whose sides the file leaves open
    images: int = 1,  # where it leaves their number open
) -> tuple[onnx.ModelProto, set[str]]:
    """The network as ONNX, and which of its tensors have channels first where the file has them last.

    Raises InputError naming all operators that have no function, or the first that does not fit its inputs.
    """
    translation = _Translation(network)
    for entry in network.inputs:
        translation.declare(entry, shapes, size, images)
    for node in network.nodes:
        translation.add(node)
    return translation.finish()


class _Translation:
    """One network while it is translated. Tensors are called as in the file; some are others under a second name."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._variables = network.variables
        made = {node.name for node in network.nodes if node.op != "Const"}
        self._graph = GraphBuilder("tensorflow", reserved=made)
        table = TensorTable("", {}, [], [entry.name for entry in network.inputs], [])
        self._layout = NodeLayout(table, self._graph)
        self._tensors = self._layout.tensors
        self._same: dict[str, str] = {}
        self._dead: set[str] = set()  # behind a branch that is not taken
        self._lost: set[str] = set()  # what an operator that is not known would have made
        self._unknown: dict[str, int] = {}
        self._first_already = is_channels_first(network.nodes)
        self._inputs_first: set[str] = set()

    def declare(
        self, entry: Entry, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None, images: int
    ) -> None:
        """A graph input."""
        if entry.type not in NUMPY_TYPES:
            raise InputError(f"the input {entry.name} is of type {entry.type or 'unknown'}, expected numbers")
        given = shapes.get(entry.name) or shapes.get("")
        turned = self._is_turned(entry, given)
        shape = _input_shape(entry, given, size, turned, images)
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(NUMPY_TYPES[entry.type]))
        self._graph.input(entry.name, shape, dtype)
        self._know(entry.name, entry.type)
        (self._tensors.made_first if turned else self._tensors.made_last)(entry.name, entry.name)
        if turned:
            self._inputs_first.add(entry.name)

    def _is_turned(self, entry: Entry, given: Sequence[int] | None) -> bool:
        rank = len(entry.shape) if entry.shape is not None else len(given or ())
        return rank == 4 and not self._first_already and not input_is_first(self._network.nodes, entry.name)

    def add(self, node: Node) -> None:
        """Whatever the node makes."""
        inputs = [self._same.get(tensor, tensor) for tensor in node.inputs]
        if node.op == "Placeholder":
            return
        if node.op == "Const" or node.name in self._variables:
            self._constant(node)
        elif node.op == "Switch":
            self._switch(node, inputs)
        elif node.op in ("Merge", CHOICE):
            self._join(node, inputs)
        elif self._dead.intersection(inputs):
            self._dead.update(_outputs(node))
        elif node.op in SAME and inputs:
            self._same.update(zip(_outputs(node, len(inputs)), inputs, strict=False))
        else:
            self._translate(node, inputs)

    def finish(self) -> tuple[onnx.ModelProto, set[str]]:
        """The graph with its outputs."""
        outputs = [(name, self._same.get(tensor, tensor)) for name, tensor in self._network.outputs]
        self._check(outputs)
        ends: list[str] = []
        first = set(self._inputs_first)
        for name, tensor in outputs:
            turned = self._output_is_turned(tensor)
            found = self._tensors.first(tensor) if turned else self._tensors.last(tensor)
            if found in ends or found in self._table.inputs or self._graph.value(found) is not None:
                found = self._graph.node("Identity", [found], self._graph.temporary(f"{name}/output"), name=name)
            ends.append(found)
            if turned:
                first.add(name)
        named = {name for name, _ in outputs}
        first |= {name for name in self._layout.makers if name not in named and self._made_first(name)}
        try:
            proto = self._graph.finish(ends)
        except ValueError as error:
            raise InputError(f"the network does not make a consistent graph: {error}") from error
        rename(proto, dict(zip(ends, (name for name, _ in outputs), strict=True)))
        return proto, first

    @property
    def _table(self) -> TensorTable:
        return self._layout.network

    def _made_first(self, name: str) -> bool:
        return name in self._tensors and self._tensors.is_first(name) and self._tensors.first(name) == name

    def _output_is_turned(self, tensor: str) -> bool:
        rank = len(self._tensors.shape(tensor))
        return rank == 4 and not self._first_already and not output_is_first(self._layout, tensor)

    def _check(self, outputs: Sequence[tuple[str, str]]) -> None:
        lost = [name for name, tensor in outputs if tensor in self._lost]
        if self._unknown and lost:
            kinds = [f"{kind} ({count})" for kind, count in self._unknown.items()]
            more = f" and {len(kinds) - _SHOWN} more" if len(kinds) > _SHOWN else ""
            named = ", ".join(kinds[:_SHOWN])
            raise InputError(f"operators that are not supported: {named}{more}; nothing was written")
        for name, tensor in outputs:
            if tensor in self._dead:
                raise InputError(f"the output {name} lies behind a branch that is never taken")
            if tensor not in self._tensors:
                raise InputError(f"the output {name} holds no numbers")

    def _know(self, name: str, kind: str) -> None:
        self._table.tensors[name] = Tensor(name, (), kind)

    def _lose(self, node: Node, what: str = "") -> None:
        kind = what or node.op
        self._unknown[kind] = self._unknown.get(kind, 0) + 1
        self._lost.update(_outputs(node))

    def _constant(self, node: Node) -> None:
        value = self._variables.get(node.name, node.attributes.get("value"))
        if not isinstance(value, np.ndarray):  # text
            self._lost.add(node.name)
            return
        self._know(node.name, _type_of(value))
        self._tensors.store(node.name, value)

    def _switch(self, node: Node, inputs: Sequence[str]) -> None:
        """Where the predicate is known, one of its two outputs is its input and the other is never made."""
        if self._dead.intersection(inputs):
            self._dead.update(_outputs(node, 2))
            return
        decided = self._decision(inputs[1])
        if decided is None:
            self._lose(node, "Switch by what the network computes")
            return
        false, true = _outputs(node, 2)
        self._same[true if decided else false] = inputs[0]
        self._dead.add(false if decided else true)

    def _join(self, node: Node, inputs: Sequence[str]) -> None:
        if node.op == CHOICE:
            decided = self._decision(inputs[0])
            if decided is None:
                self._lose(node, "If by what the network computes")
                return
            inputs = [inputs[1 if decided else 2]]
        alive = [tensor for tensor in inputs if tensor not in self._dead]
        if len(alive) > 1:
            self._lose(node, "Merge of several branches")
        elif alive:
            self._same[node.name] = alive[0]
        else:
            self._dead.update(_outputs(node, 2))

    def _decision(self, tensor: str) -> bool | None:
        value = self._tensors.value(tensor)
        return None if value is None or value.size != 1 else bool(value.ravel()[0])

    def _translate(self, node: Node, inputs: Sequence[str]) -> None:
        function = operator_functions().get(node.op)
        if node.op in VARIABLES:
            raise InputError(
                f"its weights are variables ({node.name}), which are in a checkpoint and not in the graph; pass the "
                "folder of a SavedModel, or the .meta file beside the checkpoint"
            )
        if function is None:
            self._lose(node)
            return
        if any(tensor not in self._tensors for tensor in inputs):
            lost = self._lost.issuperset(tensor for tensor in inputs if tensor not in self._tensors)
            if not lost:
                self._lose(node, f"{node.op} of a further output")
            self._lost.update(_outputs(node))
            return
        outputs = _outputs(node)
        for at, name in enumerate(outputs):
            same = self._table.tensors[inputs[0]].type if inputs else ""
            self._know(name, result_type(node, at) or same)
        operator = lower(node, inputs, outputs)
        writer = OperatorWriter(operator, self._layout)
        try:
            if not fold(operator, self._layout, function):
                function(writer)
            for name in filter(self._tensors.__contains__, outputs):
                self._tensors.shape(name)  # whoever reads it relies on knowing its axes
        except _LOSSES as error:
            if isinstance(error, InputError):
                raise
            raise writer.error(f"does not fit its inputs ({error})") from error
        self._layout.makers.update(dict.fromkeys(outputs, operator))


def _outputs(node: Node, count: int = 0) -> list[str]:
    if not count:
        count = 2 if node.op in _TWO else node.attributes.get(_COUNTS.get(node.op, ""), 1)
        if not isinstance(count, int) or not 0 < count <= _MOST_OUTPUTS:
            raise InputError(f"the node {node.name} ({node.op}) claims {count!r} outputs; the file is damaged")
    return [node.name, *(f"{node.name}:{at}" for at in range(1, count))]


def _type_of(value: np.ndarray) -> str:
    return next(name for name, kind in NUMPY_TYPES.items() if np.dtype(kind) == value.dtype)


def _input_shape(
    entry: Entry, given: Sequence[int] | None, size: tuple[int, int] | None, turned: bool, images: int
) -> tuple[int, ...]:
    """As the user says, else as the file does; so many images where it leaves their number open."""
    if given and (entry.shape is None or len(given) == len(entry.shape)):
        return tuple(given)
    shape = list(entry.shape or ())
    if entry.shape is not None and shape and shape[0] < 0:
        shape[0] = images
    if turned:
        shape = [shape[axis] for axis in to_first(4)]
    if size is not None and len(shape) == 4:
        shape[2:] = [new if side < 0 else side for side, new in zip(shape[2:], size, strict=True)]
    if entry.shape is None or min(shape, default=1) < 1:
        found = "an unknown shape" if entry.shape is None else f"the shape {list(entry.shape)}"
        raise InputError(f"the input {entry.name} has {found}; say it with --shape, images as [N, C, H, W]")
    return tuple(shape)
