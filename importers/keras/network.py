"""Network: a Keras architecture as plain data: layers, the calls of them in order, inputs and outputs.

Three forms are read: Sequential (a list of layers), Functional as Keras 1 and 2 write it (nodes are lists of
[layer, node, tensor, keywords]) and as Keras 3 does (nodes are arguments in which tensors are marked).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from .upgrade import Config, layer_type, upgraded

MODELS = ("Functional", "Sequential")
WRAPPERS = ("TimeDistributed", "Bidirectional", "SpectralNormalization")
_PACKAGE = re.compile(r".*>|own class |(?!ops\.).*\.")
_DEEPEST = 32  # models in each other


@dataclass(frozen=True)
class Ref:
    """One tensor: what a layer's call number `node` gives at position `index`."""

    layer: str
    node: int = 0
    index: int = 0


@dataclass(eq=False)
class Layer:
    """One layer; its path names it in the whole network: "encoder/conv1" inside the model "encoder"."""

    path: str
    type: str
    config: Config
    written: str  # the type's name in the file, after which Keras 3 names its weights
    stated: Config = field(default_factory=dict)  # the configuration in the file's own words
    inner: Network | None = None  # of a model used as a layer
    wrapped: tuple[Layer, ...] = ()  # of TimeDistributed and Bidirectional
    weights: dict[str, str] = field(default_factory=dict)  # role -> path of the array in the file

    @property
    def class_name(self) -> str:
        """The class as written, without the package that it was registered for; operations keep theirs, "ops."."""
        return _PACKAGE.sub("", self.written)


@dataclass(eq=False)
class Call:
    """One use of a layer; in its arguments `Ref`s stand for tensors."""

    layer: Layer
    made: Ref  # its first output
    args: list[Any]
    kwargs: dict[str, Any]

    @property
    def reads(self) -> list[Ref]:
        """Every tensor that it reads."""
        return [*refs(self.args), *refs(self.kwargs)]


@dataclass(eq=False)
class Network:
    """A whole model, or one used as a layer."""

    name: str
    layers: dict[str, Layer]
    calls: list[Call]  # each after what it reads; those of input layers are not among them
    inputs: list[Ref]
    outputs: list[Ref]

    def walk(self) -> Iterator[Layer]:
        """Every layer that computes something itself, nested and wrapped ones too."""
        for layer in self.layers.values():
            yield from _within(layer)


def _within(layer: Layer) -> Iterator[Layer]:
    if layer.inner is not None:
        yield from layer.inner.walk()
        return
    yield layer
    for wrapped in layer.wrapped:
        yield from _within(wrapped)


def refs(tree: Any) -> Iterator[Ref]:
    """The tensors in arguments, in order."""
    if isinstance(tree, Ref):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for entry in tree:
            yield from refs(entry)
    elif isinstance(tree, dict):
        yield from refs(list(tree.values()))


def parse_network(architecture: Any, where: str) -> Network:
    """What Keras' `to_json` wrote.

    Raises InputError when it is no architecture, is damaged or of a class of somebody's own.
    """
    if not isinstance(architecture, Mapping) or "class_name" not in architecture:
        raise InputError(f"{where}: expected a Keras architecture, found JSON of something else")
    kind, _ = upgraded(layer_type(architecture), {})
    if kind not in MODELS:
        raise InputError(f"{where}: expected a Functional or Sequential model, found one of the class {kind}, {_OWN}")
    try:
        return _model(architecture, "", 0)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InputError(f"{where}: the architecture is damaged ({type(error).__name__}: {error})") from None


_OWN = "whose code is not in the file"


def _model(entry: Mapping[str, Any], prefix: str, depth: int) -> Network:
    if depth > _DEEPEST:
        raise InputError("models are nested in each other without end")
    if layer_type(entry) == "Sequential":
        return _sequential(entry["config"], prefix, depth)
    return _functional(entry["config"], prefix, depth)


def _layer(entry: Mapping[str, Any], prefix: str, depth: int, name: str = "") -> Layer:
    """One entry of a model's list; `name` where it has none of its own."""
    written = layer_type(entry)
    kind, config = written, entry["config"]
    named = config if isinstance(config, Mapping) else entry  # a Sequential of Keras 1 is a bare list
    path = prefix + str(entry.get("name") or named.get("name") or name)
    if (model := upgraded(kind, {})[0]) in MODELS:
        inner = _model(entry, f"{path}/", depth + 1)
        return Layer(path, model, {}, "Functional" if model == "Functional" else written, {}, inner)
    stated = dict(config)
    kind, config = upgraded(kind, stated)
    wrapped: tuple[Layer, ...] = ()
    if kind in WRAPPERS:
        wrapped = tuple(_layer(part, f"{path}/", depth + 1, "layer") for part in _wrapped(kind, config))
    return Layer(path, kind, config, written, stated, None, wrapped)


def _wrapped(kind: str, config: Config) -> list[Mapping[str, Any]]:
    """The configurations of a wrapper's layers: one, or forward and backward."""
    layer = config["layer"]
    if kind != "Bidirectional":
        return [layer]
    backward = config.get("backward_layer")
    if backward is None:
        reverse = not layer["config"].get("go_backwards", False)
        name = f"backward_{layer['config'].get('name', 'layer')}"
        backward = {**layer, "config": {**layer["config"], "name": name, "go_backwards": reverse}}
    return [layer, backward]


def _sequential(config: Any, prefix: str, depth: int) -> Network:
    entries = config if isinstance(config, list) else config["layers"]
    if not entries:
        raise InputError("the model has no layers")
    layers = [_layer(entry, prefix, depth, f"layer_{index}") for index, entry in enumerate(entries)]
    if layers[0].type != "InputLayer":
        layers.insert(0, _input_before(layers[0], config if isinstance(config, Mapping) else {}))
    by_name = {layer.path.removeprefix(prefix): layer for layer in layers}
    if len(by_name) != len(layers):
        raise InputError("two layers of a Sequential model have one name")
    names = list(by_name)
    calls = [Call(by_name[name], Ref(name), [Ref(before)], {}) for before, name in pairwise(names)]
    name = str(config.get("name", "")) if isinstance(config, Mapping) else ""
    return Network(name, by_name, calls, [Ref(names[0])], [Ref(names[-1])])


def _input_before(first: Layer, config: Mapping[str, Any]) -> Layer:
    """The input layer that a Sequential model need not have; its shape is None where nothing states it."""
    shape, dtype = _declared_input(first), first.config.get("dtype")
    if shape is None:
        shape = config.get("build_input_shape") or (config.get("build_config") or {}).get("input_shape")
    inside = {"batch_shape": shape, "dtype": "int32" if first.type == "Embedding" else dtype}
    return Layer(f"{first.path}_input", "InputLayer", inside, "InputLayer")


def _declared_input(layer: Layer) -> Any:
    if layer.inner is not None:
        return input_shape(layer.inner.layers[layer.inner.inputs[0].layer])
    shape = input_shape(layer)
    if shape is None and layer.wrapped:
        shape = input_shape(layer.wrapped[0])
    return shape


def input_shape(layer: Layer) -> Any:
    """The shape with its batch that an input layer, or a model's first layer, was given; else None."""
    found = ((name, layer.config.get(name)) for name in ("batch_shape", "batch_input_shape", "input_shape"))
    name, given = next(((name, value) for name, value in found if value is not None), ("", None))
    if given is None:
        return None
    if not isinstance(given, list) or any(isinstance(dim, bool) for dim in given):
        raise InputError(f"layer {layer.path} ({layer.type}): {name} expects a list of sizes, found {given!r}")
    return [None, *given] if name == "input_shape" else given


def _functional(config: Mapping[str, Any], prefix: str, depth: int) -> Network:
    entries = {str(entry.get("name") or entry["config"]["name"]): entry for entry in config["layers"]}
    layers = {name: _layer(entry, prefix, depth, name) for name, entry in entries.items()}
    calls = []
    for name, entry in entries.items():
        for index, node in enumerate(entry.get("inbound_nodes") or []):
            args, kwargs = _arguments(node, layers)
            calls.append(Call(layers[name], Ref(name, index), args, kwargs))
    inputs = [Ref(ref.layer) for ref in _listed(config["input_layers"])]
    outputs = _listed(config["output_layers"])
    shift = _shifts(calls, outputs)
    for call in calls:
        call.args, call.kwargs = mapped(call.args, shift), mapped(call.kwargs, shift)
    outputs = [shift(ref) for ref in outputs]
    given = {ref.layer for ref in inputs}
    calls = [call for call in calls if call.made.layer not in given]
    _check_refs(layers, [*inputs, *outputs], calls)
    return Network(str(config.get("name") or ""), layers, _sorted(calls, given), inputs, outputs)


def _listed(tree: Any) -> list[Ref]:
    """The tensors of `input_layers` or `output_layers`: [name, node, index], a list of such, or a dictionary."""
    if isinstance(tree, Mapping):
        return [ref for entry in tree.values() for ref in _listed(entry)]
    if tree and isinstance(tree[0], str):
        return [Ref(tree[0], int(tree[1]), int(tree[2]))]
    return [ref for entry in tree for ref in _listed(entry)]


def _arguments(node: Any, layers: Mapping[str, Layer]) -> tuple[list[Any], dict[str, Any]]:
    """One entry of `inbound_nodes`."""
    if isinstance(node, Mapping):
        return _marked(node.get("args", [])), _marked(node.get("kwargs", {}))
    parts = [node] if node and isinstance(node[0], str) else node
    kwargs: dict[str, Any] = {}
    for part in parts:
        if len(part) > 3:
            kwargs.update(part[3])
    return [_bare(part[:3], layers) for part in parts], {name: _bare(value, layers) for name, value in kwargs.items()}


def _marked(tree: Any) -> Any:
    """Arguments of Keras 3, in which tensors are marked as such."""
    if isinstance(tree, Mapping):
        if tree.get("class_name") == "__keras_tensor__":
            name, node, index = tree["config"]["keras_history"]
            return Ref(name, int(node), int(index))
        if tree.get("class_name") in ("__tensor__", "__numpy__"):
            return np.asarray(tree["config"]["value"], tree["config"].get("dtype") or "float32")
        return {name: _marked(value) for name, value in tree.items()}
    return [_marked(entry) for entry in tree] if isinstance(tree, list) else tree


def _bare(tree: Any, layers: Mapping[str, Layer]) -> Any:
    """Arguments of Keras 1 and 2, in which a list [name of a layer, node, index] is a tensor."""
    if isinstance(tree, list):
        if len(tree) == 3 and isinstance(tree[0], str) and all(isinstance(part, (int, float)) for part in tree[1:]):
            if tree[0] in layers:
                return Ref(tree[0], int(tree[1]), int(tree[2]))
            if tree[0] == "_CONSTANT_VALUE":
                return tree[2]
            raise InputError(f"a layer reads {tree[0]}, which is not in the model")
        return [_bare(entry, layers) for entry in tree]
    return {name: _bare(value, layers) for name, value in tree.items()} if isinstance(tree, dict) else tree


def mapped(tree: Any, function: Callable[[Ref], Any]) -> Any:
    """Arguments with `function` of every tensor in place of it."""
    if isinstance(tree, Ref):
        return function(tree)
    if isinstance(tree, (list, tuple)):
        return [mapped(entry, function) for entry in tree]
    return {name: mapped(value, function) for name, value in tree.items()} if isinstance(tree, dict) else tree


def _shifts(calls: Sequence[Call], outputs: Sequence[Ref]) -> Callable[[Ref], Ref]:
    """Node numbers as positions in the file's lists.

    A model used as a layer has a node of its own before those in the list, so that versions of Keras count from 1.
    """
    listed: dict[str, int] = {}
    for call in calls:
        listed[call.made.layer] = listed.get(call.made.layer, 0) + 1
    last: dict[str, int] = {}
    for ref in (*outputs, *(ref for call in calls for ref in call.reads)):
        last[ref.layer] = max(last.get(ref.layer, 0), ref.node)
    ahead = {name: max(0, node + 1 - listed.get(name, 1)) for name, node in last.items()}
    return lambda ref: Ref(ref.layer, ref.node - ahead.get(ref.layer, 0), ref.index)


def _check_refs(layers: Mapping[str, Layer], ends: Sequence[Ref], calls: Sequence[Call]) -> None:
    made = {(call.made.layer, call.made.node) for call in calls}
    made |= {(name, 0) for name, layer in layers.items() if layer.type == "InputLayer"}
    made |= {(ref.layer, 0) for ref in ends if ref.layer in layers and layers[ref.layer].type == "InputLayer"}
    for ref in (*ends, *(ref for call in calls for ref in call.reads)):
        if (ref.layer, ref.node) not in made:
            raise InputError(f"a layer reads the output {ref.node} of {ref.layer}, which the model does not make")


def _sorted(calls: Sequence[Call], given: set[str]) -> list[Call]:
    """Each call after those that make what it reads, else in the file's order."""
    numbers = {(call.made.layer, call.made.node): number for number, call in enumerate(calls)}
    reads = [{(ref.layer, ref.node) for ref in call.reads if ref.layer not in given} for call in calls]
    readers: dict[int, list[int]] = {}
    for number, made in enumerate(reads):
        for key in made:
            readers.setdefault(numbers[key], []).append(number)
    missing = [len(made) for made in reads]
    ready = [number for number, count in enumerate(missing) if not count]
    order: list[Call] = []
    while ready:
        number = heappop(ready)
        order.append(calls[number])
        for reader in readers.get(number, ()):
            missing[reader] -= 1
            if not missing[reader]:
                heappush(ready, reader)
    if len(order) < len(calls):
        circle = [call.layer.path for call, count in zip(calls, missing, strict=True) if count]
        raise InputError(f"the layers {', '.join(circle[:5])} read each other in a circle")
    return order
