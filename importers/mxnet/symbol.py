"""PREFIX-symbol.json: the nodes of a network, from MXNet 0.8 to 1.9, as plain data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .attributes import Attributes

VARIABLE = "null"  # the operator of what comes from outside: inputs and parameters
_LARGEST_FILE = 1 << 26  # bytes of text
_ATTRIBUTES = ("attr", "param", "attrs")  # of users (0.8) or of all (0.9); of operators (0.8); of all (since 1.0)

Entry = tuple[int, int]  # a node's place in the list, and which of its outputs


@dataclass(frozen=True)
class Node:
    """One node; a variable has no inputs."""

    op: str
    name: str
    attributes: Attributes
    inputs: tuple[Entry, ...]


@dataclass
class Symbol:
    """A network: nodes in an order in which each comes behind what it reads."""

    nodes: list[Node]
    heads: list[Entry]  # its outputs
    parameters: dict[str, np.ndarray] = field(default_factory=dict)  # variable -> value

    def variable(self, entry: Entry) -> str | None:
        """The name of the variable that an input is, else None."""
        node = self.nodes[entry[0]]
        return node.name if node.op == VARIABLE else None


def read_symbol(path: Path) -> Symbol:
    """The network that a symbol file describes, without its parameters. Raises InputError when it is damaged."""
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path}: expected a symbol of at most {_LARGEST_FILE >> 20} MiB of text, found more")
    try:
        plain = json.loads(path.read_bytes().decode("utf-8-sig"))
        nodes = [_node(entry, index) for index, entry in enumerate(plain["nodes"])]
        heads = [_entry(head, len(nodes)) for head in plain["heads"]]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: expected an MXNet symbol, found damaged JSON ({error!r})") from None
    if not heads:
        raise InputError(f"{path}: the symbol has no heads, so nothing says what its outputs are")
    variables = Counter(node.name for node in nodes if node.op == VARIABLE)
    twice = [name for name, count in variables.items() if count > 1]
    if twice:
        raise InputError(f"{path}: the symbol is damaged: several variables are called {', '.join(twice)}")
    return Symbol(nodes, list(dict.fromkeys(heads)))


def _node(plain: Mapping[str, Any], index: int) -> Node:
    name = plain["name"]
    texts: dict[str, str] = {}
    for key in _ATTRIBUTES:
        texts |= {str(attribute): str(value) for attribute, value in (plain.get(key) or {}).items()}
    if not isinstance(name, str) or not isinstance(plain["op"], str):
        raise TypeError("a node's name or operator is no text")
    name.encode()  # a ValueError where it cannot be written
    if plain.get("subgraphs"):
        raise InputError(f"node {name} ({plain['op']}): holds a graph of its own, which is not supported")
    inputs = tuple(_entry(entry, index) for entry in plain["inputs"])
    return Node(plain["op"], name or f"node{index}", Attributes(name, texts), inputs)


def _entry(plain: Any, count: int) -> Entry:
    """[node, output], or with a version as third; `count`: of the nodes it may be one of."""
    index, output = plain[0], plain[1]
    if type(index) is not int or type(output) is not int or not 0 <= index < count or output < 0:
        raise InputError(f"the symbol is damaged: an input is {plain!r}, expected one of the {count} nodes before it")
    return index, output
