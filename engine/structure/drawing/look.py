"""How an item of a drawing looks: its words, its colours, and how a metric shades and sizes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ... import quantities
from ..graph import Node
from ..op_families import FAMILIES, blend
from .block_names import scope
from .blocks import Block, Diagram
from .boxes import Box
from .measures import METRICS, Numbers, together

_FRAME = ("#f6f8fa", "#b9c1cc")  # fill and line of an opened block
_CLOSED = ("#ffffff", "#6b7686")
DARK = 0.45  # weight: from here on a box is painted so strongly that small words on it need full contrast


@dataclass(frozen=True)
class Look:
    """What is written on an item and how it is painted."""

    title: str
    details: str  # after the title, in a lighter weight
    lines: tuple[str, ...]  # under it, small: shape, name, metric
    fill: str
    line: str
    weight: float  # 0..1: its share of the metric's largest value; sizes the item
    hover: tuple[str, ...]  # every number there is
    family: str  # "" for blocks


class Painter:
    """Gives every item its look; knows the numbers, and the largest value of the metric."""

    def __init__(self, diagram: Diagram, numbers: Mapping[str, Numbers], metric: str | None) -> None:
        self._numbers = numbers
        self._metric = metric
        self._largest = max((self._value(item) or 0.0 for item in shown(diagram)), default=0.0)
        self.total = together(numbers.values())

    def look(self, item: Box | Block, inside: Block | None = None) -> Look:
        """The look of a box, or of a block drawn as one box, in the frame of block `inside`."""
        value = self._value(item)
        weight = self._weight(value)
        lines = _lines(item, _first_scope(inside) if inside else "")
        if value:
            lines = (*lines, self._metric_line(value))
        fill, line = _colours(item)
        family = FAMILIES[item.family] if isinstance(item, Box) else None
        if self._metric:
            strong = family.line if family else _CLOSED[1]
            fill = blend(blend("#ffffff", fill, 0.45), blend("#ffffff", strong, 0.62), weight)
        hover = tuple(self._hover(item))
        title, details = _title(item)
        return Look(title, details, lines, fill, line, weight, hover, family.label if family else "")

    def frame(self, block: Block) -> Look:
        """The look of the frame around an opened block."""
        value = self._value(block)
        found = (_names(block), self._metric_line(value) if value else "")
        lines = tuple(line for line in found if line)
        return Look(block.name, _times(block), lines, *_FRAME, 0.0, tuple(self._hover(block)), "")

    def _value(self, item: Box | Block) -> float | None:
        return getattr(together(self._of(item)), self._metric) if self._metric else None

    def _of(self, item: Box | Block) -> Iterator[Numbers]:
        return (self._numbers[node.name] for node in _nodes(item) if node.name in self._numbers)

    def _weight(self, value: float | None) -> float:
        if not value or not self._largest:
            return 0.0
        return float((value / self._largest) ** 0.5)  # the square root: an area

    def _metric_line(self, value: float) -> str:
        metric = METRICS[self._metric or ""]
        if not metric.adds:
            return metric.text(value)
        whole = getattr(self.total, self._metric or "") or 0
        return f"{metric.text(value)} · {value / whole:.1%}" if whole else metric.text(value)

    def _hover(self, item: Box | Block) -> Iterator[str]:
        names = _names(item) if isinstance(item, Block) else item.name
        if names:
            yield names
        numbers = together(self._of(item))
        for name, metric in METRICS.items():
            value = getattr(numbers, name)
            if value:
                yield f"{metric.label}: {metric.text(value)}"


def shown(diagram: Diagram) -> Iterator[Box | Block]:
    """The items that are drawn as one box each."""
    for item in diagram.items:
        if isinstance(item, Block) and item.is_open:
            yield from shown(item.diagram)
        else:
            yield item


def _nodes(item: Box | Block) -> Iterable[Node]:
    boxes = item.boxes if isinstance(item, Block) else (item,)
    return [node for box in boxes for node in box.nodes]


def _colours(item: Box | Block) -> tuple[str, str]:
    if isinstance(item, Block):
        return _CLOSED
    return FAMILIES[item.family].fill, FAMILIES[item.family].line


def _title(item: Box | Block) -> tuple[str, str]:
    if isinstance(item, Block):
        return item.name + _times(item), ""
    return item.title, "".join(f" · {word}" for word in item.details)


def _times(block: Block) -> str:
    return f" ×{block.count}" if block.count > 1 else ""


def _lines(item: Box | Block, inside: str) -> tuple[str, ...]:
    """Under the title: shape and name in a line; before them, for a block, what it holds."""
    if isinstance(item, Block):
        return tuple(line for line in (_contents(item), _joined(item.exit.shape, _names(item))) if line)
    line = _joined(item.shape, _within(item.name, inside))
    return (line,) if line else ()


def _joined(*parts: str) -> str:
    return "  ·  ".join(part for part in parts if part)


def _within(name: str, scope_name: str) -> str:
    """A layer's name inside a frame that has the scope's name already: "" where it is all of it."""
    return "" if name == scope_name else name.removeprefix(f"{scope_name}/")


def _contents(block: Block) -> str:
    """What is inside, in a line: "3 Conv, Concat"."""
    words = Counter(_kind(box) for box in block.diagram.boxes() if box.nodes)
    most = [f"{count} {word}" if count > 1 else word for word, count in words.most_common(4)]
    return ", ".join(most) + (" …" if len(words) > 4 else "")


def _kind(box: Box) -> str:
    return re.sub(r" [\d?].*$| [/×↑].*$", "", box.title)


def _first_scope(block: Block) -> str:
    """The scope of the repetition that is drawn, the first."""
    return scope(block.boxes[: max(len(block.boxes) // block.count, 1)])


def _names(block: Block) -> str:
    """The layers' names, from the first repetition to the last: "features.3 … features.4"."""
    each = max(len(block.boxes) // block.count, 1)
    first, last = scope(block.boxes[:each]), scope(block.boxes[-each:])
    if first == last:
        return first
    alike = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), 0)
    shared = len(first[:alike].rstrip("0123456789"))  # not in the middle of a number
    return f"{first} … {last[shared:]}"


def legend(diagram: Diagram) -> list[str]:
    """The families that occur among the boxes that are drawn, in the table's order."""
    present = {item.family for item in shown(diagram) if isinstance(item, Box)}
    return [name for name in FAMILIES if name in present and name != "input"]


def headline(name: str, numbers: Numbers, nodes: int, boxes: int) -> tuple[str, str]:
    """Title and subtitle of a drawing."""
    parts = [
        f"{quantities.count(numbers.params)} parameters" if numbers.params else "",
        f"{quantities.count(numbers.macs)} MACs" if numbers.macs else "",
        f"{nodes} nodes" + (f" in {boxes} boxes" if boxes < nodes else ""),
    ]
    return name, " · ".join(part for part in parts if part)
