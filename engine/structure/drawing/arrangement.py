"""Arrangement: which blocks a drawing shows from inside, so that it stays readable however large the network is."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from .block_names import PLAIN
from .blocks import Block, Diagram, flattened, fold_runs, regrouped
from .boxes import Box
from .signatures import Match, Signatures

READABLE = 44  # boxes: blocks are opened while the drawing stays below
LARGEST = 96  # boxes: above, what is left on the outermost level is cut into stretches


def arranged(diagram: Diagram, readable: int = READABLE, largest: int = LARGEST) -> Diagram:
    """`diagram` with as many blocks opened as are readable; never more than `largest` boxes."""
    signatures = Signatures()
    diagram = _bounded(diagram, signatures, largest, readable)
    diagram = _bounded_inside(diagram, signatures, largest, readable * 3 // 4)
    return _with_open(diagram, _opened(diagram, signatures, readable))


def _bounded(diagram: Diagram, signatures: Signatures, largest: int, pieces: int) -> Diagram:
    """A level of at most `largest` items as it is, a larger one folded more boldly or cut into `pieces`."""
    if len(diagram.items) > largest:
        diagram = fold_runs(diagram, signatures, Match.ANY_SIZE)
    return _cut(diagram, pieces) if len(diagram.items) > largest else diagram


def _bounded_inside(diagram: Diagram, signatures: Signatures, largest: int, pieces: int) -> Diagram:
    """The same for the levels inside."""
    items: list[Box | Block] = []
    for item in diagram.items:
        if isinstance(item, Block) and not item.is_stretch:
            inner = _bounded(item.diagram, signatures, largest, pieces)
            item = replace(item, diagram=_bounded_inside(inner, signatures, largest, pieces))
        items.append(item)
    return Diagram(tuple(items), diagram.feeders)


def _opened(diagram: Diagram, signatures: Signatures, readable: int) -> set[int]:
    """Which blocks to open: outer ones first, the first of each kind; then the others of a kind, if all fit."""
    shown = len(diagram.items)
    opened: set[int] = set()
    later: dict[int, list[Block]] = {}
    queue = deque(_openable(diagram))
    while queue:
        block = queue.popleft()
        more = len(block.diagram.items) - 1
        kind = signatures.item(block, Match.ANY_SIZE)
        if kind in later or shown + more > readable:
            later.setdefault(kind, []).append(block)
            continue
        shown += more
        opened.add(id(block))
        later[kind] = []
        queue.extend(_openable(block.diagram))
    for alike in later.values():
        more = sum(len(block.diagram.items) - 1 for block in alike)
        if shown + more <= readable:
            shown += more
            opened.update(id(block) for block in alike)
    return opened


def _openable(diagram: Diagram) -> list[Block]:
    return [item for item in diagram.items if isinstance(item, Block) and not item.is_stretch]


def _with_open(diagram: Diagram, opened: set[int]) -> Diagram:
    items = tuple(
        replace(item, is_open=True, diagram=_with_open(item.diagram, opened))
        if isinstance(item, Block) and id(item) in opened
        else item
        for item in diagram.items
    )
    return flattened(Diagram(items, diagram.feeders), _needs_no_frame)


def _needs_no_frame(block: Block) -> bool:
    return block.is_open and block.count == 1 and block.name in PLAIN


def _cut(diagram: Diagram, pieces: int) -> Diagram:
    """A level cut into about `pieces` stretches of neighbours, where few connections cross the cut.

    What the network reads and gives, and the exit of a block, stay as they are.
    """
    at, end = _kept_ends(diagram)
    length = -(-(end - at) // pieces) + 1
    crossing = _crossing(diagram)
    cuts = [at]
    while end - at > length * 3 // 2:
        window = range(at + length, min(at + length * 3 // 2, end - 1) + 1)
        at = min(window, key=crossing.__getitem__)
        cuts.append(at)
    groups = [list(range(start, stop)) for start, stop in zip(cuts, [*cuts[1:], end], strict=True)]
    return regrouped(diagram, [group for group in groups if len(group) > 1], lambda group: _stretch(diagram, group))


def _kept_ends(diagram: Diagram) -> tuple[int, int]:
    """Between which positions a level may be cut: not among a few inputs and outputs, and not at a block's exit."""
    outer = [isinstance(item, Box) and not item.nodes for item in diagram.items]
    count = len(outer)
    if not any(outer):
        return 0, count - 1
    if sum(outer) > count // 4:
        return 0, count
    return outer.index(False), count - outer[::-1].index(False)


def _crossing(diagram: Diagram) -> list[int]:
    """For each position how many items before it are still read at or after it."""
    last = list(range(len(diagram.items)))
    for index, sources in enumerate(diagram.feeders):
        for source in sources:
            last[source] = max(last[source], index)
    change = [0] * (len(last) + 1)
    for index, reader in enumerate(last):
        if reader > index:
            change[index + 1] += 1
            change[reader + 1] -= 1
    open_now, widths = 0, []
    for step in change:
        open_now += step
        widths.append(open_now)
    return widths


def _stretch(diagram: Diagram, members: list[int]) -> Block:
    boxes: list[Box] = []
    for index in members:
        item = diagram.items[index]
        boxes += item.boxes if isinstance(item, Block) else (item,)
    inside = Diagram(tuple(boxes), tuple(() for _ in boxes))
    return Block(f"{len(boxes)} layers", 1, inside, tuple(boxes), is_stretch=True)
