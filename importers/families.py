"""Tables of a format's layers or operators, a module a family, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any


def merged(package: str, families: Sequence[str], table: str) -> dict[str, Any]:
    """What the modules of a package have under that name. Raises ValueError when two of them claim a key."""
    found: dict[str, Any] = {}
    for family in families:
        for kind, function in getattr(import_module(f".{family}", package), table).items():
            if kind in found:
                raise ValueError(f"two functions translate {kind}")
            found[kind] = function
    return found
