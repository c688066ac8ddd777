"""Checks of methods' options: what a user can get wrong is said before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...importers.errors import InputError


def check_count(name: str, value: int, least: int = 1) -> None:
    """Raise InputError unless the option is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} expects a whole number of at least {least}, found {value!r}")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise InputError unless the option is one of these words."""
    known = list(choices)
    if value not in known:
        raise InputError(f"{name} expects {', '.join(known[:-1])} or {known[-1]}, found {value!r}")


def check_positive(name: str, value: float) -> None:
    """Raise InputError unless the option is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 < value < math.inf:
        raise InputError(f"{name} expects a number above 0, found {value!r}")
