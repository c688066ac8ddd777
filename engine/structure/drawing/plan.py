"""Plan: where everything of a drawing stands, in points. Open blocks are placed inside first, then as one item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .blocks import Block, Diagram
from .boxes import Box
from .layered import GAP_ALONG, Level, Point, placed_level
from .look import Look, Painter
from .regions import ENTRY
from .text_width import text_width

TITLE, SMALL = 12.0, 10.0  # points: type sizes of a box
_PAD = 14.0  # inside a frame
_BAND = 31.0  # above the first box of a frame: its title, and for each line under that
_BAND_LINE = 13.0


@dataclass(frozen=True)
class Slot:
    """An item drawn as one box; x, y is its centre, y downwards."""

    id: str
    item: Box | Block
    look: Look
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """The frame around an opened block; x, y is its top left corner."""

    id: str
    look: Look
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Wire:
    """An edge between two slots as a cubic Bézier path of 3 n + 1 points."""

    tail: str
    head: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Plan:
    """A finished layout: frames from the outermost in, slots, wires; everything within 0..width, 0..height."""

    width: float
    height: float
    frames: tuple[Frame, ...]
    slots: tuple[Slot, ...]
    wires: tuple[Wire, ...]


def plan(diagram: Diagram, painter: Painter, *, direction: str = "TB", least_width: float = 0.0) -> Plan:
    """Place a diagram. `direction`: "TB" (top to bottom) or "LR" (left to right). A narrow one stands in the middle
    of `least_width` points."""
    room = _Room(diagram, painter, None, direction == "LR")
    frames: list[Frame] = []
    slots: list[Slot] = []
    wires: list[Wire] = []
    across, along = room.level.high - room.level.low, room.level.length
    width, height = (along, across) if room.sideways else (across, along)
    aside = max(least_width - width, 0.0) / 2
    shift = (-room.level.low, aside) if room.sideways else (aside - room.level.low, 0.0)
    room.collect("n", shift, frames, slots)
    wires += room.wires("n", shift, [])
    return Plan(width + 2 * aside, height, tuple(frames), tuple(slots), tuple(wires))


class _Room:
    """One level of the drawing and the rooms of the open blocks in it. Coordinates inside are (across, along)."""

    def __init__(self, diagram: Diagram, painter: Painter, block: Block | None, sideways: bool) -> None:
        self.diagram, self.block, self.sideways = diagram, block, sideways
        self.frame_look = painter.frame(block) if block else None
        self.looks: dict[int, Look] = {}
        self.inner: dict[int, _Room] = {}
        sizes = []
        for index, item in enumerate(diagram.items):
            if isinstance(item, Block) and item.is_open:
                self.inner[index] = _Room(item.diagram, painter, item, sideways)
                sizes.append(self.inner[index].size)
            else:
                self.looks[index] = painter.look(item, block)
                width, height = box_size(self.looks[index])
                sizes.append((height, width) if sideways else (width, height))
        self.sizes = sizes
        self._band = _BAND + _BAND_LINE * len(self.frame_look.lines) if self.frame_look else 0.0
        band = GAP_ALONG if sideways else self._band
        self.level: Level = placed_level(diagram.feeders, [s[0] for s in sizes], [s[1] for s in sizes], band=band)

    @property
    def size(self) -> tuple[float, float]:
        """Across and along, with the frame. The entry and the exit are in the middle of it."""
        band = self._band if self.sideways else 0.0
        half = max(-self.level.low + band, self.level.high) + _PAD
        if self.frame_look is not None and not self.sideways:
            half = max(half, frame_title_width(self.frame_look) + 2 * _PAD)
        along = self.level.length + _PAD
        if self.frame_look is not None and self.sideways:
            along = max(along, frame_title_width(self.frame_look) + 2 * _PAD)
        return 2 * half, along

    def _point(self, point: Point) -> Point:
        return (point[1], point[0]) if self.sideways else point

    def _child_shift(self, index: int, shift: Point) -> Point:
        across, along = self.level.centres[index]
        return across + shift[0], along + shift[1] - self.sizes[index][1] / 2

    def collect(self, path: str, shift: Point, frames: list[Frame], slots: list[Slot]) -> None:
        """Add the frames and slots of this level; `shift` is where its (0, 0) is."""
        for index, item in enumerate(self.diagram.items):
            name = f"{path}_{index}"
            across, along = self.level.centres[index]
            x, y = self._point((across + shift[0], along + shift[1]))
            width, height = self._point(self.sizes[index])
            if index in self.inner:
                look = self.inner[index].frame_look
                assert look is not None
                frames.append(Frame(name, look, x - width / 2, y - height / 2, width, height))
                self.inner[index].collect(name, self._child_shift(index, shift), frames, slots)
            else:
                slots.append(Slot(name, item, self.looks[index], x, y, width, height))

    def wires(self, path: str, shift: Point, entry: list[tuple[str, list[Point]]]) -> Iterator[Wire]:
        """The edges of this level; `entry`: for each box that feeds it the box's id and its path up to here."""
        for index, sources in enumerate(self.diagram.feeders):
            arriving = []
            for source in sources:
                route = [(a + shift[0], b + shift[1]) for a, b in self.level.routes[source, index]]
                starts = entry if source == ENTRY else [self._leaving(path, source, shift)]
                arriving += [(tail, _continued(before, route)) for tail, before in starts]
            name = f"{path}_{index}"
            if index in self.inner:
                yield from self.inner[index].wires(name, self._child_shift(index, shift), arriving)
            else:
                yield from (Wire(tail, name, tuple(map(self._point, points))) for tail, points in arriving)

    def _leaving(self, path: str, index: int, shift: Point) -> tuple[str, list[Point]]:
        """The box at which an item is left, and the way from that box to the end of the item's frame."""
        name = f"{path}_{index}"
        if index not in self.inner:
            return name, []
        room, within = self.inner[index], self._child_shift(index, shift)
        last = len(room.diagram.items) - 1
        box, before = room._leaving(name, last, within)
        across, along = room.level.centres[last]
        start = (across + within[0], along + room.sizes[last][1] / 2 + within[1])
        end = (across + within[0], within[1] + self.sizes[index][1])
        third = (end[1] - start[1]) / 3
        return box, _continued(before, [start, (start[0], start[1] + third), (end[0], end[1] - third), end])


def _continued(before: list[Point], route: list[Point]) -> list[Point]:
    return [*before, *route[1:]] if before else list(route)


def box_size(look: Look) -> tuple[float, float]:
    """Width and height of a box, points: its words, and room around them that grows with the metric."""
    title = title_size(look)
    head = text_width(look.title, title, bold=True) + text_width(look.details, title)
    width = max([head, *(text_width(line, SMALL) for line in look.lines)])
    pad = 10.0 + 9.0 * look.weight
    return width + 2 * pad + 4, title * 1.3 + len(look.lines) * SMALL * 1.35 + 1.1 * pad


def title_size(look: Look) -> float:
    """Type size of a box's title, points."""
    return round(TITLE * (1 + 0.35 * look.weight), 1)


def frame_title_width(look: Look) -> float:
    """Width of what stands at the top of a frame, points."""
    head = text_width(look.title + look.details, TITLE, bold=True)
    return max([head, *(text_width(line, SMALL) for line in look.lines)])
