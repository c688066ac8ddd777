"""Sides of the images that networks are trained on: worth trying where a file leaves the size of its input open."""

from __future__ import annotations

# The most common first.
USUAL_SIDES = (
    *(224, 227, 28, 32, 256, 299, 64, 96, 112, 128, 160, 192, 231, 240, 300, 320, 321, 384, 416, 448, 480, 512),
    *(24, 48),
)
