"""What papers call a block, told from its structure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .boxes import Box
from .regions import ENTRY

if TYPE_CHECKING:
    from .blocks import Diagram

PLAIN = {"Block", "Branches", "Sum", "Gate"}  # names that say no more than the drawing does


def block_name(diagram: Diagram) -> str:
    """ "Residual block /2", "Fire", "Squeeze-excite", "Depthwise separable" …; "Block" where nothing fits."""
    boxes = list(diagram.boxes())
    if _is_fire(boxes):
        return "Fire"
    last = diagram.items[-1]
    direct = [item for item in diagram.items if isinstance(item, Box)]
    if not isinstance(last, Box):
        return _ending_with([item.name for item in diagram.items if not isinstance(item, Box)], direct)
    if len(diagram.feeders[-1]) > 1:
        name = _joined(diagram, boxes, direct)
        return f"{name}{_stride(boxes)}" if name in ("Residual block", "Inverted residual", "Shuffle unit") else name
    return _chain(boxes)


def _ending_with(names: list[str], before: list[Box]) -> str:
    """The name of a chain whose last item is a block."""
    if [name.partition(" ")[0] for name in names] == ["Attention", "MLP"]:
        return "Transformer block"
    split = len(before) == 1 and before[0].title == "Split"
    if not before or split or _is_separable(before):
        return names[-1]
    return names[-1] if len(names) == 1 and names[-1] not in PLAIN | {"Squeeze-excite"} else "Block"


def _joined(diagram: Diagram, boxes: list[Box], direct: list[Box]) -> str:
    """The name of a region, by the operator that joins its branches."""
    op = boxes[-1].nodes[0].op if boxes[-1].nodes else ""
    skip = ENTRY in diagram.feeders[-1]
    titles = {box.title for box in boxes}
    if "channel shuffle" in boxes[-1].details:
        return "Shuffle unit"
    if op in ("Add", "Concat", "Sum") and {"Softmax", "MatMul"} <= titles and not _holds_attention(diagram):
        return "Attention block"
    if op in ("Add", "Sum"):
        return "Encoder-decoder" if skip and _resizes(direct) else _sum(boxes, skip)
    if op == "Mul":
        return "Squeeze-excite" if any("Global" in title for title in titles) else "Gate"
    if op == "MatMul" and "Softmax" in titles:
        return "Attention"
    return _concatenation(diagram, boxes, direct, skip) if op == "Concat" else "Block"


def _holds_attention(diagram: Diagram) -> bool:
    """Whether attention happens in blocks of its own inside."""
    inner = {item.name for item in diagram.items if not isinstance(item, Box)}
    return bool(inner & {"Attention block", "Transformer block"})


def _sum(boxes: list[Box], skip: bool) -> str:
    titles = [box.title for box in boxes]
    if not any(box.family == "convolution" for box in boxes):
        return "MLP block" if "Dense" in titles else "Sum"
    if skip and [_kind(title) for title in titles[:3]] == ["pointwise", "depthwise", "pointwise"]:
        return "Inverted residual"
    if skip and titles[0].startswith("Conv 1×1") and any(title.startswith("Depthwise") for title in titles):
        return "Inverted residual"
    one_sum = sum(box.nodes[0].op == "Add" for box in boxes if box.nodes) == 1
    return "Residual block" if skip or (one_sum and len(boxes) <= 24) else "Sum"


def _kind(title: str) -> str:
    return "depthwise" if title.startswith("Depthwise conv") else "pointwise" if title == "Conv 1×1" else ""


def _concatenation(diagram: Diagram, boxes: list[Box], direct: list[Box], skip: bool) -> str:
    branches = len(diagram.feeders[-1])
    pooled = any(box.family == "pooling" for box in direct)
    if _resizes(direct):
        return "Encoder-decoder" if skip or len(boxes) > 12 else "Multi-scale branches"
    if skip:
        return "Dense layer" if len(boxes) <= 6 else "Cross-stage block"
    return "Inception" if branches >= 3 and pooled else "Branches"


def _resizes(boxes: Sequence[Box]) -> bool:
    return any(box.title.startswith(("Resize", "Deconv", "Depthwise deconv")) for box in boxes)


def _stride(boxes: Sequence[Box]) -> str:
    """ " /2" when something inside makes the image smaller."""
    found = (re.search(r" /\d+(×\d+)?", box.title) for box in boxes)
    return next((match.group() for match in found if match), "")


def _is_fire(boxes: list[Box]) -> bool:
    """SqueezeNet's module: a 1×1 squeeze, then 1×1 and 3×3 side by side, concatenated."""
    first, *side, last = [box.title for box in boxes] if len(boxes) == 4 else [""] * 4
    return (first, sorted(side), last) == ("Conv 1×1", ["Conv 1×1", "Conv 3×3"], "Concat")


def _chain(boxes: list[Box]) -> str:
    if _is_separable(boxes):
        return f"Depthwise separable{_stride(boxes)}"
    titles = list(dict.fromkeys(box.title for box in boxes))
    if len(titles) == 1:
        return titles[0]
    return "Conv block" if boxes[0].family == "convolution" else "Block"


def _is_separable(boxes: Sequence[Box]) -> bool:
    """Depthwise and pointwise convolutions in turn, beginning with either."""
    kinds = [_kind(re.sub(r" /\d+(×\d+)?$", "", box.title)) for box in boxes]
    turns = (["depthwise", "pointwise"], ["pointwise", "depthwise"])
    return bool(kinds) and len(kinds) % 2 == 0 and kinds[:2] in turns and kinds == kinds[:2] * (len(kinds) // 2)


def scope(boxes: Sequence[Box]) -> str:
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
