"""Small graphs written as text, run by the bridge and by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tiny_models
import torch
from onnxray.engine.gradient.torch_model import TorchModel
from onnxray.engine.model import Model, load

HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'


def graph_model(tmp_path: Path, text: str) -> Model:
    return load(tiny_models.save(tmp_path / "net.onnx", HEADER + text))


def random_feeds(model: Model, seed: int = 1, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    sizes = {**model.input_shapes, **shapes}
    return {name: generator.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def as_onnxruntime(path: Path, feeds: Mapping[str, np.ndarray], names: list[str] | None = None) -> list[Any]:
    """What onnxruntime makes of the file as it was written, untouched by us."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return list(onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"]).run(names, dict(feeds)))


def check_bridge(model: Model, feeds: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Same outputs, in the same order; and the gradient of what they sum up to is what differences say."""
    feeds = random_feeds(model) if feeds is None else feeds
    found = model.torch().run(feeds)
    names = [value.name for value in onnx.load(model.path).graph.output]
    assert list(found) == list(dict.fromkeys(names))
    for name, expected in zip(names, as_onnxruntime(model.path, feeds), strict=True):
        np.testing.assert_allclose(found[name], expected, 1e-4, 1e-5)
        assert found[name].dtype == expected.dtype
    check_gradient(model, feeds)
    return found


def check_gradient(model: Model, feeds: Mapping[str, np.ndarray]) -> None:
    """Float64 derivatives along a random direction, against differences of the module itself, which agrees forward."""
    bridge = TorchModel(model, torch.float64)
    given = {name: torch.tensor(value) for name, value in feeds.items()}
    real = [name for name, value in given.items() if value.is_floating_point()]
    given |= {name: given[name].double().requires_grad_() for name in real}
    outputs = list(dict.fromkeys(model.graph.outputs))

    def score(values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        results = bridge.forward(values, outputs).values()
        return sum((value.sin().sum() for value in results if value.is_floating_point()), torch.zeros(()))

    gradients = torch.autograd.grad(score(given), [given[name] for name in real], allow_unused=True)
    generator = torch.Generator().manual_seed(5)
    directions = {name: torch.randn(given[name].shape, generator=generator, dtype=torch.float64) for name in real}
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (
            score({**given, **{name: given[name] + sign * step * directions[name] for name in real}})
            for sign in (1, -1)
        )
    along = sum(
        (gradient * directions[name]).sum()
        for name, gradient in zip(real, gradients, strict=True)
        if gradient is not None
    )
    np.testing.assert_allclose(float(along), float(ahead - behind) / (2 * step), 1e-5, 1e-7)
