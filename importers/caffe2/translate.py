"""A net and its stored blobs, operator by operator, to ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import onnx

from ..channels_last import ChannelsLast, to_first
from ..errors import InputError
from ..graph_builder import GraphBuilder
from .input_shapes import BATCH, Blobs, Known, Shape, has_channels_last, shapes_to_try
from .operator_writer import OperatorWriter
from .operators import operator_functions
from .reader import Net, Operator


def translate(net: Net, blobs: Blobs, known: Known) -> onnx.ModelProto:
    """The net as ONNX, for any number of images.

    Raises InputError when operators are not known, weights do not fit or the graph is inconsistent.
    """
    check_types(net)
    possible = shapes_to_try(net, blobs, known)
    if not possible[0]:
        raise InputError("the net has no input: its first operator reads nothing")
    if len(possible) == 1:
        return _Translation(net, blobs, possible[0]).run()
    found, errors = [], []
    for shapes in possible:
        try:
            found.append(_Translation(net, blobs, shapes).run())
        except InputError as error:
            errors.append(error)
        if found and _keeps_images_apart(found[-1]):
            return found[-1]
    if found:
        return found[0]
    raise InputError(f"no usual image size fits its weights ({errors[0]}); say it with --size") from errors[0]


def _keeps_images_apart(proto: onnx.ModelProto) -> bool:
    """Whether a result belongs to one image: where a Reshape to rows gets images of the wrong size, none does."""
    first = [value.type.tensor_type.shape.dim[:1] for value in proto.graph.output]
    return all(dims and dims[0].dim_param == BATCH for dims in first)


def check_types(net: Net) -> None:
    """Raise InputError when operators are not known; all of them are named, with what they make."""
    known = operator_functions()
    unknown: dict[str, list[str]] = {}
    for operator in net.operators:
        if operator.type not in known:
            unknown.setdefault(operator.type, []).append(operator.name or next(iter(operator.outputs), "?"))
    if unknown:
        listed = "; ".join(f"{kind} ({', '.join(names)})" for kind, names in unknown.items())
        raise InputError(f"operators that onnxray cannot translate: {listed}")


class _Translation:
    def __init__(self, net: Net, blobs: Blobs, shapes: Mapping[str, Shape]) -> None:
        self.net = net
        self.stored = {name: value for name, value in blobs.items() if name not in shapes}
        self.shapes = shapes
        made = {name for operator in net.operators for name in operator.outputs}
        self.graph = GraphBuilder(net.name, reserved={*made, *shapes})
        self.tensors = ChannelsLast(self.graph)
        self.current: dict[str, str] = {}  # blob -> its value at this place of the net
        self.left = Counter(name for operator in net.operators for name in operator.outputs)  # times still written

    def run(self) -> onnx.ModelProto:
        """The whole graph."""
        for name, shape in self.shapes.items():
            self._input(name, shape)
        for name, value in self.stored.items():
            self.tensors.store(name, value)
            self.current[name] = name
        for operator in self.net.operators:
            self._operator(operator)
        outputs = self._outputs()
        try:
            return self.graph.finish([self._written(name) for name in outputs])
        except ValueError as error:
            raise InputError(f"the Caffe2 net {self.net.name} does not make a consistent graph: {error}") from error

    def _input(self, name: str, shape: Shape) -> None:
        if len(shape) == 4 and has_channels_last(name, self.net):
            self.tensors.made_first(name, self.graph.input(name, [shape[axis] for axis in to_first(4)]))
        else:
            self.tensors.made_last(name, self.graph.input(name, shape))
        self.current[name] = name

    def _operator(self, operator: Operator) -> None:
        missing = next((name for name in operator.inputs if name not in self.current), None)
        if missing is not None:
            reason = "neither the init_net nor an operator before it makes"
            raise InputError(f"{_name(operator)} ({operator.type}) reads the blob {missing}, which {reason}")
        outputs = [self._version(name, operator) for name in operator.outputs]
        inputs = [self.current[name] for name in operator.inputs]
        writer = OperatorWriter(operator, self.tensors, _name(operator), inputs, outputs)
        try:
            operator_functions()[operator.type](writer)
        except (ValueError, ArithmeticError, IndexError, KeyError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise writer.misfit(error) from error
        self.left.subtract(operator.outputs)
        # Further outputs of some operators (the scale of LRN, the mask of Dropout) are for training and not made.
        made = zip(operator.outputs, outputs, strict=True)
        self.current.update({blob: tensor for blob, tensor in made if tensor in self.tensors})

    def _version(self, blob: str, operator: Operator) -> str:
        """The tensor that a blob becomes: its name goes to the last operator that writes it, and stays an input's."""
        if blob in self.shapes or blob in self.stored or self.left[blob] > 1:
            return self.graph.temporary(f"{blob}/{operator.type}")
        return blob

    def _outputs(self) -> Sequence[str]:
        """Those that are declared, else what nobody reads after it was last written."""
        declared = [name for name in self.net.outputs if name in self.left]
        ends: dict[str, None] = {}
        for operator in self.net.operators:
            for name in operator.inputs:
                ends.pop(name, None)
            ends.update(dict.fromkeys(operator.outputs))
        found = list(dict.fromkeys(self.current[name] for name in declared or ends if name in self.current))
        if not found:
            raise InputError("the net has no output that can be computed")
        return found

    def _written(self, name: str) -> str:
        """The graph's tensor of an output."""
        return self.tensors.first(name) if self.tensors.is_first(name) else self.tensors.last(name)


def _name(operator: Operator) -> str:
    return operator.name or next(iter(operator.outputs), operator.type)
