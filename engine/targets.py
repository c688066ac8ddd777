"""What is explained: one number an image, read from a tensor of the network. Plain indexing, NumPy and torch alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .structure.classifier import find_classifier

if TYPE_CHECKING:
    from .model import Model


class Target(Protocol):
    """Anything that names a tensor and makes one number an image of its value."""

    def tensor(self, model: Model) -> str:
        """The tensor it reads. Raises InputError when the network has none such."""

    def score(self, value: Any) -> Any:
        """[N, …] array or torch tensor -> [N]."""


@dataclass(frozen=True)
class ClassScore:
    """A class's logit: what goes into the final softmax, or the output where the network has none."""

    index: int

    def tensor(self, model: Model) -> str:
        classifier = find_classifier(model.graph)
        assert classifier is not None
        return classifier.logits or classifier.output

    def score(self, value: Any) -> Any:
        return value.reshape(len(value), -1)[:, self.index]
