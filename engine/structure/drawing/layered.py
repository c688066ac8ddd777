"""Layered placement of one level of a drawing: ranks by longest path, few crossings, straight lanes for long edges.

After Sugiyama, Tagawa, Toda 1981, "Methods for visual understanding of hierarchical system structures". Coordinates are
"across" (within a rank) and "along" (from rank to rank), so that one code serves both directions of a drawing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .regions import ENTRY

GAP_ACROSS = 22.0  # points between neighbours of a rank
GAP_ALONG = 26.0  # between ranks
_LANE = 8.0  # breadth that a passing edge takes
_FARTHEST = 60  # ranks: longer edges are drawn straight, without a lane
_PINNED, _REAL, _PASSING = 1e7, 1.0, 1e-3  # how hard a vertex insists on where it wants to be
_SWEEPS = 8

Point = tuple[float, float]  # across, along


@dataclass
class Level:
    """Where the items of a diagram stand, and the course of its edges."""

    centres: list[Point]
    routes: dict[tuple[int, int], list[Point]]  # (source or ENTRY, item) -> cubic Bézier points, 3 n + 1 of them
    low: float  # the least across of any item
    high: float
    length: float  # along


@dataclass
class _Vertex:
    rank: int
    breadth: float
    item: int  # the item, ENTRY, or -2 for a lane
    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    across: float = 0.0

    @property
    def insistence(self) -> float:
        return _PASSING if self.item == -2 else _REAL


def placed_level(
    feeders: Sequence[Sequence[int]],
    breadths: Sequence[float],
    lengths: Sequence[float],
    *,
    band: float = 0.0,  # room kept after the entry, for the title of a frame
) -> Level:
    """Place the items of a diagram. With an entry, the entry and the last item both stand at across 0."""
    ranks = _ranks(feeders)
    vertices, chains = _vertices(feeders, breadths, ranks)
    layers = _layers(vertices)
    _order(vertices, layers)
    entered = vertices[-1].item == ENTRY
    pinned = {len(vertices) - 1, len(feeders) - 1} if entered else set()
    _spread(vertices, layers, pinned)
    _straighten(vertices, layers, [*_links(vertices, pinned), *chains.values()])
    tops, heights = _tops(vertices, layers, lengths, band if entered else 0.0)
    centres = [(vertices[i].across, tops[rank] + heights[rank] / 2) for i, rank in enumerate(ranks)]
    routes = {edge: _route(edge, chain, vertices, centres, lengths, tops, heights) for edge, chain in chains.items()}
    edges = [(v.across - v.breadth / 2, v.across + v.breadth / 2) for v in vertices]
    return Level(centres, routes, min(e[0] for e in edges), max(e[1] for e in edges), tops[-1] + heights[-1])


def _ranks(feeders: Sequence[Sequence[int]]) -> list[int]:
    """Longest path from the entry or a source; what has no source stands just before the first that reads it."""
    ranks: list[int] = []
    base = 1 if any(ENTRY in sources for sources in feeders) else 0
    for sources in feeders:
        ranks.append(max((ranks[source] + 1 for source in sources if source != ENTRY), default=base))
    first_reader = [10**9] * len(feeders)
    for index, sources in enumerate(feeders):
        for source in sources:
            if source != ENTRY:
                first_reader[source] = min(first_reader[source], ranks[index])
    return [
        rank if sources or first_reader[i] == 10**9 else max(rank, first_reader[i] - 1)
        for i, (rank, sources) in enumerate(zip(ranks, feeders, strict=True))
    ]


def _vertices(
    feeders: Sequence[Sequence[int]], breadths: Sequence[float], ranks: Sequence[int]
) -> tuple[list[_Vertex], dict[tuple[int, int], list[int]]]:
    """Items, lanes of long edges and, last, the entry; and for each edge its lanes."""
    vertices = [_Vertex(rank, breadth, i) for i, (rank, breadth) in enumerate(zip(ranks, breadths, strict=True))]
    edges = [(source, index) for index, sources in enumerate(feeders) for source in sources]
    entered = any(source == ENTRY for source, _ in edges)
    chains: dict[tuple[int, int], list[int]] = {}
    for source, index in edges:
        start = 0 if source == ENTRY else ranks[source]
        between = range(start + 1, ranks[index]) if ranks[index] - start <= _FARTHEST else range(0)
        chains[source, index] = list(range(len(vertices), len(vertices) + len(between)))
        vertices += [_Vertex(rank, _LANE, -2) for rank in between]
    if entered:
        vertices.append(_Vertex(0, 0.0, ENTRY))
    for (source, index), lanes in chains.items():
        path = [len(vertices) - 1 if source == ENTRY else source, *lanes, index]
        for tail, head in pairwise(path):
            if vertices[head].rank - vertices[tail].rank == 1:
                vertices[tail].after.append(head)
                vertices[head].before.append(tail)
    return vertices, chains


def _layers(vertices: Sequence[_Vertex]) -> list[list[int]]:
    layers: list[list[int]] = [[] for _ in range(1 + max(vertex.rank for vertex in vertices))]
    for index, vertex in enumerate(vertices):
        layers[vertex.rank].append(index)
    return layers


def _order(vertices: Sequence[_Vertex], layers: list[list[int]]) -> None:
    """Sort each rank so that few edges cross: sweeps of barycentres, the best arrangement kept."""
    best, fewest = [list(layer) for layer in layers], _crossings(vertices, layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for rank in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            place = {v: i for i, v in enumerate(layers[rank - 1 if down else rank + 1])}
            now = {v: i for i, v in enumerate(layers[rank])}
            keys = {v: _mean([place[u] for u in _side(vertices[v], down)], now[v]) for v in layers[rank]}
            layers[rank].sort(key=keys.__getitem__)
        crossings = _crossings(vertices, layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _side(vertex: _Vertex, down: bool) -> list[int]:
    return vertex.before if down else vertex.after


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _crossings(vertices: Sequence[_Vertex], layers: Sequence[Sequence[int]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        place = {v: i for i, v in enumerate(lower)}
        seen: list[int] = []
        for v in upper:
            heads = sorted(place[u] for u in vertices[v].after)
            total += sum(len(seen) - bisect_left(seen, head + 1) for head in heads)
            for head in heads:
                insort(seen, head)
    return total


def _spread(vertices: Sequence[_Vertex], layers: Sequence[Sequence[int]], pinned: set[int]) -> None:
    """Give every vertex its place across: near its neighbours, in order, without overlaps."""
    for layer in layers:
        _settle(vertices, layer, [0.0] * len(layer), pinned)
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(vertices, layer, [0.0 if v in pinned else _wish(vertices, v) for v in layer], pinned)


def _wish(vertices: Sequence[_Vertex], index: int) -> float:
    """The mean place of the neighbours, each as strongly as `_pull` says."""
    vertex = vertices[index]
    pulls = [(_pull(vertices, other, index), other) for other in vertex.before]
    pulls += [(_pull(vertices, index, other), other) for other in vertex.after]
    weight = sum(pull for pull, _ in pulls)
    return sum(pull * vertices[other].across for pull, other in pulls) / weight if weight else vertex.across


def _pull(vertices: Sequence[_Vertex], tail: int, head: int) -> float:
    """How much an edge wants to be straight: links of a chain most, then lanes, then where edges part or meet."""
    lanes = (vertices[tail].item == -2) + (vertices[head].item == -2)
    if lanes == 2:
        return 8.0
    if lanes:
        return 2.0 if vertices[head].item == -2 else 0.5
    return 12.0 if len(vertices[tail].after) == 1 and len(vertices[head].before) == 1 else 1.0


def _settle(vertices: Sequence[_Vertex], layer: Sequence[int], wishes: Sequence[float], pinned: set[int]) -> None:
    """The least-squares places that keep order and distances (pool adjacent violators)."""
    offsets, edge = [], 0.0
    for position, index in enumerate(layer):
        if position:
            edge += (vertices[layer[position - 1]].breadth + vertices[index].breadth) / 2 + GAP_ACROSS
        offsets.append(edge)
    pools: list[list[float]] = []  # mean, weight, members
    for index, wish, offset in zip(layer, wishes, offsets, strict=True):
        pools.append([wish - offset, _PINNED if index in pinned else vertices[index].insistence, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, weight, members = pools.pop()
            last = pools[-1]
            last[0] = (last[0] * last[1] + mean * weight) / (last[1] + weight)
            last[1] += weight
            last[2] += members
    means = (mean for mean, _, members in pools for _ in range(int(members)))
    for index, offset, mean in zip(layer, offsets, means, strict=True):
        vertices[index].across = mean + offset


def _links(vertices: Sequence[_Vertex], pinned: set[int]) -> list[list[int]]:
    """Maximal chains of items, each the only one before the next and that the only one after it."""
    following: dict[int, int] = {}
    for index, vertex in enumerate(vertices):
        alone = vertex.item >= 0 and len(vertex.after) == 1 and vertices[vertex.after[0]].item >= 0
        if alone and len(vertices[vertex.after[0]].before) == 1 and not pinned & {index, vertex.after[0]}:
            following[index] = vertex.after[0]
    chains = []
    for start in following.keys() - set(following.values()):
        chain = [start]
        while chain[-1] in following:
            chain.append(following[chain[-1]])
        chains.append(chain)
    return chains


def _straighten(vertices: Sequence[_Vertex], layers: Sequence[Sequence[int]], chains: Sequence[Sequence[int]]) -> None:
    """Move the members of each chain to one place across, where there is room for that."""
    position = {v: (rank, i) for rank, layer in enumerate(layers) for i, v in enumerate(layer)}
    for chain in chains:
        low, high = -1e9, 1e9
        for member in chain:
            rank, i = position[member]
            if i:
                low = max(low, _limit(vertices, member, layers[rank][i - 1], 1))
            if i + 1 < len(layers[rank]):
                high = min(high, _limit(vertices, member, layers[rank][i + 1], -1))
        if len(chain) > 1 and low <= high:
            wish = _mean([vertices[member].across for member in chain], 0.0)
            for member in chain:
                vertices[member].across = min(max(wish, low), high)


def _limit(vertices: Sequence[_Vertex], member: int, neighbour: int, side: int) -> float:
    distance = (vertices[member].breadth + vertices[neighbour].breadth) / 2 + GAP_ACROSS
    return vertices[neighbour].across + side * distance


def _tops(
    vertices: Sequence[_Vertex], layers: Sequence[Sequence[int]], lengths: Sequence[float], band: float
) -> tuple[list[float], list[float]]:
    """Along which each rank begins, and how long it is; ranks stand further apart where edges go far aside."""
    heights = [max((lengths[v] for v in layer if v < len(lengths)), default=0.0) for layer in layers]
    tops, at = [], 0.0
    for rank, layer in enumerate(layers):
        tops.append(at)
        aside = max((abs(vertices[v].across - vertices[u].across) for v in layer for u in vertices[v].after), default=0)
        gap = GAP_ALONG + min(0.16 * max(aside - 40.0, 0.0), 60.0)
        at += heights[rank] + (band + 0.4 * (gap - GAP_ALONG) if band and rank == 0 else gap)
    return tops, heights


def _route(
    edge: tuple[int, int],
    lanes: Sequence[int],
    vertices: Sequence[_Vertex],
    centres: Sequence[Point],
    lengths: Sequence[float],
    tops: Sequence[float],
    heights: Sequence[float],
) -> list[Point]:
    """From the end of the source to the start of the item, along the lanes, turning only between ranks."""
    source, item = edge
    x, y = (vertices[-1].across, 0.0) if source == ENTRY else centres[source]
    start = (x, y if source == ENTRY else y + lengths[source] / 2)
    goal = (centres[item][0], centres[item][1] - lengths[item] / 2)
    last = vertices[lanes[-1]].across if lanes else start[0]
    room = max(vertices[item].breadth / 2 - 16.0, 0.0)
    goal = (goal[0] + min(max(0.3 * (last - goal[0]), -room), room), goal[1])
    points = [start]
    if source != ENTRY:
        _line_to(points, (start[0], tops[vertices[source].rank] + heights[vertices[source].rank]))
    for lane in lanes:
        rank, across = vertices[lane].rank, vertices[lane].across
        _bend_to(points, (across, tops[rank]))
        _line_to(points, (across, tops[rank] + heights[rank]))
    _bend_to(points, (goal[0], tops[vertices[item].rank]))
    _line_to(points, goal)
    return points


def _line_to(points: list[Point], end: Point) -> None:
    (x, y), (u, v) = points[-1], end
    if abs(x - u) + abs(y - v) > 0.01:
        points += [(x + (u - x) / 3, y + (v - y) / 3), (x + 2 * (u - x) / 3, y + 2 * (v - y) / 3), end]


def _bend_to(points: list[Point], end: Point) -> None:
    (x, y), (u, v) = points[-1], end
    half = (v - y) / 2
    points += [(x, y + half), (u, v - half), end]
