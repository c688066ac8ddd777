"""Regions: the nested single-entry, single-exit parts of a directed acyclic graph, found through dominators.

A region hangs between a fork f and a join p: every path through p comes from f and every path from f runs into p
(f is p's dominator and p is f's post-dominator). Residual blocks, Fire modules, Inception modules are such regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ENTRY = -1  # stands for what enters a region
MAX_DEPTH = 24  # regions nested deeper are left as they are


@dataclass(frozen=True)
class Region:
    """The part strictly after `fork` up to and with `join`; `inner` are the largest regions inside it."""

    fork: int
    join: int
    members: tuple[int, ...]  # vertices of this region that lie in none of `inner`, in topological order
    inner: tuple[Region, ...]
    depth: int = 0  # how deep regions are nested inside


def regions(feeders: Sequence[Sequence[int]]) -> Region:
    """The tree of regions of a graph whose vertices are numbered in topological order.

    `feeders`: for each vertex the vertices before it. The answer is the whole graph: fork ENTRY, join the number of
    vertices (a sink behind all that nobody reads).
    """
    count = len(feeders)
    readers: list[list[int]] = [[] for _ in range(count)]
    for vertex, before in enumerate(feeders):
        for source in before:
            readers[source].append(vertex)
    idom = _dominators(feeders)
    mirrored = [[count - 1 - reader for reader in readers[count - 1 - i]] for i in range(count)]
    post = [count - 1 - above for above in reversed(_dominators(mirrored))]  # a mirrored ENTRY becomes `count`
    inside = _Ancestry(idom)
    spans = []
    for fork in range(count):
        join = post[fork]
        if len(set(readers[fork])) > 1 and join < count and inside.above(fork, join):
            spans.append((fork, join, _between(fork, join, readers)))
    return _tree(spans, count)


def _dominators(before: Sequence[Sequence[int]]) -> list[int]:
    """Immediate dominator of every vertex of a graph in topological order; ENTRY for those that start from outside."""
    idom: list[int] = []
    depth: list[int] = []
    for sources in before:
        common = sources[0] if sources else ENTRY
        for other in sources[1:]:
            while common != other:
                if common == ENTRY or other == ENTRY:
                    common = other = ENTRY
                elif depth[common] >= depth[other]:
                    common = idom[common]
                else:
                    other = idom[other]
        idom.append(common)
        depth.append(1 + (depth[common] if common != ENTRY else 0))
    return idom


class _Ancestry:
    """Answers whether a vertex dominates another, by the intervals of a walk over the dominator tree."""

    def __init__(self, idom: Sequence[int]) -> None:
        children: list[list[int]] = [[] for _ in range(len(idom) + 1)]  # the last is ENTRY's
        for vertex, parent in enumerate(idom):
            children[parent].append(vertex)
        self._first = [0] * len(idom)
        self._last = [0] * len(idom)
        clock, stack = 0, list(children[ENTRY])
        while stack:
            vertex = stack.pop()
            if vertex < 0:
                self._last[~vertex] = clock
                continue
            clock += 1
            self._first[vertex] = clock
            stack.append(~vertex)
            stack += children[vertex]

    def above(self, upper: int, lower: int) -> bool:
        return self._first[upper] <= self._first[lower] <= self._last[upper]


def _between(fork: int, join: int, readers: Sequence[Sequence[int]]) -> list[int]:
    """Everything after `fork` up to and with `join`."""
    seen, stack = {join}, list(readers[fork])
    while stack:
        vertex = stack.pop()
        if vertex not in seen:
            seen.add(vertex)
            stack += readers[vertex]
    return sorted(seen)


def _tree(spans: list[tuple[int, int, list[int]]], count: int) -> Region:
    """Nest the spans, smallest first: a vertex belongs to the smallest span around it."""
    spans = sorted(spans, key=lambda span: len(span[2]))
    spans.append((ENTRY, count, list(range(count))))
    held: dict[int, Region] = {}  # join of a finished region that no larger one holds yet -> the region
    taken: set[int] = set()  # vertices inside finished regions
    whole = Region(ENTRY, count, (), ())
    for fork, join, vertices in spans:
        inside = [vertex for vertex in vertices if vertex in held]
        depth = 1 + max((held[vertex].depth for vertex in inside), default=0)
        if depth > MAX_DEPTH and fork != ENTRY:
            continue
        inner = tuple(held.pop(vertex) for vertex in inside)
        members = tuple(vertex for vertex in vertices if vertex not in taken)
        whole = Region(fork, join, members, inner, depth)
        held[join] = whole
        taken.update(vertices)
    return whole
