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
    if len(diagram.items) > largest:
        diagram = fold_runs(diagram, signatures, Match.ANY_SIZE)
    if len(diagram.items) > largest:
        diagram = _cut(diagram, largest)
    return _with_open(diagram, _opened(diagram, signatures, readable))


def _opened(diagram: Diagram, signatures: Signatures, readable: int) -> set[int]:
    """Which blocks to open: outer ones first, the first of each kind; then the others of a kind, if all fit."""
    shown = len(diagram.items)
    opened: set[int] = set()
    later: dict[int, list[Block]] = {}
    queue = deque(item for item in diagram.items if isinstance(item, Block))
    while queue:
        block = queue.popleft()
        more = len(block.diagram.items) - 1
        kind = signatures.item(block, Match.ANY_SIZE)
        if kind in later or shown + more > readable or not _can_open(block):
            later.setdefault(kind, []).append(block)
            continue
        shown += more
        opened.add(id(block))
        later[kind] = []
        queue.extend(item for item in block.diagram.items if isinstance(item, Block))
    for alike in later.values():
        more = sum(len(block.diagram.items) - 1 for block in alike)
        if shown + more <= readable and all(_can_open(block) for block in alike):
            shown += more
            opened.update(id(block) for block in alike)
    return opened


def _can_open(block: Block) -> bool:
    return bool(block.diagram.feeders)  # a stretch has no inside that could be drawn: it has several entries and exits


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
    """The outermost level cut into at most `pieces` stretches of neighbours, where few connections cross the cut."""
    count = len(diagram.items)
    length = -(-count // pieces) + 1
    crossing = _crossing(diagram)
    cuts, at = [0], 0
    while count - at > length * 3 // 2:
        window = range(at + length, min(at + length * 3 // 2, count - 1) + 1)
        at = min(window, key=crossing.__getitem__)
        cuts.append(at)
    groups = [list(range(start, end)) for start, end in zip(cuts, [*cuts[1:], count], strict=True)]
    return regrouped(diagram, [group for group in groups if len(group) > 1], lambda group: _stretch(diagram, group))


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
    return Block(f"{len(boxes)} layers", 1, Diagram(tuple(boxes), ()), tuple(boxes))
