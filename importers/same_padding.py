"""The padding "SAME" of TensorFlow and Keras: every stride starts a full window."""

from __future__ import annotations


def same_padding(side: int, stride: int, reach: int) -> tuple[int, int]:
    """Places before and behind a side for windows that reach over so many; the odd one lies behind."""
    total = max((-(-side // stride) - 1) * stride + reach - side, 0)
    return total // 2, total - total // 2
