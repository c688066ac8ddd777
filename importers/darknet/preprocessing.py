"""InputSpec of a Darknet network: Darknet prepares every image alike."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..heads import Head
from ..input_spec import InputSpec
from ..labels import read_labels
from .source import Source
from .translate import INPUT

_CUSTOM = "Darknet's way with images"


def input_spec(source: Source, heads: Sequence[Head]) -> InputSpec:
    """Pixels 0..1, red first. Detectors see the whole image, classifiers its middle; names lie beside, if anywhere."""
    channels, height, width = source.shape
    spec = InputSpec(input=INPUT).override(source.cfg.name, size=(height, width))
    spec = spec.override(_CUSTOM, layout="NCHW", mean=(0.0,), scale=(1 / 255,))
    spec = spec.override(_CUSTOM, channel_order="GREY" if channels == 1 else "RGB")
    if not heads:
        spec = spec.override("Darknet's classifiers", resize="crop", crop_fraction=1.0)
    elif source.network.integer("letter_box"):
        spec = spec.override(f"{source.cfg.name} asks for borders (letter_box), which we cannot make", resize="stretch")
    else:
        spec = spec.override("Darknet's detectors", resize="stretch")
    return _with_labels(spec, source, heads)


def _with_labels(spec: InputSpec, source: Source, heads: Sequence[Head]) -> InputSpec:
    """The names of the only file *.names beside the cfg, where they are as many as a head has classes."""
    found = sorted(source.cfg.parent.glob("*.names"))
    if len(found) != 1 or not heads:
        return spec
    try:
        labels = read_labels(found[0])
    except InputError:
        return spec  # a neighbour that cannot be read says nothing
    return spec.override(f"{found[0].name} beside it", labels=labels) if len(labels) == heads[0].classes else spec
