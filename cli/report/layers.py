"""The report's figures from the file alone: the tiles at the top and the table of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...engine import quantities
from ...engine.model import Model
from ...engine.structure.op_families import FAMILIES, family_of
from ...engine.structure.receptive_field import ReceptiveField
from ...engine.structure.summary import Layer, Summary
from .section import Cell


@dataclass(frozen=True)
class Column:
    """A column's head, and what it means as a tooltip."""

    name: str
    title: str
    number: bool = True


COLUMNS = (
    Column("Layer", "the node's name in the file", number=False),
    Column("Operator", "the ONNX operator", number=False),
    Column("Output", "shape of the output, batch first"),
    Column("Parameters", "learned values; the bar compares with the layer that has most"),
    Column("MACs", "multiply-accumulate operations for one image"),
    Column("Activations", "memory of the outputs for one image"),
    Column("Receptive field", "pixels of the image that one output can depend on: size / stride / start"),
)


def tiles(model: Model, summary: Summary) -> list[dict[str, str]]:
    """The key figures."""
    dtypes = ", ".join(summary.weight_dtypes) or "none"
    size = quantities.size(summary.weight_bytes)
    return [
        {"name": "parameters", "value": quantities.count(summary.total_params), "note": f"{dtypes}, {size}"},
        {"name": "MACs an image", "value": quantities.count(summary.total_macs), "note": _input_note(summary)},
        {"name": "peak activations", "value": quantities.size(summary.peak_memory.bytes), "note": "for one image"},
        {"name": "layers", "value": str(len(summary.layers)), "note": f"{len(summary.rows)} nodes in all"},
        {"name": "zeros in the weights", "value": _zeros(summary), "note": ""},
        {
            "name": f"{model.path.suffix.lstrip('.')} file",
            "value": quantities.size(model.path.stat().st_size),
            "note": str(model.source.get("format", "")),
        },
    ]


def _zeros(summary: Summary) -> str:
    return "–" if summary.sparsity is None else quantities.share(summary.sparsity)


def _input_note(summary: Summary) -> str:
    return ", ".join(f"{name} {quantities.shape(shape)}" for name, shape in summary.input_shapes.items())


def rows(summary: Summary) -> list[list[Cell]]:
    """A row a layer, in the order of `COLUMNS`."""
    most = Most(
        max((layer.params for layer in summary.layers), default=0),
        max((layer.macs or 0 for layer in summary.layers), default=0),
        max((layer.activation_bytes or 0 for layer in summary.layers), default=0),
    )
    return [_row(layer, most) for layer in summary.layers]


class Most(NamedTuple):
    """The largest value of each column with bars."""

    params: int
    macs: int
    activation_bytes: int


def _row(layer: Layer, most: Most) -> list[Cell]:
    shape = layer.shape or ()
    elements = float(sum(1 for _ in shape)) if None in shape else _product(shape)
    return [
        Cell(layer.name, layer.name, colour=FAMILIES[family_of(layer.op)].line),
        Cell(layer.op, layer.op),
        Cell(quantities.shape(layer.shape), elements, number=True),
        _amount(layer.params, most.params, quantities.count(layer.params) if layer.params else "–"),
        _amount(layer.macs, most.macs, quantities.count(layer.macs) if layer.macs != 0 else "–"),
        _amount(layer.activation_bytes, most.activation_bytes, quantities.size(layer.activation_bytes)),
        _field(layer.receptive_field),
    ]


def _product(shape: tuple[int | None, ...]) -> float:
    product = 1.0
    for size in shape:
        product *= size or 0
    return product


def _amount(value: int | None, most: int, text: str) -> Cell:
    share = 100 * value / most if value else None
    return Cell(text, -1 if value is None else value, number=True, share=None if share is None else round(share, 2))


def _field(field: ReceptiveField | None) -> Cell:
    if field is None:
        return Cell("–", -1, number=True)
    size = max((side or 0 for side in field.size), default=0) if field.kind == "local" else 1e9
    return Cell(str(field), size, number=True)


def totals(summary: Summary) -> list[str]:
    """The table's last row."""
    return [
        "Total",
        "",
        "",
        quantities.count(summary.total_params),
        quantities.count(summary.total_macs),
        quantities.size(summary.total_activation_bytes),
        "",
    ]


def caption(summary: Summary) -> str:
    """What the table shows and what it leaves out."""
    others = sum(summary.others.values())
    hidden = f" {others} further nodes (activations, joins, reshapes …) have no parameters." if others else ""
    return (
        "Convolutions, dense layers, pools, normalisations and whatever else has parameters. "
        f"Bars compare with the largest of their column; click a head to sort.{hidden}"
    )


def notes(summary: Summary, shape_note: str) -> list[str]:
    """What the reader must know before believing the numbers."""
    found = []
    for name, axes in summary.assumed.items():
        shape = quantities.shape(summary.input_shapes[name])
        found.append(
            f"The file leaves {len(axes)} dimension(s) of the input {name} open; the numbers are for {shape}. "
            f"Fix them with --shape {name}={shape.replace('×', 'x')}."
        )
    if shape_note:
        found.append(shape_note)
    if summary.unknown_macs:
        found.append(f"MACs are not known for: {', '.join(summary.unknown_macs[:8])}.")
    return found
