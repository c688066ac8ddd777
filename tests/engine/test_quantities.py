"""Numbers as people read them."""

from __future__ import annotations

import pytest
from onnxray.engine import quantities


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (999_999, "1 M"),
        (138357544, "138 M"),
        (15470264320, "15.5 G"),
        (None, "?"),
    ],
)
def test_counts(value: int | None, text: str) -> None:
    assert quantities.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 30, "3 GiB")])
def test_sizes(value: int, text: str) -> None:
    assert quantities.size(value) == text


def test_shapes() -> None:
    assert quantities.shape((1, None, 7)) == "1×?×7"
    assert quantities.shape(None) == "?"
