"""Signatures: numbers that are equal where two parts of a network are built alike. Weights' values never matter."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from ..graph import Node
from .boxes import Box

if TYPE_CHECKING:
    from .blocks import Block, Diagram

_COMMUTE = {"Add", "Mul", "Sum", "Max", "Min", "Mean"}


class Match(Enum):
    """How alike two parts must be. Operators, their order and their whole-number attributes always have to agree."""

    SAME = "same output shapes"
    CHANNELS_DIFFER = "same image sizes"  # a block that grows the channels still matches; a repeated run does not
    ANY_SIZE = "any shapes and any number of repetitions"


class Signatures:
    """Hands out the numbers; equal structure, equal number, as long as it is the same `Signatures`."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._known: dict[tuple[int, Match], tuple[object, int]] = {}

    def item(self, item: Box | Block, match: Match) -> int:
        """The signature of a box or block."""
        known = self._known.get((id(item), match))
        if known is None:  # the item is kept with its number: an id is only unique among living objects
            known = (item, self._number(self._describe(item, match)))
            self._known[id(item), match] = known
        return known[1]

    def _number(self, description: Any) -> int:
        return self._numbers.setdefault(description, len(self._numbers))

    def _describe(self, item: Box | Block, match: Match) -> Any:
        if isinstance(item, Box):
            return ("box", *(_operator(node) for node in item.nodes), item.title, _size(item.shape, match))
        inner = self._diagram(item.diagram, match)
        if match is Match.CHANNELS_DIFFER and item.count > 1:
            return ("run", id(item))
        return ("block", inner, 0 if match is Match.ANY_SIZE else item.count)

    def _diagram(self, diagram: Diagram, match: Match) -> int:
        """The signature of the diagram's last item together with everything that leads to it."""
        numbers: list[int] = []
        for item, feeders in zip(diagram.items, diagram.feeders, strict=True):
            sources = [numbers[feeder] if feeder >= 0 else -1 for feeder in feeders]
            if isinstance(item, Box) and item.nodes and item.nodes[0].op in _COMMUTE:
                sources.sort()
            numbers.append(self._number(("at", self.item(item, match), *sources)))
        return self._number(("diagram", len(numbers), numbers[-1]))


def _operator(node: Node) -> tuple[Any, ...]:
    """Operator and attributes; not the number of groups, which follows the channels, nor fractions like epsilon."""
    kept = (
        (name, tuple(value) if isinstance(value, list) else value)
        for name, value in sorted(node.attributes.items())
        if name != "group" and (isinstance(value, (int, str)) or _whole_numbers(value))
    )
    return (node.op, *kept)


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, int) for entry in value)


def _size(shape: str, match: Match) -> str:
    """The part of a box's shape that has to agree."""
    if match is Match.SAME:
        return shape
    sides = shape.split("×")
    return "×".join(sides[1:]) if match is Match.CHANNELS_DIFFER and len(sides) > 1 else ""
