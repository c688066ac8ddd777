"""`onnxray convert`: any supported model file to ONNX, with its parity certificate."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine import quantities
from ...engine.model import Model
from ...importers.errors import InputError
from ..console import table_console
from ..options import takes_model

if TYPE_CHECKING:
    from rich.table import Table

    from ...importers.certificate import Certificate, Comparison


@takes_model
def convert(
    model: Model,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT.onnx", help="Default: the input's name, as .onnx.")
    ] = None,
    per_layer: Annotated[bool, typer.Option("--per-layer", help="Compare every tensor, not only the outputs.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with an independent run of the source file.")
    ] = True,
) -> None:
    """Write a model as ONNX, with its preprocessing and where it came from, and say how far it is from the source.

    The certificate compares the converted graph, run by onnxruntime, with an independent reader of the source file on
    one seeded input. It is printed and kept in the file.
    """
    from ...importers.certificate import certify, read_certificate, write_certificate
    from ...importers.onnx_file import write

    target = _target(model, output)
    certificate = None
    if verify:
        certificate = certify(model.path, model.companion, model.proto, per_layer=per_layer, options=model.options)
        if certificate.reference or read_certificate(model.proto) is None:  # an earlier conversion's stays
            write_certificate(model.proto, certificate)
    write(model.proto, target, model.folder)
    _print(model, target, certificate, per_layer)


def _target(model: Model, output: Path | None) -> Path:
    target = output or model.path.with_suffix(".onnx")
    if target.exists() and target.samefile(model.path):
        raise InputError(f"the result would replace the input {model.path}; name another file with -o")
    if target.suffix != ".onnx":
        raise InputError(f"-o expects a file name that ends in .onnx, found {target}")
    if not target.parent.is_dir():
        raise InputError(f"the folder of -o {target} does not exist")
    return target


def _print(model: Model, target: Path, certificate: Certificate | None, per_layer: bool) -> None:
    console = table_console()
    graph = model.proto.graph
    weights = sum(prod(tensor.dims) for tensor in graph.initializer)
    size = quantities.size(target.stat().st_size)
    console.print(f"{target}: {len(graph.node)} nodes, {weights:,} weights, {size}", soft_wrap=True)
    if certificate is None:
        return
    if certificate.outputs or certificate.inner:
        console.print(_table(certificate, per_layer))
    for line in certificate.verdict():
        console.print(line, soft_wrap=True)


def _table(certificate: Certificate, per_layer: bool) -> Table:
    """Outputs; every tensor with --per-layer; the last ones reached where an output could not be compared."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for heading in ("tensor", "shape", "largest difference", "of its range", ""):
        table.add_column(heading, justify="left" if heading in ("tensor", "shape", "") else "right", overflow="fold")
    reached = certificate.inner if per_layer else certificate.inner[-1:] if certificate.missing else ()
    for row in (*reached, *certificate.outputs):
        _add_row(table, row)
    for name in certificate.missing:
        table.add_row(Text(name), "", "", "", "not compared")
    return table


def _add_row(table: Table, row: Comparison) -> None:
    from rich.text import Text

    verdict = Text("ok", "green") if row.passed else Text("differs", "red")
    shape = "x".join(map(str, row.shape)) or "scalar"
    table.add_row(Text(row.name), shape, f"{row.difference:.2g}", f"{row.relative:.2g}", verdict)
