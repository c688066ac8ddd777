"""The C++ form: the reference's functions on contiguous arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arrays import Array, host

if TYPE_CHECKING:
    from .window import Geometry


def unpool(geometry: Geometry, y: Array, switches: Array, out: Array, overwrite: bool, relu: bool) -> None:
    from .. import _native

    _native.unpool.unpool(geometry.numbers(), host(y), host(switches), host(out), overwrite, relu)


def values_at(geometry: Geometry, x: Array, switches: Array, values: Array) -> None:
    from .. import _native

    _native.unpool.values_at(geometry.numbers(), host(x), host(switches), host(values))


def first_invalid(geometry: Geometry, switches: Array) -> int:
    from .. import _native

    return _native.unpool.first_invalid(geometry.numbers(), host(switches))


def switches_of_places(geometry: Geometry, places: Array, switches: Array) -> int:
    from .. import _native

    return _native.unpool.switches_of_places(geometry.numbers(), host(places), host(switches))
