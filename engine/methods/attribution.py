"""Attribution: which pixels a network's answer depends on; the result of saliency, grad_cam and their like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from .. import quantities
from ..render.heatmap import Heat, heat_sheet
from ..results import Result, saved_files, write_png
from ..targets import Target
from .predict import Predictions

if TYPE_CHECKING:
    import PIL.Image

FOR_OR_AGAINST = ("against", "for")  # what the first and last colour of a signed map mean
PER_GREY_LEVEL, PER_INPUT = "score per grey level", "score per unit of input"  # units of gradients
OF_FEATURES = "activation"  # of maps that are added up feature maps
_SCALE = "every image on its own scale"


@dataclass(frozen=True)
class Attribution(Result):
    """For every image and target a row: a map of how much each pixel matters for a score."""

    method: str
    images: tuple[str, ...]  # [R] paths
    pictures: np.ndarray = field(repr=False)  # [R, H, W, 3] uint8: the network's input, made visible again
    maps: np.ndarray = field(repr=False)  # [R, H, W] float32
    raw: np.ndarray | None = field(repr=False)  # [R, …] before it became a map of pixels; None: layers of several sizes
    signed: bool  # whether values below 0 mean something
    meaning: str  # what a map's values are
    units: str  # and in what they are measured; "": in nothing
    ends: tuple[str, str]  # what the first and last colour mean
    targets: tuple[str, ...]  # [R] what was explained
    scores: np.ndarray  # [R] float32
    probabilities: np.ndarray | None  # [R] of the target's class; None: the target is no class
    gap: np.ndarray | None  # [R] by how much the raw values' sum misses the score's change; None: no method of sums
    predictions: Predictions | None  # an image each; None: the network is no classifier
    layer: str  # the tensor that was looked at
    settings: Mapping[str, Any]  # the method's options, seeds among them
    notes: tuple[str, ...]  # what the reader must know
    certificate: str  # how closely the gradients' network agrees with onnxruntime
    certified: bool
    source: Mapping[str, Any]  # the model's file: format, hash, versions of what read it
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason
    stopped: str = ""  # how far it came, where it was told to stop before the end

    def heats(self) -> list[Heat]:
        """Every map beside its picture, to be painted."""
        return [Heat(picture, values, self.signed) for picture, values in zip(self.pictures, self.maps, strict=True)]

    def rows(self, chosen: Sequence[int]) -> Attribution:
        """The same with some of the rows only."""
        part = list(chosen)
        arrays = {name: getattr(self, name) for name in ("pictures", "maps", "raw", "scores", "probabilities", "gap")}
        return replace(
            self,
            **{name: value[part] for name, value in arrays.items() if value is not None},
            images=tuple(self.images[row] for row in part),
            targets=tuple(self.targets[row] for row in part),
        )

    @property
    def smooth(self) -> bool:
        """Whether a map has the detail of places, not of pixels: it is best seen over the picture."""
        return self.raw is None or self.raw.ndim == 3

    def sheet(self, title: str = "") -> PIL.Image.Image:
        """All rows below each other: the picture, its map, and the map over the picture."""
        heats = self.heats()
        captions = [self._caption(row, heat) for row, heat in enumerate(heats)]
        subtitle = f"{self.layer}: {self.meaning}"
        return heat_sheet(heats, captions, title or self.method, subtitle, (*self.ends, _SCALE))

    def save(self, path: str | Path) -> None:
        """PATH.npz and PATH.json as of Result, and of every row its map alone, PATH.1.map.png, and over the picture,
        PATH.1.overlay.png."""
        super().save(path)
        stem = saved_files(path)[0].with_suffix("")
        for row, heat in enumerate(self.heats(), 1):
            for kind, pixels in (("map", heat.colours), ("overlay", heat.overlay)):
                write_png(stem.with_name(f"{stem.name}.{row}.{kind}.png"), Image.fromarray(pixels))

    def _caption(self, row: int, heat: Heat) -> tuple[str, str, str]:
        probability = "" if self.probabilities is None else f"probability {quantities.share(self.probabilities[row])}, "
        explained = f"{self.targets[row]}\n{heat.extent(self.units)}"
        return Path(self.images[row]).name, explained, f"{probability}score {self.scores[row]:.4g}"


@dataclass(frozen=True)
class Maps:
    """What a method makes of a batch of n images."""

    scores: np.ndarray  # [n]
    maps: np.ndarray  # [n, H, W]
    layer: str  # the tensor that was looked at
    raw: np.ndarray | None = None  # [n, …] as the method computes it; None: the maps are
    gap: np.ndarray | None = None  # [n] as of Attribution
    stopped: str = ""  # as of Attribution


Explain = Callable[[np.ndarray, Target], Maps]  # a batch of the network's input, a target that is settled for it

Report = Callable[[float], None]  # called with the share of a batch that is done; may raise Stop


class Stop(Exception):
    """Raised by a progress function: what is done so far is the result."""


@dataclass(frozen=True)
class Together:
    """Explains a batch for all targets at once, which share the work."""

    explain: Callable[[np.ndarray, Sequence[Target], Report], list[Maps]]


@dataclass(frozen=True)
class Method:
    """What sets one method apart from the next."""

    name: str
    meaning: str  # what a map's values are
    explain: Explain | Together
    signed: bool = False
    units: str = "score"  # and in what they are measured
    ends: tuple[str, str] = ("0", "most")  # what the first and last colour mean
    settings: Mapping[str, Any] = field(default_factory=dict)  # options to be recorded
    notes: tuple[str, ...] = ()  # what the reader must know
    needs: Literal["onnxruntime", "torch", "gradients"] = "gradients"  # the certificate is of torch's values, of both


class CertificateWarning(UserWarning):
    """The network that the gradients are taken of does not agree with onnxruntime's."""
