"""Blocks: the parts of a network that repeat, found in its graph and named as papers name them.

A block is a single-entry, single-exit region (see `regions`) or a stretch of a chain. Blocks that follow one another
and are built alike (same operators, attributes and output sizes; weights' values do not matter) become one, "Fire ×2".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .block_names import block_name
from .boxes import Box, Flow
from .regions import ENTRY, Region, regions
from .signatures import Match, Signatures

_LONGEST = 64  # items: longer patterns are not looked for
_WORTH = 3  # boxes: a repeated single box that hides fewer stays drawn out; anything larger is worth hiding 2


@dataclass(frozen=True, eq=False)
class Diagram:
    """Boxes and blocks in topological order. Of a block's diagram the last item is the exit."""

    items: tuple[Box | Block, ...]
    feeders: tuple[tuple[int, ...], ...]  # for each item those before it; ENTRY is what enters the diagram

    def boxes(self) -> Iterator[Box]:
        """All boxes, those inside blocks too (of repeated blocks, of every repetition)."""
        for item in self.items:
            if isinstance(item, Block):
                yield from item.boxes
            else:
                yield item


@dataclass(frozen=True, eq=False)
class Block:
    """A part of the network that is drawn as one: `count` repetitions of `diagram`, one after another."""

    name: str
    count: int
    diagram: Diagram  # the first of them
    boxes: tuple[Box, ...]  # of all of them, in topological order
    is_open: bool = False  # whether its inside is drawn
    is_stretch: bool = False  # only neighbours put together: several entries and exits, so never open

    @property
    def exit(self) -> Box:
        """The box whose output is the block's output."""
        return self.boxes[-1]


def blocks(flow: Flow) -> Diagram:
    """The drawing's items: repeated blocks as one, all else as it is."""
    return _collapsed(regions(flow.feeders), flow, Signatures())


def _collapsed(region: Region, flow: Flow, signatures: Signatures) -> Diagram:
    diagram = _level(region, flow, signatures)
    for match in (Match.SAME, Match.SAME, Match.CHANNELS_DIFFER):
        diagram = fold_runs(diagram, signatures, match)
    return diagram


def _level(region: Region, flow: Flow, signatures: Signatures) -> Diagram:
    """The diagram of one region, with the regions inside it as blocks."""
    made: list[tuple[int, tuple[int, ...], Box | Block]] = [
        (vertex, flow.feeders[vertex], flow.boxes[vertex]) for vertex in region.members
    ]
    for inner in region.inner:
        diagram = _collapsed(inner, flow, signatures)
        block = Block(block_name(diagram), 1, diagram, tuple(diagram.boxes()))
        made.append((inner.join, (inner.fork,), block))
    made.sort(key=lambda entry: entry[0])
    place = {vertex: index for index, (vertex, _, _) in enumerate(made)}
    feeders = tuple(tuple(dict.fromkeys(place.get(source, ENTRY) for source in sources)) for _, sources, _ in made)
    return Diagram(tuple(item for _, _, item in made), feeders)


def fold_runs(diagram: Diagram, signatures: Signatures, match: Match) -> Diagram:
    """`diagram` with every run of items that are alike folded into one block."""
    folded: dict[int, _Fold] = {}  # by the first item
    for chain in chains(diagram):
        items = [diagram.items[index] for index in chain]
        tokens = [signatures.item(item, match) for item in items]
        closes = [_closes(before, item) for before, item in zip([None, *items], items, strict=False)]
        for start, period, count in _runs(tokens, closes, [_leaves(item) for item in items]):
            folded[chain[start]] = _Fold(chain[start : start + period * count], period, count)
    return regrouped(
        diagram, [fold.members for fold in folded.values()], lambda run: _repeated(diagram, folded[run[0]])
    )


@dataclass(frozen=True)
class _Fold:
    """Items of a diagram that become one block."""

    members: list[int]
    period: int  # items a repetition
    count: int  # repetitions


def _closes(before: Box | Block | None, item: Box | Block) -> bool:
    """Whether blocks end here: with a region's join, or with the pointwise convolution after a depthwise one."""
    if isinstance(item, Block):
        return True
    return isinstance(before, Box) and before.title.startswith("Depthwise") and item.title == "Conv 1×1"


def _leaves(item: Box | Block) -> int:
    return len(item.boxes) if isinstance(item, Block) else 1


def _repeated(diagram: Diagram, fold: _Fold) -> Block:
    items = [diagram.items[index] for index in fold.members]
    period, count = fold.period, fold.count
    boxes = tuple(box for item in items for box in (item.boxes if isinstance(item, Block) else (item,)))
    first = items[0]
    if period == 1 and isinstance(first, Block):
        return Block(first.name, count * first.count, first.diagram, boxes)
    template = Diagram(tuple(items[:period]), tuple((index - 1,) for index in range(period)))
    name = block_name(template)
    inner = [item for item in items[:period] if isinstance(item, Block)]
    if len(inner) == 1 and inner[0].count == 1:  # a squeeze before its branches: one block, not a block in a block
        template = flattened(template, lambda block: True)
    return Block(name, count, template, boxes)


def flattened(diagram: Diagram, pick: Callable[[Block], bool]) -> Diagram:
    """`diagram` with the insides of the blocks that `pick` says in place of them."""
    items: list[Box | Block] = []
    feeders: list[tuple[int, ...]] = []
    place: dict[int, int] = {ENTRY: ENTRY}
    for index, (item, sources) in enumerate(zip(diagram.items, diagram.feeders, strict=True)):
        entry = tuple(place[source] for source in sources)
        if isinstance(item, Block) and pick(item):
            base = len(items)
            items += item.diagram.items
            for inner in item.diagram.feeders:
                feeders.append(tuple(at for f in inner for at in (entry if f == ENTRY else (base + f,))))
        else:
            items.append(item)
            feeders.append(entry)
        place[index] = len(items) - 1
    return Diagram(tuple(items), tuple(feeders))


def chains(diagram: Diagram) -> Iterator[list[int]]:
    """Maximal sequences of items in which each feeds only the next; inputs and outputs of the network are in none."""
    readers: list[list[int]] = [[] for _ in diagram.items]
    for index, sources in enumerate(diagram.feeders):
        for source in sources:
            if source != ENTRY:
                readers[source].append(index)

    def inside(index: int) -> bool:
        item = diagram.items[index]
        return isinstance(item, Block) or bool(item.nodes)

    def after(index: int) -> int | None:
        following = readers[index][0] if len(readers[index]) == 1 else None
        alone = following is not None and len(diagram.feeders[following]) == 1
        return following if alone and following is not None and inside(following) else None

    continued = {after(index) for index in range(len(diagram.items)) if inside(index)}
    for start in range(len(diagram.items)):
        if start in continued or not inside(start):
            continue
        chain = [start]
        while (following := after(chain[-1])) is not None:
            chain.append(following)
        yield chain


def _runs(tokens: Sequence[int], closes: Sequence[bool], sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Repetitions in a sequence, from the left, each (start, period, count); the one that hides most goes first."""
    longest = min(_LONGEST, len(tokens) // 2)
    matches = [_match_lengths(tokens, period) for period in range(1, longest + 1)]
    at = 0
    while at < len(tokens):
        best = (0, 0, 0)  # hidden tokens, -period, period
        for period, lengths in enumerate(matches, 1):
            hidden = (lengths[at] // period) * period
            best = max(best, (hidden, -period, period))
        hidden, _, period = best
        if hidden and sum(sizes[at + period : at + period + hidden]) >= (_WORTH if period == 1 else 2):
            start = at + _shift(at, period, matches[period - 1][at] - hidden, closes)
            yield start, period, hidden // period + 1
            at = start + hidden + period
        else:
            at += 1


def _match_lengths(tokens: Sequence[int], period: int) -> list[int]:
    """At each position, for how many tokens on the sequence equals itself moved by `period`."""
    lengths = [0] * (len(tokens) + 1)
    for at in range(len(tokens) - period - 1, -1, -1):
        lengths[at] = lengths[at + 1] + 1 if tokens[at] == tokens[at + period] else 0
    return lengths


def _shift(at: int, period: int, slack: int, closes: Sequence[bool]) -> int:
    """By how much to start later so that a repetition ends with a region's join, as blocks do; 0 when none does."""
    return next((shift for shift in range(slack + 1) if closes[at + shift + period - 1]), 0)


def regrouped(diagram: Diagram, groups: Sequence[list[int]], make: Callable[[list[int]], Block]) -> Diagram:
    """`diagram` with each of the disjoint `groups` of items (indices in order) replaced by the block made of it."""
    group_of = {index: group for group in groups for index in group}
    place: dict[int, int] = {ENTRY: ENTRY}
    items: list[Box | Block] = []
    feeders: list[tuple[int, ...]] = []
    ready = [index for index in range(len(diagram.items)) if index not in group_of or index == group_of[index][-1]]
    for index in ready:  # a group stands where its last item stood, which is after everything that feeds it
        members = group_of.get(index, [index])
        inside = set(members)
        place.update((member, len(items)) for member in members)
        sources = (source for member in members for source in diagram.feeders[member] if source not in inside)
        feeders.append(tuple(sources))
        items.append(make(members) if index in group_of else diagram.items[index])
    moved = tuple(tuple(dict.fromkeys(place[source] for source in sources)) for sources in feeders)
    return Diagram(tuple(items), moved)
