"""What papers call a block, told from its structure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .boxes import Box
from .regions import ENTRY

if TYPE_CHECKING:
    from .blocks import Diagram


def block_name(diagram: Diagram) -> str:
    """ "Residual block", "Fire", "Squeeze-excite", "Depthwise separable" …; "Block" where nothing fits."""
    boxes = list(diagram.boxes())
    *before, last = diagram.items
    if isinstance(last, Box):
        return _joined(diagram, boxes) if len(diagram.feeders[-1]) > 1 else _chain(boxes)
    if last.name == "Branches" and _is_fire(boxes):
        return "Fire"
    if not before:
        return last.name
    lead = "Depthwise separable" if _is_separable([box for item in before if isinstance(item, Box) for box in [item]]) else ""
    return lead or (f"{last.name}" if last.name not in ("Branches", "Gate") else "Block")


def _joined(diagram: Diagram, boxes: list[Box]) -> str:
    """The name of a region, by the operator that joins its branches."""
    exit_box = boxes[-1]
    op = exit_box.nodes[0].op if exit_box.nodes else ""
    skip = ENTRY in diagram.feeders[-1]
    if op in ("Add", "Sum"):
        return _sum(boxes, skip)
    if op == "Mul" and any("Global" in box.title for box in boxes):
        return "Squeeze-excite"
    if op == "Mul":
        return "Gate"
    if op == "MatMul" and any(box.title == "Softmax" for box in boxes):
        return "Attention"
    if op == "Concat":
        return _concatenation(diagram, boxes, skip)
    return "Block"


def _sum(boxes: list[Box], skip: bool) -> str:
    titles = [box.title for box in boxes]
    if "Softmax" in titles:
        return "Attention block"
    if _resizes(boxes):
        return "Encoder-decoder"
    if not any(box.family == "convolution" for box in boxes):
        return "MLP block" if "Dense" in titles else "Sum"
    if skip and any(title.startswith("Depthwise") for title in titles):
        return "Inverted residual"
    return "Residual block" if skip or _short_branch(boxes) else "Sum"


def _short_branch(boxes: list[Box]) -> bool:
    """A residual block whose shortcut is a projection or a crop: few boxes, one sum."""
    return sum(box.nodes[0].op == "Add" for box in boxes if box.nodes) == 1 and len(boxes) <= 10


def _concatenation(diagram: Diagram, boxes: list[Box], skip: bool) -> str:
    if _resizes(boxes):
        return "Encoder-decoder"
    if any(box.title == "Softmax" for box in boxes):
        return "Attention block"
    if skip:
        return "Dense layer" if len(boxes) <= 6 else "Cross-stage block"
    return "Inception" if len(diagram.feeders[-1]) >= 3 and _has(boxes, "pooling") else "Branches"


def _resizes(boxes: list[Box]) -> bool:
    return any(box.title.startswith(("Resize", "Deconv", "Depthwise deconv")) for box in boxes)


def _has(boxes: list[Box], family: str) -> bool:
    return any(box.family == family for box in boxes)


def _is_fire(boxes: list[Box]) -> bool:
    """SqueezeNet's module: a 1×1 squeeze, then 1×1 and 3×3 side by side, concatenated."""
    return [box.title for box in boxes] in (
        ["Conv 1×1", "Conv 1×1", "Conv 3×3", "Concat"],
        ["Conv 1×1", "Conv 3×3", "Conv 1×1", "Concat"],
    )


def _chain(boxes: list[Box]) -> str:
    if _is_separable(boxes):
        return "Depthwise separable"
    titles = list(dict.fromkeys(box.title for box in boxes))
    if len(titles) == 1:
        return titles[0]
    return "Conv block" if boxes[0].family == "convolution" else "Block"


def _is_separable(boxes: list[Box]) -> bool:
    titles = [box.title for box in boxes]
    pairs = list(zip(titles[::2], titles[1::2], strict=False))
    return bool(pairs) and len(titles) % 2 == 0 and all(_separable_pair(*pair) for pair in pairs)


def _separable_pair(first: str, second: str) -> bool:
    pair = sorted((first.startswith("Depthwise conv"), second.startswith("Depthwise conv")))
    return pair == [False, True] and "Conv 1×1" in (first, second)


def scope(boxes: list[Box]) -> str:
    """The longest common part of the boxes' layer names, by path: "features.3"; the first name where there is none."""
    names = [box.name.split("/") for box in boxes if box.name]
    if not names:
        return ""
    common = list(_common(names))
    return "/".join(common) or "/".join(names[0])


def _common(paths: list[list[str]]) -> Iterator[str]:
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            return
        yield parts[0]
