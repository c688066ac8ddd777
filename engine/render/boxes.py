"""Boxes drawn on a picture, each with a word, in a colour for each class."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .lettering import fitting, font

_GOLDEN = 0.618034  # of the circle of hues: neighbouring classes are far apart on it
_LINE, _LETTERS = 300, 40  # the picture's longer side in widths of a line, the shorter in heights of a letter


@dataclass(frozen=True)
class LabelledBox:
    """What is drawn."""

    corners: tuple[float, float, float, float]  # left, top, right, bottom in pixels
    caption: str
    kind: int  # boxes of the same kind have the same colour


def boxes_on(picture: np.ndarray, boxes: Sequence[LabelledBox]) -> Image.Image:  # [H, W, 3], 0..255
    """The picture with these boxes, the first on top."""
    image = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    width = max(1, max(image.size) // _LINE)
    size = max(10, min(image.size) // _LETTERS)
    for box in reversed(boxes):
        colour = _colour(box.kind)
        left, top, right, bottom = (round(side) for side in box.corners)
        draw.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
        _caption(draw, box.caption, (left, top), size, colour)
    return image


def _caption(
    draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], size: int, colour: tuple[int, int, int]
) -> None:
    """Above the box where there is room, else inside."""
    letters, (left, top), room = font(size, True), corner, draw.im.size[0]
    shown = fitting(text, letters, room - size)
    length, height = letters.getlength(shown) + size // 2, round(size * 1.3)
    left = max(0, min(left, round(room - length)))
    top = top - height if top >= height else top
    draw.rectangle((left, top, left + length, top + height), fill=colour)
    draw.text((left + size // 4, top), shown, fill="white", font=letters)


def _colour(kind: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(kind * _GOLDEN % 1, 0.85, 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)
