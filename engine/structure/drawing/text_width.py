"""How wide a text will be, without a font: the widths of Helvetica, which Arial and Liberation Sans share."""

from __future__ import annotations

_WIDTHS = {  # thousandths of the type size
    **dict.fromkeys("ijl'|", 222),
    **dict.fromkeys(" !,./:;ftI[]\\", 278),
    **dict.fromkeys("()-r`·", 333),
    **dict.fromkeys("csvxyzkJ", 500),
    **dict.fromkeys("ABEKPSVXY&", 667),
    **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("GOQ", 778),
    **dict.fromkeys("mM", 833),
    **dict.fromkeys("FTZ", 611),
    **dict.fromkeys("+<=>~×", 584),
    **dict.fromkeys("W…@", 1000),
    "%": 889,
}


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in points of a text set in `size` points. Letters of other scripts count as square."""
    units = sum(_WIDTHS.get(letter, 556 if letter < "ʰ" else 1000) for letter in text)
    return units * size / 1000 * (1.06 if bold else 1.0)
