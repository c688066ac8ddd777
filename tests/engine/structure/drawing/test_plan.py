"""The layout: nothing overlaps, everything is inside what it belongs to, every edge ends at its boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import onnxray
import pytest
from onnxray.engine.structure.drawing.draw import Drawing
from onnxray.engine.structure.drawing.plan import Frame, Plan, Slot

REAL = [
    "derived/squeezenet1.1.onnx",
    "derived/resnet20_cifar10.onnx",
    "onnx/ultraface_rfb320/version-RFB-320.onnx",
    "onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx",
    "onnx/prisma_portrait_unet/prisma_nchw.onnx",
    "onnx/sinet_portrait/SINet_Softmax.onnx",
]
NEAR = 0.6  # points


CASES = [(name, direction) for name in REAL for direction in ("TB", "LR")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{Path(case[0]).stem}-{case[1]}")
def drawn(request: pytest.FixtureRequest, shared: Callable[[str], Path]) -> tuple[Plan, str]:
    name, direction = request.param
    return Drawing(onnxray.load(shared(f"models/{name}")), direction=direction, metric="macs").plan, direction


def _sides(thing: Slot | Frame) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    if isinstance(thing, Frame):
        return thing.x, thing.y, thing.x + thing.width, thing.y + thing.height
    width, height = thing.width / 2, thing.height / 2
    return thing.x - width, thing.y - height, thing.x + width, thing.y + height


def _within(inner: Slot | Frame, outer: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = _sides(inner)
    return left >= outer[0] - NEAR and top >= outer[1] - NEAR and right <= outer[2] + NEAR and bottom <= outer[3] + NEAR


def _apart(a: Slot | Frame, b: Slot | Frame) -> bool:
    (al, at, ar, ab), (bl, bt, br, bb) = _sides(a), _sides(b)
    return ar <= bl + NEAR or br <= al + NEAR or ab <= bt + NEAR or bb <= at + NEAR


def test_boxes_and_frames(drawn: tuple[Plan, str]) -> None:
    plan, _ = drawn
    things: list[Slot | Frame] = [*plan.frames, *plan.slots]
    for a, b in combinations(things, 2):
        if b.id.startswith(f"{a.id}_"):
            assert _within(b, _sides(a)), f"{b.id} is not inside {a.id}"
        else:
            assert _apart(a, b), f"{a.id} and {b.id} overlap"
    assert all(_within(thing, (0, 0, plan.width, plan.height)) for thing in things)


def test_wires_leave_and_reach_their_boxes_forward(drawn: tuple[Plan, str]) -> None:
    plan, direction = drawn
    slots = {slot.id: slot for slot in plan.slots}
    for wire in plan.wires:
        assert len(wire.points) % 3 == 1
        (x, y), (u, v) = wire.points[0], wire.points[-1]
        tail, head = _sides(slots[wire.tail]), _sides(slots[wire.head])
        if direction == "TB":
            assert abs(y - tail[3]) < NEAR and tail[0] - NEAR <= x <= tail[2] + NEAR
            assert abs(v - head[1]) < NEAR and head[0] - NEAR <= u <= head[2] + NEAR
            assert v > y
        else:
            assert abs(x - tail[2]) < NEAR and tail[1] - NEAR <= y <= tail[3] + NEAR
            assert abs(u - head[0]) < NEAR and head[1] - NEAR <= v <= head[3] + NEAR
            assert u > x


def test_wires_pass_no_box(drawn: tuple[Plan, str]) -> None:
    plan, _ = drawn
    for wire in plan.wires:
        for slot in plan.slots:
            if slot.id not in (wire.tail, wire.head):
                left, top, right, bottom = _sides(slot)
                assert not any(left + 2 < x < right - 2 and top + 2 < y < bottom - 2 for x, y in _along(wire.points)), (
                    f"{wire.tail} -> {wire.head} crosses {slot.id}"
                )


def _along(points: tuple[tuple[float, float], ...]) -> Iterator[tuple[float, float]]:
    """Points on the Bézier path."""
    for start in range(0, len(points) - 1, 3):
        (a, b), (c, d), (e, f), (g, h) = points[start : start + 4]
        for step in range(9):
            t = step / 8
            k = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
            yield k[0] * a + k[1] * c + k[2] * e + k[3] * g, k[0] * b + k[1] * d + k[2] * f + k[3] * h
