"""Numbers as people read them: 1.24 M, 15.5 G, 48.2 MB."""

from __future__ import annotations


def count(value: float | None) -> str:
    """A count with three digits and a decimal prefix; "?" for what is not known.

    >>> count(1235496), count(0), count(None)
    ('1.24 M', '0', '?')
    """
    return "?" if value is None else _scaled(value, 1000, ("", " k", " M", " G", " T", " P"))


def size(value: float | None) -> str:
    """Bytes with a binary prefix.

    >>> size(4956901)
    '4.73 MiB'
    """
    return "?" if value is None else _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"))


def share(value: float) -> str:
    """A fraction as a percentage: '0.2 %'."""
    return f"{100 * value:.1f} %"


def shape(dims: tuple[int | None, ...] | None) -> str:
    """1×64×56×56, with ? for an unknown dimension."""
    return "?" if dims is None else "×".join("?" if size is None else str(size) for size in dims)


def _scaled(value: float, base: int, prefixes: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= base - 0.5 and step < len(prefixes) - 1:
        value /= base
        step += 1
    decimals = 0 if step == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    digits = f"{value:.{decimals}f}"
    return (digits.rstrip("0").rstrip(".") if decimals else digits) + prefixes[step]
