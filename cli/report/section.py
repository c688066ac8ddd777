"""What every part of the report gives: values for the template, and the numbers for report.json."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    page: dict[str, Any]  # names that the template uses
    data: dict[str, Any]  # goes into report.json


@dataclass(frozen=True)
class Cell:
    """One cell of a sortable table."""

    text: str
    sort: float | str  # what the column is sorted by
    number: bool = False
    share: float | None = None  # percent of the column's largest value, drawn as a bar
    colour: str = ""  # of the dot before the text


def embed(picture: Image.Image) -> str:
    """A picture as a data URI: PNG where few colours make that small, JPEG for photographs."""
    file = io.BytesIO()
    if picture.getcolors(maxcolors=4096) is None:
        picture.save(file, "JPEG", quality=90)
        kind = "jpeg"
    else:
        picture.save(file, "PNG", optimize=True)
        kind = "png"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
