"""Source: a Darknet network opened: its layers, its weights, and how large its image is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..input_spec import checked
from .companion import find_pair
from .layers import layer_functions
from .reader import Section, Weights, read_cfg

_LARGEST_SIDE = 1 << 16  # pixels, or channels
# Options that change what a layer computes, and that are not translated.
_REFUSED = {
    "convolutional": ("antialiasing", "binary", "coordconv", "xnor"),
    "maxpool": ("antialiasing", "maxpool_depth", "maxpool_zero_nonmax"),
    "region": ("background", "map", "tree"),
    "reorg": ("extra", "flatten"),
    "reorg3d": ("reverse",),
    "shortcut": ("weights_type",),
    "softmax": ("spatial", "tree"),
}
_NOTHING = ("", "0", "none")


@dataclass(frozen=True)
class Source:
    """What an import starts from."""

    cfg: Path
    network: Section
    layers: list[Section]
    weights: Weights
    shape: tuple[int, int, int]  # channels, height, width of the image
    is_whole: bool  # whether these are all layers of the cfg


def open_source(
    path: Path, companion: Path | None, size: int | Sequence[int] | None = None, first_layers: str | None = None
) -> Source:
    """Find and read the two files of a network. Raises InputError when that is not possible, or a layer is unknown."""
    cfg, weights = find_pair(path, companion)
    network, *layers = read_cfg(cfg)
    count = len(layers) if first_layers is None else _count(first_layers, len(layers))
    layers = layers[:count]
    if not layers:
        raise InputError(f"{cfg}: expected layers, found nothing but [net]")
    _check_types(cfg, layers)
    return Source(cfg, network, layers, Weights(weights), _shape(cfg, network, size), first_layers is None)


def _count(text: str, layers: int) -> int:
    if not text.isdecimal() or not 0 < int(text) <= layers:
        raise InputError(f"first_layers expects a number from 1 to {layers}, found {text!r}")
    return int(text)


def _shape(cfg: Path, network: Section, size: int | Sequence[int] | None) -> tuple[int, int, int]:
    channels, height, width = (network.integer(key) for key in ("channels", "height", "width"))
    if size is not None:
        height, width = checked({"size": size})["size"]
    if not all(0 < side < _LARGEST_SIDE for side in (channels, height, width)):
        raise InputError(f"{cfg}: [net] expects channels, height, width above 0, found {channels}, {height}, {width}")
    return channels, height, width


def _check_types(cfg: Path, layers: Sequence[Section]) -> None:
    """Raise InputError when layers are not known or have options that are not; all of them are named."""
    known = layer_functions()
    found: dict[str, list[str]] = {}
    for layer in layers:
        for what in [f"[{layer.type}]"] if layer.type not in known else _refused(layer):
            found.setdefault(what, []).append(str(layer.index))
    if found:
        listed = "; ".join(f"{what} (layer {', '.join(indices)})" for what, indices in found.items())
        raise InputError(f"{cfg}: layers that onnxray cannot translate: {listed}")


def _refused(layer: Section) -> Iterator[str]:
    for option in _REFUSED.get(layer.type, ()):
        if layer.text(option) not in _NOTHING:
            yield f"[{layer.type}] with {option}={layer.text(option)}"
