"""Our numbers in the forms in which graph viewers take them: Netron's and Model Explorer's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ... import quantities
from ...results import write_text
from .measures import METRICS

if TYPE_CHECKING:
    from ...model import Model
    from ..receptive_field import ReceptiveField
    from ..summary import Layer

FIRST = "macs"  # the metric of the file that the user names; the others lie beside it
EXPLORER_METRICS = (FIRST, "params", "receptive_field", "activation_bytes")
_GRADIENT = [{"stop": 0, "bgColor": "#f3f7fc"}, {"stop": 1, "bgColor": "#3573b5"}]


def annotated(model: Model) -> onnx.ModelProto:
    """A copy of the model whose nodes carry their numbers as metadata, which Netron shows beside each node."""
    from ..summary import summarize

    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    facts = {row.name: list(_facts(row)) for row in summarize(model).rows}
    for node in copy.graph.node:
        for name, value in facts.get(node.name, ()):
            node.metadata_props.add(key=name, value=value)
    return copy


def netron_attachment(model: Model) -> dict[str, Any]:
    """What `annotated` adds, as the JSON that Netron takes when it is opened beside a model."""
    from ..summary import summarize

    return {
        "signature": "netron:attachment",
        "metrics": [
            {"kind": "node", "target": row.name, "name": name, "value": value}
            for row in summarize(model).rows
            for name, value in _facts(row)
        ],
    }


def explorer_data(model: Model, metric: str) -> dict[str, Any]:
    """Model Explorer's node data for one metric: a column of its table, and a colour for every node."""
    from .measures import node_numbers

    numbers = {name: getattr(each, metric) for name, each in node_numbers(model).items()}
    return {
        "results": {name: {"value": value} for name, value in numbers.items() if value is not None},
        "gradient": _GRADIENT,
    }


def write_overlay(model: Model, path: str | Path) -> list[Path]:
    """Write the numbers for another viewer and return the files.

    `x.netron.json`: one file for Netron. Else Model Explorer's node data, of which a file holds one metric: MACs in
    `path` itself, the others beside it as `x.params.json`, `x.receptive_field.json`, `x.activation_bytes.json`.
    """
    path = Path(path)
    if path.name.endswith(".netron.json"):
        write_text(path, json.dumps(netron_attachment(model), indent=1))
        return [path]
    files = {path if name == FIRST else path.with_suffix(f".{name}.json"): name for name in EXPLORER_METRICS}
    for file, name in files.items():
        write_text(file, json.dumps(explorer_data(model, name), indent=1))
    return list(files)


def _facts(row: Layer) -> Iterator[tuple[str, str]]:
    """Names and values as a reader wants them; nothing for what is not known."""
    if row.shape is not None:
        yield "output shape", "×".join("?" if size is None else str(size) for size in row.shape)
    if row.macs:
        yield "MACs", f"{quantities.count(row.macs)} ({row.macs:,})"
    if row.params:
        yield "parameters", f"{quantities.count(row.params)} ({row.params:,})"
    if row.activation_bytes:
        yield "activation bytes", METRICS["activation_bytes"].text(row.activation_bytes)
    if row.receptive_field is not None:
        yield from _field_facts(row.receptive_field)


def _field_facts(field: ReceptiveField) -> Iterator[tuple[str, str]]:
    if field.kind == "global":
        yield "receptive field", "the whole image"
    elif field.kind == "local":
        yield "receptive field", f"{_sides(field.size)} pixels"
        yield "field stride", f"{_sides(field.stride)} pixels"
        yield "field start", f"{_sides(field.start, ', ')}"


def _sides(values: tuple[Any, ...], between: str = "×") -> str:
    return between.join("all" if value is None else f"{value}" for value in values)
