"""What `predict --detect` makes: a table of boxes, and the images with these drawn on them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from ..engine.image_files import find_images, read_image
from ..engine.methods.detect import Detections
from ..engine.results import file_name, write_png
from ..importers.errors import InputError
from .console import table_console
from .images import keep_images

_COLUMNS = ("image", "class", "label", "score", "left", "top", "right", "bottom")


def check_output(images: Sequence[str], output: Path | None) -> None:
    """Raise InputError unless pictures can be written there, and no image would be lost."""
    if output is None:
        return
    if output.suffix and output.suffix.lower() != ".png" and not output.is_dir():
        raise InputError(f"-o expects a .png or a folder, found {output}")
    count = len(find_images(images))
    if _is_picture(output) and count > 1:
        raise InputError(f"-o expects a folder for {count} images, found {output}")
    keep_images(images, [output])


def _is_picture(output: Path) -> bool:
    return output.suffix.lower() == ".png" and not output.is_dir()


def publish(found: Detections, *, output: Path | None, json_: bool, csv_: bool) -> None:
    """Print the boxes and, with `output`, write the pictures."""
    written = None if output is None else _draw(found, output)
    if json_:
        arrays = {name: array.tolist() for name, array in found.arrays().items()}  # all of them, however many boxes
        print(json.dumps({**found.to_json(), **arrays}, indent=1))
    elif csv_:
        csv.writer(sys.stdout, lineterminator="\n").writerows([_COLUMNS, *_rows(found)])
    else:
        _print(found)
        if written is not None:
            print(written)


def _rows(found: Detections) -> Iterator[tuple[object, ...]]:
    for row, number in enumerate(found.numbers):
        corners = [round(float(side), 1) for side in found.boxes[row]]
        yield found.images[number], int(found.indices[row]), found.labels[row], float(found.scores[row]), *corners


def _print(found: Detections) -> None:
    console = table_console()
    table = Table(*_COLUMNS[:3], box=box.SIMPLE_HEAD, pad_edge=False)
    for column in _COLUMNS[3:]:
        table.add_column(column, justify="right")
    shown = None
    for image, index, label, score, *corners in _rows(found):
        if shown not in (None, image):
            table.add_section()
        name = Path(str(image)).name if image != shown else ""
        table.add_row(name, str(index), str(label), f"{score:.2f}", *(f"{side:.0f}" for side in corners))
        shown = image
    console.print(table)
    empty = len(found.images) - len(set(found.numbers.tolist()))
    nothing = f"; nothing in {empty} of {len(found.images)} images" if empty else ""
    console.print(
        f"{len(found.scores)} boxes above {found.threshold:g}, of one class sharing {found.overlap:g} at most, "
        f"outputs {', '.join(found.outputs)}{nothing}."
    )


def _draw(found: Detections, path: Path) -> str:
    """Write one picture, or into a folder one an image; returns what was written."""
    if _is_picture(path):
        write_png(path, found.drawn(0, read_image(found.images[0])))
        return str(path)
    path.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(found.images):
        name = f"{number + 1:03}_{file_name(Path(image).stem)}.png"
        write_png(path / name, found.drawn(number, read_image(image)))
    return f"{len(found.images)} pictures in {path}"
