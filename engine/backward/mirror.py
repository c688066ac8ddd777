"""mirror: the deconvnet of one layer as a network of its own: units in, what in the image they answer to out.

Forward the network runs once an image and records the switches of its MaxPools. The mirrored one takes them and any
number of units of that image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from ...importers.errors import InputError
from ..images import image_input
from ..model import Model
from ..providers import choose_providers, open_session
from .build import backward_pass
from .network import joined, only_written, prepared
from .values import known
from .writer import Writer


@dataclass(frozen=True)
class Mirror:
    """A layer's values and its deconvnet, on onnxruntime."""

    layer: str
    image: str
    recorded: tuple[str, ...]  # what the mirrored pass reads of the forward one
    through: frozenset[str]  # operators that it mirrors
    _units: str  # names of the mirrored pass's input and output
    _seen: str
    _forward: ort.InferenceSession
    _backward: ort.InferenceSession

    def forward(self, image: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # [1, …]
        """The layer's value, and what is recorded."""
        names = [self.layer, *self.recorded]
        values = dict(zip(names, self._forward.run(names, {self.image: image}), strict=True))
        return values[self.layer], {name: values[name] for name in self.recorded}

    def backward(self, units: np.ndarray, recorded: Mapping[str, np.ndarray]) -> np.ndarray:  # [B, …] -> [B, …]
        """What units of the image's layer answer to: as many images as there are of them."""
        (found,) = self._backward.run([self._seen], {self._units: units, **recorded})
        made: np.ndarray = found
        return made


def mirror(model: Model, layer: str) -> Mirror:
    """The deconvnet of a tensor.

    Raises InputError naming every operator that has no backward pass, or when the layer does not depend on the image.
    Source: Zeiler and Fergus 2013, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901, section 2.1.
    """
    ready, image = prepared(model), image_input(model)[0]
    if layer not in ready.graph.types:
        raise InputError(f"{layer} is inside a part of the network that has another form for its backward pass")
    write = Writer({*ready.graph.types, *ready.graph.initializers})
    units = write.free("units")
    passed = backward_pass(known(ready), {layer: units}, [image], "deconvnet", write)
    seen = passed.gradients[image]
    switches = set(write.switches.values())
    recorded = [name for name in _read(write) if name != units and name not in ready.graph.initializers]
    declared = [_declared(ready, name, name in switches) for name in recorded]
    begin = helper.make_tensor_value_info(units, TensorProto.FLOAT, [None] * len(ready.graph.shape(layer) or ()))
    end = helper.make_tensor_value_info(seen, TensorProto.FLOAT, [None] * 4)
    outputs = {value.name: value for value in (_declared(ready, layer, False), *declared)}
    providers = choose_providers(None)
    return Mirror(
        layer,
        image,
        tuple(recorded),
        passed.through,
        units,
        seen,
        open_session(joined(ready, write, [], list(outputs.values()), "forward"), [], providers, folder=model.folder),
        open_session(only_written(ready, write, [begin, *declared], [end]), [], providers, folder=model.folder),
    )


def _read(write: Writer) -> Iterable[str]:
    made = {*(name for node in write.nodes for name in node.output), *(tensor.name for tensor in write.constants)}
    return dict.fromkeys(name for node in write.nodes for name in node.input if name and name not in made)


def _declared(model: Model, tensor: str, is_switches: bool) -> onnx.ValueInfoProto:
    found = model.graph.types.get(tensor)
    dtype = np.dtype("int64" if is_switches or found is None else found.dtype)
    shape = None if is_switches or found is None or found.shape is None else [None] * len(found.shape)
    made = helper.make_tensor_value_info(tensor, helper.np_dtype_to_tensor_dtype(dtype), shape or [])
    if shape is None:
        made.type.tensor_type.ClearField("shape")
    return made
