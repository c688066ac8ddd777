"""Layers to come."""

from __future__ import annotations

from . import LayerFunction

LAYERS: dict[str, LayerFunction] = {}
