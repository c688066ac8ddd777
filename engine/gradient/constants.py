"""The tensors and submodules that a module's graphs name: its own, and those that variants derive from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import fx

T = TypeVar("T")


class Constants:
    """Values by the target of `get_attr` and `call_module` nodes. Derived ones are computed once."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module = module
        self._derived: dict[str, torch.Tensor] = {}
        self._shared: dict[str, Any] = {}

    def value(self, node: object) -> torch.Tensor | None:
        """The tensor that a `get_attr` node stands for; None for any other node."""
        if not isinstance(node, fx.Node) or node.op != "get_attr":
            return None
        found = self._found(str(node.target))
        return found if isinstance(found, torch.Tensor) else None

    def derive(self, before: fx.Node, name: str, make: Callable[[], torch.Tensor]) -> fx.Node:
        """A node, put in front of `before`, for a tensor of this name, which is made unless it is there already."""
        name = f"derived_{name}"
        if name not in self._derived:
            with torch.no_grad():
                self._derived[name] = make()
        with before.graph.inserting_before(before):
            return before.graph.create_node("get_attr", name, (), {}, name)

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """Any object of this name, which is made unless it is there already."""
        if name not in self._shared:
            self._shared[name] = make()
        return cast("T", self._shared[name])

    def used_in(self, graph: fx.Graph) -> dict[str, Any]:
        """Target -> tensor or submodule, for all that the graph names."""
        nodes = (node for node in graph.nodes if node.op in ("get_attr", "call_module"))
        return {str(node.target): self._found(str(node.target)) for node in nodes}

    def _found(self, target: str) -> Any:
        if target in self._derived:
            return self._derived[target]
        found: Any = self._module
        for part in target.split("."):
            found = getattr(found, part)
        return found
