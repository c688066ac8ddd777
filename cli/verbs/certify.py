"""`onnxray certify`: whether gradients can be trusted: the torch copy of a network against onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine import quantities
from ...engine.images import find_images
from ...engine.model import Model
from ..console import end_of, table_console
from ..images import MemoryOption, progress_bar, warn_skipped
from ..options import takes_model

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ...engine.gradient.certificate import BridgeCertificate
    from ...engine.gradient.finite_differences import Derivative, GradientCheck
    from ...engine.gradient.parity import TensorComparison

NOT_PASSED = 1  # exit code
_NUMBERS_WIDTH, _SHORTEST_NAME = 84, 12  # columns of the table beside the two names, and of those at least
_LONGEST_OP = 18
_NAMED = 3  # tensors in a message
_DIRECTIONS = {"gradient": "half along the gradient", "random": "random"}


@takes_model
def certify(
    model: Model,
    images: Annotated[
        list[str] | None,
        typer.Option(metavar="IMAGES", help="Image, folder, glob or array; again for more. Default: seeded noise."),
    ] = None,
    worst: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Print only the N tensors that are furthest apart.")
    ] = None,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Compare the outputs only: seconds instead of minutes.")
    ] = False,
    gradients: Annotated[bool, typer.Option("--gradients/--no-gradients", help="Check gradients too.")] = True,
    via: Annotated[
        str | None, typer.Option(help="onnx2torch: certify that package's conversion instead of ours.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    memory: MemoryOption = None,
) -> None:
    """Whether the torch copy of a network, which gradients come from, is the same network.

    onnxruntime and torch compute every tensor from the same inputs, and torch's gradients are compared with finite
    differences of onnxruntime's outputs. Exit code 0: the same; 1: not.
    """
    from ...engine.gradient.certificate import certify as make_certificate

    with progress_bar("tensors compared") as progress:
        found = make_certificate(
            model,
            images,
            per_node=not outputs,
            gradients=gradients,
            via=via,
            memory=memory,
            progress=progress,
        )
    if json_:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _print(found, worst)
    if found.skipped:
        warn_skipped(found.skipped, len(find_images(images or [])))
    if not found.passed:
        raise typer.Exit(NOT_PASSED)


def _print(found: BridgeCertificate, worst: int | None) -> None:
    console = table_console()
    rows = found.nodes or found.outputs
    if worst is not None:
        rows = tuple(sorted(rows, key=lambda row: -row.relative)[:worst])
    console.print(_values(rows, console))
    if found.gradients.derivatives:
        console.print(_gradients(found.gradients))
    count = len(found.nodes or found.outputs)
    console.print(f"Input: {found.input}; {count} tensor{'s' * (count != 1)} compared.", soft_wrap=True)
    if found.missing:
        names = ", ".join(found.missing[:_NAMED]) + (", …" if len(found.missing) > _NAMED else "")
        console.print(
            f"Not compared, torch does not have them: {len(found.missing)} tensors ({names}).", soft_wrap=True
        )
    for note in found.notes:
        console.print(f"Note: {note}.", soft_wrap=True)
    console.print(f"{'passed' if found.passed else 'NOT PASSED'}: {found.summary()}", soft_wrap=True)


def _values(rows: Sequence[TensorComparison], console: Console) -> Table:
    from rich.text import Text

    table = _table(("node", "op", "tensor", "shape"), ("difference", "of its range"))
    tensors = [_tensor(row) for row in rows]
    widest = max(map(len, tensors), default=0)
    room = max(console.width - _NUMBERS_WIDTH, 2 * _SHORTEST_NAME)
    shown = min(widest, room // 2)
    for row, tensor in zip(rows, tensors, strict=True):
        verdict = Text("ok", "green") if row.passed else Text(*(_AMPLIFIED if row.amplified else _DIFFERS))
        op = end_of(row.op.rpartition(".")[2], _LONGEST_OP)
        numbers = f"{row.difference:.2g}", f"{row.relative:.2g}"
        shape = quantities.shape(row.shape)
        table.add_row(end_of(row.node, room - shown), op, end_of(tensor, shown), shape, *numbers, verdict)
    return table


def _tensor(row: TensorComparison) -> str:
    """The tensor's name where it says more than the node's: exporters call it NODE_output_0."""
    return "" if row.name in (row.node, f"{row.node}_output_0") else row.name


_AMPLIFIED, _DIFFERS = ("rounding before it", "yellow"), ("differs", "red")


def _gradients(check: GradientCheck) -> Table:
    from rich.text import Text

    table = _table(("direction", "step"), ("onnxruntime", "torch", "apart", "give or take"))
    for row in check.derivatives:
        verdict = Text(_said(row), "yellow" if not row.conclusive else "green" if row.passed else "red")
        numbers = (
            f"{row.difference:.4g}",
            f"{row.integral:.4g}",
            f"{100 * row.error:.2g} %",
            f"{100 * row.uncertain:.2g} %",
        )
        table.add_row(_DIRECTIONS[row.direction], f"{row.step:.1g}", *numbers, verdict)
    return table


def _said(row: Derivative) -> str:
    return "cannot tell" if not row.conclusive else "ok" if row.passed else "differs"


def _table(left: Sequence[str], right: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in left:
        table.add_column(heading, no_wrap=True)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table
