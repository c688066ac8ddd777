"""Classes: their scores before the softmax, and their probabilities behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...importers.errors import InputError
from ..structure.classifier import Classifier, Kind, are_probabilities, find_classifier
from .target import Inputs, Target, check_index

if TYPE_CHECKING:
    from ..model import Model

Index = int | tuple[int, ...]  # one class for all images, or one an image


@dataclass(frozen=True)
class _OfClass(Target):
    """A class of the classifier's output, or one an image."""

    index: Index
    names: tuple[str, ...] = field(default=(), repr=False, compare=False)  # of all classes; found when it is settled

    @property
    def label(self) -> str:
        indices = dict.fromkeys(self.indices(len(self.index) if isinstance(self.index, tuple) else 1))
        return ", ".join(self._name(index) for index in indices)

    def labels(self, count: int) -> list[str]:
        return [self._name(index) for index in self.indices(count)]

    def settle(self, model: Model, inputs: Inputs) -> Target:
        return replace(self, names=model.labels)

    def _name(self, index: int) -> str:
        return f"{self.names[index]} ({index})" if index < len(self.names) else f"class {index}"

    def indices(self, count: int) -> tuple[int, ...]:
        """The class of each of so many images."""
        return self.index[:count] if isinstance(self.index, tuple) else (self.index,) * count

    def _checked(self, model: Model) -> Classifier:
        classifier = classifier_in(model)
        for index in self.index if isinstance(self.index, tuple) else (self.index,):
            check_index(index, classifier.classes, "class", "the network")
        return classifier

    def _pick(self, rows: Any) -> Any:  # [N, classes] -> [N]
        indices = self.indices(len(rows))
        for index in indices:
            check_index(index, rows.shape[1], "class", "the network")
        return rows[list(range(len(rows))), list(indices)]


@dataclass(frozen=True)
class ClassScore(_OfClass):
    """A class's logit: what goes into the final softmax or sigmoid, or the output where the network has neither."""

    def tensor(self, model: Model) -> str:
        classifier = self._checked(model)
        return classifier.logits or classifier.output

    def score(self, value: Any) -> Any:
        return self._pick(_rows(value))

    def channels(self) -> tuple[int, ...] | None:
        return tuple(sorted(set(self.index if isinstance(self.index, tuple) else (self.index,))))

    def note(self, model: Model) -> str:
        classifier = classifier_in(model)
        if classifier.logits is None:
            return f"the score is the output {classifier.output} as it is; the graph has no softmax at its end"
        return f"the final {classifier.kind} is cut off: the score is the logit that enters it ({classifier.logits})"


@dataclass(frozen=True)
class ClassProbability(_OfClass):
    """A class's probability: behind the final softmax or sigmoid, which is taken here where the graph has none.

    Its gradient is as small as the network is sure; `ClassScore` does not fade.
    """

    kind: Kind | None = field(default=None, repr=False, compare=False)  # how the output is made; found when settled

    def tensor(self, model: Model) -> str:
        return self._checked(model).output

    def settle(self, model: Model, inputs: Inputs) -> Target:
        return replace(self, names=model.labels, kind=classifier_in(model).kind)

    def score(self, value: Any) -> Any:
        rows = _rows(value)
        if self.kind == "log-softmax":
            rows = math.e**rows
        elif self.kind not in ("softmax", "sigmoid") and not are_probabilities(rows):
            rows = _softmax(rows)
        return self._pick(rows)

    def note(self, model: Model) -> str:
        classifier = classifier_in(model)
        if classifier.kind == "open":
            return f"the score is the softmax of {classifier.output}, unless that is probabilities already"
        return f"the score is the probability behind the final {classifier.kind}"

    def _name(self, index: int) -> str:
        return f"probability of {super()._name(index)}"


@dataclass(frozen=True)
class TopClass(Target):
    """The score of the class that the network itself puts first, which may be another one for every image."""

    @property
    def label(self) -> str:
        return "the first class"

    def tensor(self, model: Model) -> str:
        return ClassScore(0).tensor(model)

    def score(self, value: Any) -> Any:
        rows = _rows(value)
        return rows[list(range(len(rows))), rows.argmax(1)]

    def note(self, model: Model) -> str:
        return ClassScore(0).note(model)

    def settle(self, model: Model, inputs: Inputs) -> Target:
        tensor = self.tensor(model)
        rows = _rows(model.session().run(inputs, [tensor])[tensor])
        return self.chosen(rows.argmax(1), model)

    @staticmethod
    def chosen(indices: Any, model: Model) -> ClassScore:  # indices: [N] integers
        """The scores of these classes, one an image."""
        return ClassScore(tuple(int(index) for index in indices), model.labels)


def classifier_in(model: Model) -> Classifier:
    """The network's classifier output.

    Raises InputError when it has none.
    """
    classifier = find_classifier(model.graph)
    if classifier is None:
        outputs = ", ".join(f"{name} {list(model.graph.shape(name) or ['?'])}" for name in model.graph.outputs)
        raise InputError(
            f"the network has no output [images, classes], it gives {outputs}: "
            "say what to explain, a channel such as LAYER:17, say"
        )
    return classifier


def _rows(value: Any) -> Any:  # [N, classes]
    return value.reshape(len(value), -1)


def _softmax(rows: Any) -> Any:
    largest = rows[list(range(len(rows))), rows.argmax(1)]
    powers = math.e ** (rows - largest[:, None])
    return powers / powers.sum(1)[:, None]
