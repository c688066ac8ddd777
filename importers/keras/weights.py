"""Which array of the file is which weight of which layer.

Two forms: groups called like the layers, with the names of their arrays in order as an attribute (`.h5` of every
version); and one group a layer, called after its class and counted, arrays by number in it (Keras 3 and `.keras`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..errors import InputError
from .hdf5 import Hdf5
from .network import Layer, Network
from .roles import Role, layer_roles, trained_first

_BY_NUMBER = ("layers", "_layer_checkpoint_dependencies")  # the latter: Keras 2.12
_FLIPPED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose")


def attach_weights(network: Network, file: Hdf5) -> None:
    """Tell every layer where its weights lie in the file.

    Raises InputError when a layer has other weights than its type asks for; all such layers are named.
    """
    group = "model_weights" if file.has_group("model_weights") else ""
    names = file.names(group, "layer_names")
    wrong: list[str] = []
    if names is not None:
        known = set(names)
        for name, layer in network.layers.items():
            wrong += _attach_named(layer, file, group, name if name in known else None)
    else:
        _attach_numbered(network, file, "", wrong)
    _refuse(wrong, file.where)


def attach_listed(network: Network, names: Sequence[str], where: str) -> None:
    """Likewise from one list of names, such as "conv1/kernel": each names its layer, which has them in order.

    Raises InputError when a layer has other weights than its type asks for, or one is no layer's.
    """
    leaves = list(_layers(network))
    owners = {text: leaf for of_parts in (True, False) for leaf in leaves for text in _called(leaf, of_parts)}
    own: dict[int, list[str]] = {}
    wrong = []
    for name in names:
        leaf = _owner(name.split("/")[:-1], owners)
        if leaf is None:
            wrong.append(f"{name} is of none of the layers")
        else:
            own.setdefault(id(leaf), []).append(name)
    for leaf in leaves:
        paths = own.get(id(leaf), [])
        roles = layer_roles(leaf, len(paths))
        wrong += _attach(leaf, roles, paths) or [
            f"{path} is listed where {_what(leaf)} expects {role.name}"
            for role, path in zip(roles, paths, strict=False)
            if not _may_be(role, path)
        ]
    _refuse(wrong, where)


def _layers(network: Network) -> Iterator[Layer]:
    """Every layer that has weights of its own, those of models within it too."""
    for layer in network.layers.values():
        model = _model_in(layer)
        if model is None:
            yield layer
        elif model.inner is not None:
            yield from _layers(model.inner)


def _called(leaf: Layer, of_parts: bool) -> Iterator[str]:
    """What stands for a layer in the names of its weights; `of_parts`: for what it wraps."""
    for part in leaf.wrapped if of_parts else (leaf,):
        name = part.path.rpartition("/")[2]
        yield from (f"forward_{name}", f"backward_{name}") if of_parts else ()
        yield from (name, part.path)


def _owner(parts: Sequence[str], owners: Mapping[str, Layer]) -> Layer | None:
    """The layer that a path names: of its spans the one that ends last, and of those the longest."""
    spans = ("/".join(parts[start:end]) for end in range(len(parts), 0, -1) for start in range(end))
    return next((owners[span] for span in spans if span in owners), None)


def _refuse(wrong: Sequence[str], where: str) -> None:
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(f"{where}: the weights do not fit the architecture: {'; '.join(wrong[:3])}{more}")


def _attach_named(layer: Layer, file: Hdf5, group: str, name: str | None) -> list[str]:
    """Complaints about one layer, or model, of the network itself."""
    start = "/".join(filter(None, (group, name or "")))
    found = (file.names(start, "weight_names") or []) if name is not None and file.has_group(start) else []
    paths = ["/".join(filter(None, (start, entry.replace("\\", "/")))) for entry in found]
    lost = [path for path in paths if path not in file]
    if lost:
        return [f"{layer.path} names the array {lost[0]}, which is not in the file"]
    model = _model_in(layer)
    if model is None:
        return _attach(layer, layer_roles(layer, len(paths)), paths)
    return _attach_nested(model, paths)


def _model_in(layer: Layer) -> Layer | None:
    """The model that a layer is, or applies to each step of a sequence."""
    return next((part for part in (layer, *layer.wrapped) if part.inner is not None), None)


def _attach(layer: Layer, roles: Sequence[Role], paths: Sequence[str]) -> list[str]:
    if len(roles) == len(paths):
        layer.weights = {role.name: path for role, path in zip(roles, paths, strict=True)}
        return []
    if not roles:  # a layer of the user's own, or the state of one that does nothing at test time
        layer.weights = _own_roles(paths)
        return []
    return [f"{_what(layer)} expects {', '.join(role.name for role in roles)}, the file has {len(paths)} arrays for it"]


def _own_roles(paths: Sequence[str]) -> dict[str, str]:
    """By number, and by what the file calls it: "my/scale/kernel:0" is "kernel" and, where that is taken, no more."""
    named = {path.rpartition("/")[2].partition(":")[0]: path for path in reversed(paths)}
    return named | {str(number): path for number, path in enumerate(paths)}


def _what(layer: Layer) -> str:
    return f"{layer.path} ({layer.type})"


def _attach_nested(model: Layer, paths: Sequence[str]) -> list[str]:
    """The arrays of a model used as a layer are one list: what is trained first. Names, if they tell, come before."""
    assert model.inner is not None
    leaves = list(_leaves(model.inner))
    by_layer = _by_layer_name(model, leaves, paths)
    if by_layer is not None:
        return [text for leaf, own in by_layer for text in _attach(leaf, layer_roles(leaf, len(own)), own)]
    wanted = trained_first([(leaf, role) for leaf in leaves for role in layer_roles(leaf)])
    if len(wanted) != len(paths):
        return [f"the model {model.path} expects {len(wanted)} arrays, the file has {len(paths)} for it"]
    for (leaf, role), path in zip(wanted, paths, strict=True):
        if not _may_be(role, path):
            return [f"the model {model.path} stores {path} where {_what(leaf)} expects {role.name}"]
        leaf.weights[role.name] = path
    return []


_KNOWN = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha", "embeddings")


def _may_be(role: Role, path: str) -> bool:
    """Whether an array's own name allows this role."""
    name = path.rpartition("/")[2].partition(":")[0]
    return name not in _KNOWN or role.name.rpartition("/")[2] == name or role.name.endswith("kernel")


def _leaves(network: Network) -> Iterator[Layer]:
    """The layers in the order in which a model lists its weights."""
    for layer in network.layers.values():
        if layer.inner is None:
            yield layer
        else:
            yield from _leaves(layer.inner)


def _by_layer_name(model: Layer, leaves: Sequence[Layer], paths: Sequence[str]) -> list[tuple[Layer, list[str]]] | None:
    """(layer, its arrays) where the arrays' names name each one layer, and every layer gets its number; else None."""
    short = {leaf.path.rpartition("/")[2]: leaf for leaf in leaves}
    if len(short) != len(leaves):
        return None
    own: dict[str, list[str]] = {name: [] for name in short}
    for path in paths:
        parts = path.split("/")[:-1]
        named = [part for part in reversed(parts) if part in short]
        if not named:
            return None
        own[named[0]].append(path)
    found = [(leaf, own[name]) for name, leaf in short.items()]
    wanted = [layer_roles(leaf, len(arrays)) for leaf, arrays in found]
    # Layers that do nothing at test time may have the state of their random numbers there.
    fits = all(not roles or len(roles) == len(arrays) for roles, (_, arrays) in zip(wanted, found, strict=True))
    return found if fits else None


def _attach_numbered(network: Network, file: Hdf5, start: str, wrong: list[str]) -> None:
    container = next((name for name in _BY_NUMBER if file.has_group(_joined(start, name))), _BY_NUMBER[0])
    counted: dict[str, int] = {}
    for layer in network.layers.values():
        written = _snake_case(layer.class_name)
        number = counted[written] = counted.get(written, -1) + 1
        place = _joined(start, container, f"{written}_{number}" if number else written)
        model = _model_in(layer)
        if model is not None and model.inner is not None:
            _attach_numbered(model.inner, file, place if model is layer else _joined(place, "layer"), wrong)
        else:
            wrong += _attach_places(layer, file, place)


def _attach_places(layer: Layer, file: Hdf5, start: str) -> list[str]:
    """Arrays of one layer, a group a part of it."""
    roles = layer_roles(layer)
    found: dict[str, list[str]] = {}
    for place in dict.fromkeys(role.place for role in roles):
        private = "/".join("_" * bool(part) + part for part in place.split("/"))
        groups = (_joined(start, name, "vars") for name in (place, private))
        group = next((name for name in groups if file.has_group(name)), "")
        found[place] = file.arrays_in(group) if group else []
    paths = [path for place in found for path in found[place]] if roles else file.arrays_in(start, deep=True)
    if len(paths) != len(roles):
        roles = layer_roles(layer, len(paths))
    return _attach(layer, roles, paths)


def _joined(*parts: str) -> str:
    return "/".join(filter(None, parts))


def _snake_case(name: str) -> str:
    """As Keras makes the name of a class a name of a layer: "SeparableConv2D" -> "separable_conv2d"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def old_kernel(layer: Layer, kernel: np.ndarray, *, of_keras_1: bool, flipped: bool) -> np.ndarray:
    """A convolution's kernel in today's order, [*sides, in, out] or, transposed, [*sides, out, in].

    Keras 1 had others, and Theano convolves with the kernel turned round.
    """
    first = layer.config.get("data_format") == "channels_first"
    if of_keras_1 and layer.type == "Conv1D" and kernel.ndim == 4:
        sides = layer.config.get("kernel_size")
        length = sides if isinstance(sides, int) else (sides or [0])[0]
        if kernel.shape[:2] != (length, 1):
            kernel = kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]
    elif of_keras_1 and layer.type in ("Conv2D", "Conv3D") and first:
        kernel = kernel.transpose(*range(2, kernel.ndim), 1, 0)
    elif of_keras_1 and layer.type == "Conv2DTranspose":
        kernel = kernel.transpose(2, 3, 0, 1) if first else kernel.transpose(0, 1, 3, 2)
    if flipped and layer.type in _FLIPPED:
        kernel = np.flip(kernel, tuple(range(kernel.ndim - 2)))
    return kernel
