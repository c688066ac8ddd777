"""Receptive fields: which pixels of the image each element of each tensor can depend on, exactly, over any DAG."""

from __future__ import annotations

from .fields import ReceptiveField
from .propagate import receptive_fields

__all__ = ["ReceptiveField", "receptive_fields"]
