"""`onnxray predict`: the top classes of images, or what a detector finds in them."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ...engine.methods.detect import OVERLAP, THRESHOLD
from ...engine.methods.detect import detect as find_boxes
from ...engine.methods.predict import Predictions
from ...engine.methods.predict import predict as predict_classes
from ...engine.model import Model
from ...importers.errors import InputError
from .. import detections
from ..console import table_console
from ..images import ImagesArgument, MemoryOption, ProvidersOption, progress_bar, warn_assumed, warn_skipped
from ..options import takes_model

_COLUMNS = ("image", "rank", "class", "label", "probability", "logit")
_BAR = 12  # characters
_JUDGED = (1, 5)  # top-1 and top-5 accuracy


@takes_model
def predict(
    model: Model,
    images: ImagesArgument,
    top: Annotated[int, typer.Option(min=1, help="How many classes an image.")] = 5,
    truth_from_name: Annotated[
        bool,
        typer.Option(
            "--truth-from-name", help="File names begin with the true class number and _ : print the accuracy."
        ),
    ] = False,
    detect: Annotated[
        bool, typer.Option("--detect", help="Boxes instead of classes, of a detector whose file says how to make them.")
    ] = False,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="With --detect: the score that boxes are above.")
    ] = THRESHOLD,
    overlap: Annotated[
        float, typer.Option(min=0, max=1, help="With --detect: what boxes of a class share at most, of their union.")
    ] = OVERLAP,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="With --detect: a .png of the image with its boxes, or a folder."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print CSV, a line an image and class, or a box.")] = False,
    memory: MemoryOption = None,
    provider: ProvidersOption = None,
) -> None:
    """Top classes of images, or the boxes of a detector."""
    if detect:
        if truth_from_name:
            raise InputError("--truth-from-name is for classes: a name says nothing of boxes")
        detections.check_output(images, output)
        with progress_bar("detecting") as progress:
            session = model.session(providers=provider, memory=memory)
            boxes = find_boxes(model, images, threshold=threshold, overlap=overlap, session=session, progress=progress)
        detections.publish(boxes, output=output, json_=json_, csv_=csv_)
        _warn(model, boxes.skipped, len(boxes.images))
        return
    if output is not None:
        raise InputError("-o draws boxes: it goes with --detect")
    asked = max(top, *_JUDGED) if truth_from_name else top
    with progress_bar("predicting") as progress:
        found = predict_classes(
            model, images, asked, session=model.session(providers=provider, memory=memory), progress=progress
        )
    accuracies = _accuracies(found) if truth_from_name else {}
    if json_:
        print(json.dumps(found.cut(top).to_json() | ({"accuracy": accuracies} if accuracies else {}), indent=1))
    elif csv_:
        csv.writer(sys.stdout, lineterminator="\n").writerows([_COLUMNS, *_rows(found.cut(top))])
    else:
        _print(found.cut(top), accuracies)
    _warn(model, found.skipped, len(found.images))


def _warn(model: Model, skipped: Sequence[tuple[str, str]], used: int) -> None:
    warn_skipped(skipped, used + len(skipped))
    warn_assumed(model.spec)


def _rows(found: Predictions) -> Iterator[tuple[object, ...]]:
    for row, image in enumerate(found.images):
        for rank, index in enumerate(found.indices[row]):
            logit = "" if found.logits is None else float(found.logits[row, rank])
            yield image, rank + 1, int(index), found.labels[row][rank], float(found.probabilities[row, rank]), logit


def _print(found: Predictions, accuracies: dict[str, float]) -> None:
    console = table_console()
    print_classes(console, found)
    if accuracies:
        told = ", ".join(f"{name} {100 * share:.1f} %" for name, share in accuracies.items())
        console.print(f"accuracy on {len(found.images)} images: {told}")


def print_classes(console: Console, found: Predictions) -> None:
    """The table of classes, and the line that says how they were read."""
    table = Table(*("image", "class", "label"), box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("probability", justify="right")
    table.add_column("", min_width=_BAR)
    table.add_column("logit", justify="right")
    for image, rank, index, label, probability, logit in _rows(found):
        name = Path(str(image)).name if rank == 1 else ""
        shown = f"{logit:.2f}" if isinstance(logit, float) else "–"
        table.add_row(name, str(index), str(label), f"{100 * float(str(probability)):.2f} %", _bar(probability), shown)
        if rank == found.indices.shape[1]:
            table.add_section()
    console.print(table)
    console.print(f"{found.classes} classes, output {found.output}: {found.note}.")


def _bar(probability: object) -> str:
    """A bar of eighths of a character."""
    eighths = round(float(str(probability)) * _BAR * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def _accuracies(found: Predictions) -> dict[str, float]:
    truth = np.array([_true_class(image) for image in found.images])
    hits = found.indices == truth[:, None]
    return {f"top-{k}": float(hits[:, :k].any(1).mean()) for k in _JUDGED if k <= found.classes}


def _true_class(image: str) -> int:
    number = re.match(r"(\d+)_", Path(image).name)
    if number is None:
        raise InputError(f"--truth-from-name expects names such as 281_tabby.jpg, found {Path(image).name}")
    return int(number[1])
