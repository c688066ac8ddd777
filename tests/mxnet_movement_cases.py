"""Random networks of one MXNet operator that moves numbers: shapes, parts, joints, places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tiny_mxnet import Net

Options = dict[str, Any]


def pick(random: np.random.Generator, choices: Sequence[Any]) -> Any:
    """One of them."""
    return choices[int(random.integers(len(choices)))]


def flag(random: np.random.Generator) -> bool:
    """Heads or tails."""
    return bool(random.random() < 0.5)


RESHAPES = (
    *(
        (0, -1),
        (0, 0, -1),
        (-1, 5),
        (0, -2),
        (-2,),
        (-3, -2),
        (0, -3, -2),
        (0, -3, 0),
        (-3, -3),
        (0, 12, 5),
        (0, -1, 2),
    ),
    *((0, 0, -4, 2, -1, 0), (-4, 1, 2, -2), (0, 0, -4, -1, 2, -2), (6, 20), (0, 0, 20), (-1, 0, 0, 0), (2, -1, 10)),
)
BACKWARDS = ((0, -1), (-1, 0, 0), (-3, 0, 0), (-1, 0), (0, -3, 0), (-2, 0), (6, 0, 0), (0, 0, 0, -1, 5, -4))


def reshape(net: Net, random: np.random.Generator) -> None:
    """All codes, from the left and from the right."""
    data, backwards = net.input("data", (2, 3, 4, 5)), flag(random)
    options = {"reverse": True} if backwards else {}
    net.node("Reshape", "r", data, shape=pick(random, BACKWARDS if backwards else RESHAPES), **options)


LAYOUTS: tuple[tuple[str, Options], ...] = (
    ("Flatten", {}),
    ("transpose", {}),
    ("transpose", {"axes": (0, 2, 3, 1)}),
    ("SwapAxis", {"dim1": 1, "dim2": 3}),
    ("expand_dims", {"axis": 2}),
    ("expand_dims", {"axis": -1}),
    ("squeeze", {}),
    ("squeeze", {"axis": "(2,)"}),
    ("squeeze", {"axis": -2}),
    ("tile", {"reps": (2, 1)}),
    ("tile", {"reps": (1, 2, 3, 1)}),
    ("repeat", {"repeats": 3, "axis": 1}),
    ("broadcast_axis", {"axis": 2, "size": 4}),
    ("broadcast_to", {"shape": (0, 0, 4, 0)}),
    ("reverse", {"axis": 1}),
    ("reverse", {"axis": (1, 3)}),
)


def layout(net: Net, random: np.random.Generator) -> None:
    """The same numbers in another order."""
    name, options = pick(random, LAYOUTS)
    net.node(name, "l", net.input("data", (2, 3, 1, 5)), **options)


def blocks(net: Net, random: np.random.Generator) -> None:
    """Between channels and planes."""
    net.node(pick(random, ("space_to_depth", "depth_to_space")), "b", net.input("data", (2, 8, 4, 6)), block_size=2)


PARTS: tuple[tuple[str, int, Options], ...] = (
    ("SliceChannel", 3, {"num_outputs": 3}),
    ("SliceChannel", 2, {"num_outputs": 2, "axis": 3}),
    ("SliceChannel", 4, {"num_outputs": 4, "axis": 2, "squeeze_axis": True}),
    ("_split_v2", 3, {"indices": "(0, 2, 5)", "axis": 3}),
    ("_split_v2", 2, {"indices": "(0,)", "sections": 2, "axis": 1}),
)


def parts(net: Net, random: np.random.Generator) -> None:
    """Several outputs."""
    name, count, options = pick(random, PARTS)
    at, _ = net.node(name, "p", net.input("data", (2, 6, 4, 8)), **options)
    net.heads = [(at, number) for number in range(count)]


BORDER = (0, 0, 0, 0, 1, 2, 3, 0)
SLICES: tuple[tuple[str, Options], ...] = (
    ("slice_axis", {"axis": 1, "begin": 1, "end": 4}),
    ("slice_axis", {"axis": -1, "begin": 2, "end": "None"}),
    ("slice_axis", {"axis": 2, "begin": -3, "end": -1}),
    ("slice", {"begin": "(0, 1)", "end": "(2, 5)"}),
    ("slice", {"begin": "(None, 1, None)", "end": "(None, 6, 5)", "step": "(1, 2, 3)"}),
    ("slice", {"begin": "(None, None, None)", "end": "(None, None, None)", "step": "(1, 1, -1)"}),
    ("slice", {"begin": "(None, 4)", "end": "(None, 1)", "step": "(None, -2)"}),
    ("slice", {"begin": "(0, 0, -3)", "end": "(2, 6, 7)"}),
    ("Pad", {"mode": "constant", "pad_width": BORDER, "constant_value": 0.5}),
    ("Pad", {"mode": "edge", "pad_width": BORDER}),
    ("Pad", {"mode": "reflect", "pad_width": BORDER}),
    ("Crop", {"num_args": 1, "h_w": (3, 4), "offset": (2, 1)}),
    ("Crop", {"num_args": 1, "h_w": (4, 5), "center_crop": True}),
)


def slices(net: Net, random: np.random.Generator) -> None:
    """Less of it, or more at its border."""
    name, options = pick(random, SLICES)
    net.node(name, "s", net.input("data", (2, 6, 7, 8)), **options)


SLICES_LIKE: tuple[tuple[str, Options], ...] = (
    ("slice_like", {}),
    ("slice_like", {"axes": (2, 3)}),
    ("Crop", {"num_args": 2}),
    ("Crop", {"num_args": 2, "center_crop": True}),
    ("Crop", {"num_args": 2, "offset": (1, 2)}),
)


def slices_like(net: Net, random: np.random.Generator) -> None:
    """As much as another has."""
    name, options = pick(random, SLICES_LIKE)
    net.node(name, "s", net.input("data", (2, 6, 7, 8)), net.input("other", (2, 3, 4, 5)), **options)


def likeness(net: Net, random: np.random.Generator) -> None:
    """In the shape of another."""
    if flag(random):
        net.node("broadcast_like", "l", net.input("data", (2, 1, 4)), net.input("other", (2, 3, 4)))
    else:
        net.node("reshape_like", "l", net.input("data", (2, 6, 4)), net.input("other", (2, 3, 8)))


def sorting(net: Net, random: np.random.Generator) -> None:
    """The largest, the smallest; where they are."""
    kind = pick(random, ("indices", "value", "both"))
    options = {"axis": pick(random, (-1, 1, 0)), "k": pick(random, (1, 2, 0)), "is_ascend": flag(random)}
    at, _ = net.node("topk", "t", net.input("data", (2, 3, 4)), ret_typ=kind, **options)
    net.heads = [(at, number) for number in range(1 + (kind == "both"))]


def joining(net: Net, random: np.random.Generator) -> None:
    """Several inputs."""
    first, second = net.input("data", (2, 3, 4)), net.input("other", (2, 3, 4))
    if flag(random):
        net.node("Concat", "j", first, second, first, num_args=3, dim=pick(random, (1, 2, 0, -1)))
    else:
        net.node("stack", "j", first, second, num_args=2, axis=pick(random, (0, 1, -1, 3)))


def places(net: Net, random: np.random.Generator) -> None:
    """Numbers from 0 to 5 as places."""
    kind = pick(random, ("Embedding", "take", "one_hot", "where", "pick", "zeros_like", "ones_like"))
    index = net.node("_mul_scalar", "index", net.node("sigmoid", "unit", net.input("data", (2, 3))), scalar=6)
    index = net.node("floor", "whole", index)
    if kind == "Embedding":
        net.node(kind, "e", index, net.weight("e_weight", 5, 4), input_dim=5, output_dim=4)
    elif kind == "take":
        options = {"axis": pick(random, (0, 1)), "mode": pick(random, ("clip", "wrap"))}
        net.node(kind, "e", net.weight("table", 5, 4), index, **options)
    elif kind == "pick":
        options = {"keepdims": flag(random), "mode": pick(random, ("clip", "wrap"))}
        net.node(kind, "e", net.input("a", (2, 3, 4)), index, axis=2, **options)
    elif kind.endswith("_like"):
        net.node(kind, "e", index)
    elif kind == "one_hot":
        net.node(kind, "e", index, depth=6, **({"on_value": 2, "off_value": -1} if flag(random) else {}))
    else:
        net.node(kind, "e", index, net.input("a", (2, 3)), net.input("b", (2, 3)))


MOVEMENTS: tuple[Callable[[Net, np.random.Generator], None], ...] = (
    *(reshape, layout, blocks, parts, slices, slices_like, likeness, sorting, joining, places),
)
