"""Targets as people write them: 285, "Egyptian cat", conv3, conv3:17, conv3:17:5:6."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...importers.errors import InputError, nearest_names
from ..structure.classifier import find_classifier
from .classes import ClassScore, TopClass
from .neurons import Channel, Layer, Neuron
from .target import Target, find_tensor, known_names

if TYPE_CHECKING:
    from ..model import Model


def as_target(wanted: Target | int | str | None, model: Model) -> Target:
    """A target as it is, a class by number, any target as text, or None for the network's first class.

    Raises InputError when the network has no such thing, or for None, when it is no classifier.
    """
    if wanted is None:
        target: Target = TopClass()
    elif isinstance(wanted, str):
        target = parse_target(wanted, model)
    else:
        target = ClassScore(int(wanted), model.labels) if isinstance(wanted, int) else wanted
    target.tensor(model)
    return target


def parse_target(text: str, model: Model) -> Target:
    """The target that `text` names.

    A number is a class; so is a class's name, in any case, with spaces or underscores. Else it is a tensor or node:
    alone it is the Layer, with one number behind a colon the Channel, with more the Neuron. Names with colons work:
    the longest that the network knows counts.
    Raises InputError when there is no such class or layer, or several classes have the name.
    """
    text = text.strip()
    target = _class(text, model) or _part(text, model)
    if target is None:
        nodes, tensors = known_names(model)
        known = dict.fromkeys([*model.labels, *nodes, *tensors])
        raise InputError(f"no class and no layer is called {text!r}; {nearest_names(text, known)}")
    target.tensor(model)
    return target


def _class(text: str, model: Model) -> Target | None:
    if text.isdecimal() and find_classifier(model.graph) is not None:
        return ClassScore(int(text), model.labels)
    exact = [index for index, name in enumerate(model.labels) if _folded(name) == _folded(text)]
    parts = [index for index, name in enumerate(model.labels) if _folded(text) in map(_folded, name.split(","))]
    found = exact or parts
    if len(found) > 1:
        raise InputError(f"{len(found)} classes are called {text!r}: {', '.join(map(str, found))}; give the number")
    return ClassScore(found[0], model.labels) if found else None


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _part(text: str, model: Model) -> Target | None:
    """The layer of the longest name that the text begins with, and what the numbers behind it say."""
    words = text.split(":")
    for end in range(len(words), 0, -1):
        name, numbers = ":".join(words[:end]), words[end:]
        if find_tensor(model, name) is not None and all(number.isdecimal() for number in numbers):
            return _of_layer(name, [int(number) for number in numbers])
    return None


def _of_layer(name: str, place: list[int]) -> Target:
    if not place:
        return Layer(name)
    return Channel(name, place[0]) if len(place) == 1 else Neuron(name, *place)
