"""Names that can be printed. A file may call a tensor anything: line breaks that tear tables apart, terminal escapes,
characters that no SVG may hold. Such characters become "_", everywhere at once and without making two names one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from onnx import GraphProto

from .walk import subgraphs

# What refers to a tensor or a node; a name that the same graph uses twice stays the same name.
_FIELDS = ("name", "dim_param")
_LISTS = ("input", "output")


def printable(text: str) -> str:
    """`text` with "_" for control characters, line breaks and whatever else is not meant to be seen."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else "_" for letter in text)


def make_printable(graph: GraphProto) -> None:
    """Rename the nodes, tensors and dimensions of a graph and its subgraphs whose names cannot be printed."""
    names = dict.fromkeys(name for holder in _holders(graph) for name in _names(holder))
    renamed: dict[str, str] = {}
    for name in names:
        if printable(name) != name:
            renamed[name] = _free(printable(name), {*names, *renamed.values()})
    if renamed:
        for holder in _holders(graph):
            _rename(holder, renamed)


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _holders(graph: GraphProto) -> Iterator[Any]:
    """Everything in a graph that has a name or refers to one."""
    yield graph
    yield from graph.initializer
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value
        yield from value.type.tensor_type.shape.dim
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in subgraphs(attribute):
                yield from _holders(body)


def _names(holder: Any) -> Iterator[str]:
    known = holder.DESCRIPTOR.fields_by_name
    yield from (getattr(holder, field) for field in _FIELDS if field in known)
    if not isinstance(holder, GraphProto):  # a graph's inputs are holders themselves
        yield from (name for field in _LISTS if field in known for name in getattr(holder, field))


def _rename(holder: Any, renamed: dict[str, str]) -> None:
    known = holder.DESCRIPTOR.fields_by_name
    for field in _FIELDS:
        if field in known and getattr(holder, field) in renamed:
            setattr(holder, field, renamed[getattr(holder, field)])
    if isinstance(holder, GraphProto):
        return
    for field in _LISTS:
        if field in known:
            getattr(holder, field)[:] = [renamed.get(name, name) for name in getattr(holder, field)]
