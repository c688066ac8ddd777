"""The numbers of nodes that drawings and overlays show, from the summary; times come from a measured run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ... import quantities

if TYPE_CHECKING:
    from ...model import Model
    from ..receptive_field import ReceptiveField


@dataclass(frozen=True)
class Numbers:
    """The numbers of one node, or of several together. None: not known, or not measured."""

    params: int = 0
    macs: int | None = None
    activation_bytes: int | None = None
    receptive_field: int | None = None  # pixels along the longer side
    time: float | None = None  # seconds


@dataclass(frozen=True)
class Metric:
    """What a number is called and how it is written; `adds` where the number of several nodes is their sum."""

    label: str
    text: Callable[[float], str]
    adds: bool = True


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} µs"


METRICS: dict[str, Metric] = {
    "params": Metric("parameters", lambda value: f"{quantities.count(value)} params"),
    "macs": Metric("multiply-accumulates", lambda value: f"{quantities.count(value)} MACs"),
    "time": Metric("time", _seconds),
    "receptive_field": Metric("receptive field", lambda value: f"field {value:.0f} px", adds=False),
    "activation_bytes": Metric("activations", quantities.size),
}


def node_numbers(model: Model, times: Mapping[str, float] | None = None) -> dict[str, Numbers]:
    """Node name -> its numbers. `times`: node name -> seconds, as `profiling.operators.time_operators` measures."""
    from ..summary import image_axes, summarize

    seconds = times or {}
    image, axes = image_axes(model)
    sides = tuple(model.input_shapes[image][axis] for axis in axes)
    return {
        row.name: Numbers(
            row.params, row.macs, row.activation_bytes, _side(row.receptive_field, sides), seconds.get(row.name)
        )
        for row in summarize(model).rows
    }


def together(numbers: Iterable[Numbers]) -> Numbers:
    """The numbers of several nodes as one: sums, but the largest receptive field; None where no node has one."""
    known = list(numbers)

    def total(values: Iterable[float | None]) -> float | None:
        present = [value for value in values if value is not None]
        return sum(present) if present else None

    return Numbers(
        params=sum(each.params for each in known),
        macs=_whole(total(each.macs for each in known)),
        activation_bytes=_whole(total(each.activation_bytes for each in known)),
        receptive_field=max((each.receptive_field or 0 for each in known), default=0) or None,
        time=total(each.time for each in known),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _side(field: ReceptiveField | None, image: tuple[int, ...]) -> int | None:
    """The longer side in pixels; a global field has the image's."""
    if field is None or field.kind not in ("local", "global"):
        return None
    sides = image if field.kind == "global" else [size or whole for size, whole in zip(field.size, image, strict=True)]
    return max(sides, default=None)
