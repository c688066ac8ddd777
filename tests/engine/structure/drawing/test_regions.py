"""Regions against their definition, by deleting vertices and looking who is still reached."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from onnxray.engine.structure.drawing.regions import ENTRY, MAX_DEPTH, Region, regions

Feeders = list[tuple[int, ...]]


def _random_graph(seed: int) -> Feeders:
    """Blocks and stray connections mixed, so that some forks have joins and some have not."""
    generator = random.Random(seed)
    feeders: Feeders = [()]
    for vertex in range(1, generator.randint(3, 14)):
        near = range(max(0, vertex - generator.choice((1, 2, 2, 3))), vertex)
        feeders.append(tuple(sorted(generator.sample(near, min(len(near), generator.choice((1, 1, 1, 2, 2, 3)))))))
    return feeders


def _readers(feeders: Feeders) -> list[list[int]]:
    return [[reader for reader, sources in enumerate(feeders) if vertex in sources] for vertex in range(len(feeders))]


def _reached(starts: Sequence[int], onward: list[list[int]], without: int) -> set[int]:
    seen: set[int] = set()
    stack = [start for start in starts if start != without]
    while stack:
        vertex = stack.pop()
        if vertex not in seen:
            seen.add(vertex)
            stack += [following for following in onward[vertex] if following != without]
    return seen


def _expected(feeders: Feeders) -> set[tuple[int, int]]:
    """Every (fork, join): all ways to the join pass the fork, all ways from the fork pass the join, and no vertex
    earlier than the join has that property."""
    onward, backward = _readers(feeders), [list(sources) for sources in feeders]
    sources = [vertex for vertex, before in enumerate(feeders) if not before]
    sinks = [vertex for vertex, after in enumerate(onward) if not after]
    found = set()
    for fork in range(len(feeders)):
        if len(onward[fork]) < 2:
            continue
        for join in range(fork + 1, len(feeders)):
            if fork not in _reached(sinks, backward, without=join):
                if join not in _reached(sources, onward, without=fork):
                    found.add((fork, join))
                break  # only the first vertex that all ways from the fork pass can be its join
    return found


def _all(region: Region) -> Iterator[Region]:
    for inner in region.inner:
        yield inner
        yield from _all(inner)


@pytest.mark.parametrize("seed", range(150))
def test_regions_are_the_definition(seed: int) -> None:
    feeders = _random_graph(seed)
    whole = regions(feeders)
    assert {(region.fork, region.join) for region in _all(whole)} == _expected(feeders)


@pytest.mark.parametrize("seed", range(40))
def test_every_vertex_is_in_one_region(seed: int) -> None:
    feeders = _random_graph(seed)
    whole = regions(feeders)
    members = [vertex for region in (whole, *_all(whole)) for vertex in region.members]
    assert sorted(members) == list(range(len(feeders)))


def test_random_graphs_have_regions_to_find() -> None:
    counts = [len(_expected(_random_graph(seed))) for seed in range(150)]
    assert sum(count >= 2 for count in counts) > 20
    assert sum(count == 0 for count in counts) > 5


def test_residual_block_inside_a_residual_block() -> None:
    # 0 -> 1 -> (2, skip) -> 3 -> 4, and 0 skips to 4
    whole = regions([(), (0,), (1,), (1, 2), (0, 3)])
    (outer,) = whole.inner
    (inner,) = outer.inner
    assert (outer.fork, outer.join, outer.members) == (0, 4, (1, 4))
    assert (inner.fork, inner.join, inner.members) == (1, 3, (2, 3))
    assert (whole.fork, whole.join, whole.members) == (ENTRY, 5, (0,))


def test_deep_nesting_stops() -> None:
    """A ladder of 400 nested skips: 0..399 down, then joined in reverse."""
    depth = 400
    feeders: Feeders = [()] + [(vertex - 1,) for vertex in range(1, depth + 1)]
    feeders += [(depth + step, depth - 1 - step) for step in range(depth)]
    whole = regions(feeders)
    assert whole.depth == MAX_DEPTH + 1
    members = [vertex for region in (whole, *_all(whole)) for vertex in region.members]
    assert sorted(members) == list(range(len(feeders)))
