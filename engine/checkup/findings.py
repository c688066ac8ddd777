"""What a check-up finds."""

from __future__ import annotations

from dataclasses import dataclass

from ..results import Result
from .first_layers import FirstLayer

# Kind -> what the number of a finding is. In the order in which they are told.
KINDS: dict[str, str] = {
    "not finite": "mean, which is NaN or infinite",
    "dead": "largest value; its range where the activation function has no zero half",
    "always on": "standard deviation over the mean",
    "saturated": "share of places at the bound",
    "duplicate": "cosine of the filters",
    "aliasing": "share of the layer's answers to photos above what its stride can hold",
    "contrast": "length over the median filter's",
}


@dataclass(frozen=True)
class Finding:
    """One fault of one layer."""

    kind: str  # of KINDS
    layer: str  # whose channels they are
    tensor: str  # where the channels can be looked at
    channels: tuple[int, ...]  # of duplicates the first is the one that the others repeat
    values: tuple[float, ...]  # the number of each channel, as KINDS says; of duplicates the first has 1
    number: float  # the one that counts: the channels' worst, of aliasing the layer's mean
    threshold: float  # beyond which it is a fault

    @property
    def faulty(self) -> tuple[int, ...]:
        """The channels one could do without or must mend: of duplicates those behind the first."""
        return self.channels[1:] if self.kind == "duplicate" else self.channels


@dataclass(frozen=True)
class Checkup(Result):
    """The faults of a network, and how much was looked at."""

    model: str
    images: int
    units: int  # channels of activation functions
    filters: int  # of convolutions
    findings: tuple[Finding, ...]
    first_layers: tuple[FirstLayer, ...]  # those with a look at the image
    not_judged: tuple[str, ...]  # tensors of one value a channel and image: they need more images
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason

    @property
    def healthy(self) -> bool:
        """Nothing was found."""
        return not self.findings

    @property
    def rarest(self) -> float:
        """A unit that no image woke answers, with 95 % confidence, at most this share of such images: 3 / images."""
        return min(1.0, 3 / max(self.images, 1))
