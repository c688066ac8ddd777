"""A hundred gradients leave nothing behind: neither memory nor tensors, whatever rule and target, errors included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tiny_models
from leaks import assert_nothing_is_left, live_tensors
from onnxray.engine.gradient.rules import DECONVNET, GUIDED, PLAIN
from onnxray.engine.targets import ClassScore

SIDE = 96
IMAGES = np.random.default_rng(0).normal(size=(8, 1, SIDE, SIDE)).astype(np.float32)


class Failing(ClassScore):
    """A target that breaks in the middle of a run."""

    def score(self, value: Any) -> Any:
        raise ArithmeticError


@pytest.fixture
def model(tmp_path: Path) -> onnxray.Model:
    text = tiny_models.CONV_NET.replace("8, 8]", f"{SIDE}, {SIDE}]").replace("[3, 32]", f"[3, {2 * (SIDE // 2) ** 2}]")
    return onnxray.load(tiny_models.save(tmp_path / "tiny.onnx", text))


def all_rules(model: onnxray.Model) -> None:
    for rule in (PLAIN, DECONVNET, GUIDED):
        model.torch().gradients(IMAGES, ClassScore(1), ["image"], rule)


def inner_tensors(model: onnxray.Model) -> None:
    model.torch().gradients(IMAGES, [ClassScore(index % 3) for index in range(8)], ["relu1", "image", "conv1"])


def failures(model: onnxray.Model) -> None:
    with pytest.raises(ArithmeticError):
        model.torch().gradients(IMAGES, Failing(0), ["image"], GUIDED)


@pytest.mark.parametrize("call", [all_rules, inner_tensors, failures])
def test_nothing_is_left(model: onnxray.Model, call: Callable[[onnxray.Model], None]) -> None:
    assert_nothing_is_left(lambda: call(model), IMAGES.nbytes)


def test_variants_are_not_hoarded(model: onnxray.Model) -> None:
    """Those of ever new tensors and rules replace the oldest."""
    names = ["conv1", "relu1", "pool1", "flat", "logits", "scores"]
    network = model.torch()

    def ask_for_many() -> None:
        for first in names:
            for second in names:
                network.run(IMAGES[:1], [first, second])

    ask_for_many()
    tensors = live_tensors()
    ask_for_many()
    assert live_tensors() == tensors
