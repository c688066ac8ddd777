"""Graph outputs under the names the file has for them."""

from __future__ import annotations

from collections.abc import Mapping

import onnx


def rename(proto: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Call tensors by these names; who has one of them already gets another."""
    graph = proto.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in (*graph.input, *graph.initializer)}
    changed = {old: new for old, new in names.items() if old != new}
    for new in list(changed.values()):
        if new in taken and new not in changed:
            changed[new] = _free(f"{new}/inner", {*taken, *changed.values()})
    for node in graph.node:
        node.input[:] = [changed.get(name, name) for name in node.input]
        node.output[:] = [changed.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = changed.get(value.name, value.name)


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
