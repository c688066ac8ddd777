"""Colour maps: a number becomes a colour. Five tables, kept as the colours of equally spaced points."""

from __future__ import annotations

from functools import cache

import numpy as np

from ...importers.errors import InputError, nearest_names

# Name -> hex colours at equally spaced points from low to high; between two points the colour is interpolated.
# viridis and inferno (N. Smith and S. van der Walt, CC0) and turbo (A. Mikhailov, Apache-2.0) are sampled at every
# fifth entry of their 256, which reproduces the others to one part in 255. diverging is ColorBrewer's RdBu
# (C. Brewer, Apache-2.0), blue for negative, near-white for zero, red for positive.
COLORMAPS: dict[str, str] = {
    "grey": "000000ffffff",
    "viridis": (
        "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b38598c355e8d33638d31688e"
        "2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc74"
        "46c06f50c46a5ac86465cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"
    ),
    "inferno": (
        "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e61136e69166e71196e781c6d"
        "801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed6925f1711f"
        "f47918f78212f98b0bfa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4"
    ),
    "turbo": (
        "30123b36215f3b2f803f3e9c424bb54559cb4666dd4773eb4680f6458cfd4099ff38a5fb2fb2f427bee91fc9dd1ad4d018ddc21ae4b6"
        "22ebaa2ff19b3ff68a52fa7a65fd6979fe598bff4b9cfe40a9fb39b7f735c3f134d0ea34dbe236e5d938eecf3af5c53afaba39fdae35"
        "fea130fe932afc8423f9751df46617ef5811e84b0ce14109d83706ce2d04c32503b71d02a916019b0f018b09027a0403"
    ),
    "diverging": "0530612166ac4393c392c5ded1e5f0f7f7f7fddbc7f4a582d6604db2182b67001f",
}
ZERO_CENTRED = frozenset({"diverging"})  # their middle means zero: the range is symmetric unless it is given
MISSING = (128, 128, 128)  # the colour of NaN


def apply(
    array: np.ndarray,  # [..., H, W] numbers
    name: str = "grey",
    low: float | None = None,  # the value painted with the first colour; None: the smallest finite one
    high: float | None = None,  # likewise the last
) -> np.ndarray:  # [..., H, W, 3] uint8
    """Paint an array; values outside low..high get the end colours, NaN is mid-grey, a constant array the first colour.

    Raises InputError when there is no such colour map.
    """
    values = np.asarray(array, np.float64)
    bounds = value_range(values, name in ZERO_CENTRED)
    low, high = (bounds[0] if low is None else low), (bounds[1] if high is None else high)
    span = high - low if high > low else 1.0
    position = np.nan_to_num((np.clip(values, low, high) - low) * (255 / span))
    colours = table(name)[np.rint(position).astype(np.intp)]
    colours[np.isnan(values)] = MISSING
    return colours


def value_range(values: np.ndarray, zero_centred: bool = False) -> tuple[float, float]:
    """The smallest and largest finite value, or (-m, m) with the largest magnitude m; (0, 0) when nothing is finite."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    if zero_centred:
        high = max(-low, high)
        low = -high
    return low, high


@cache
def table(name: str) -> np.ndarray:  # [256, 3] uint8
    """The 256 colours of a map.

    Raises InputError when there is no such colour map.
    """
    if name not in COLORMAPS:
        raise InputError(f"no colour map {name!r}; {nearest_names(name, COLORMAPS)}")
    points = np.frombuffer(bytes.fromhex(COLORMAPS[name]), np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(points))
    return np.stack([np.rint(np.interp(np.arange(256), places, points[:, c])) for c in range(3)], 1).astype(np.uint8)
