"""Sweeps over a tensor inside the network against onnxruntime, which runs all of the network that is behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxray
import pytest
import tiny_models
import torch
import torchvision_networks as networks
from onnxray.engine.incremental.plan import Plan
from onnxray.engine.incremental.sweep import Sweep
from onnxray.engine.model import Model
from onnxray.engine.remainder import remainder
from onnxray.engine.structure.places import is_feature_map

NEAR = 2e-5  # of the output's range: rounding of torch and onnxruntime, which sum in different orders


def against_onnxruntime(model: Model, image: np.ndarray, tensor: str, count: int = 3) -> list[Plan]:
    """Random patches of a quarter of the tensor's sides, at the corners and somewhere; returns the plans."""
    (wanted,) = model.graph.outputs
    rest = remainder(model, tensor, wanted)
    values = model.session().run(image, [tensor, wanted, *rest.beside])
    clean, random = values[tensor], np.random.default_rng(0)
    patch = tuple(max(1, size // 4) for size in clean.shape[2:])
    most = np.array(clean.shape[2:]) - patch
    at = np.concatenate([[[0, 0], most], random.integers(0, most + 1, (count, 2))])
    patches = random.normal(0, clean.std(), (len(at), clean.shape[1], *patch)).astype(np.float32)
    versions = clean.repeat(len(at), 0)
    for version, (top, left), piece in zip(versions, at, patches, strict=True):
        version[:, top : top + patch[0], left : left + patch[1]] = piece
    expected = rest.run(versions, values)
    sweep = Sweep(model, [wanted], image, at, (patch[0], patch[1]), changed=tensor)
    np.testing.assert_allclose(sweep.clean, clean, atol=1e-4 * np.abs(clean).max())
    found = np.full_like(expected, np.nan)
    for numbers, (value,) in sweep.run(lambda numbers: torch.from_numpy(patches[numbers]), lambda plan: 2):
        found[numbers] = value.numpy()
    assert np.abs(found - expected).max() <= NEAR * max(np.ptp(expected), np.abs(expected).max())
    return [plan for _, plan in sweep.plans]


# Sums, depthwise and squeezed channels, and maps as output.
ARCHITECTURES = ("resnet18", "efficientnet_b0", "unet")
TENSORS = 3  # of each


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tensors_of_real_architectures(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    exporter = networks.ARCHITECTURES[name].exporters[-1]
    model = onnxray.load(networks.exported(name, exporter, tmp_path_factory.getbasetemp(), any_batch=True))
    made = (node.outputs[0] for node in model.graph.nodes)
    maps = [tensor for tensor in made if is_feature_map(model.graph, tensor) and tensor not in model.graph.outputs]
    for tensor in maps[2 :: len(maps) // TENSORS]:
        plans = against_onnxruntime(model, networks.images(name, 1).numpy(), tensor)
        assert all(plan.incremental_macs <= plan.macs for plan in plans)


BRANCHES = {
    "a sum with what does not change": "s = Add (inner, before) o = Conv <pads = [1, 1, 1, 1]> (s, v) y = Relu (o)",
    "channels of both": "c = Concat <axis = 1> (before, inner) o = Conv <pads = [1, 1, 1, 1]> (c, u) y = Relu (o)",
    "several times": "a = Concat <axis = 1> (inner, before) b = Add (inner, before) c = Mul (b, before) "
    "o = Conv <pads = [1, 1, 1, 1]> (a, u) p = Conv <pads = [1, 1, 1, 1]> (c, v) y = Add (o, p)",
    "a gate": "g = GlobalAveragePool (before) m = Mul (inner, g) o = Conv <pads = [1, 1, 1, 1]> (m, v) y = Relu (o)",
    "the whole beside": "i = GlobalMaxPool (inner) y = Add (i, before)",
    "a shape of what does not change": "h = Shape (before) f = Reshape (inner, h) o = Conv (f, v) y = Relu (o)",
}


@pytest.mark.parametrize("text", BRANCHES.values(), ids=list(BRANCHES))
def test_what_passes_by(text: str) -> None:
    model = Model(
        tiny_models.model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        inside (float[N, 3, 12, 14] image) => (float[N, C, H, W] y)
        <float[8, 3, 3, 3] w, float[8, 8, 3, 3] v, float[8, 16, 3, 3] u>
        {{
            first = Conv <pads = [1, 1, 1, 1]> (image, w)
            before = Relu (first)
            second = Conv <pads = [1, 1, 1, 1]> (before, v)
            inner = Relu (second)
            {text}
        }}"""),
        Path("inside.onnx"),
    )
    image = np.random.default_rng(1).normal(size=(1, 3, 12, 14)).astype(np.float32)
    against_onnxruntime(model, image, "inner", 6)


def test_windows_are_what_is_computed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing before the tensor is counted; behind it less than all is computed."""
    model = onnxray.load(networks.exported("resnet18", "legacy", tmp_path_factory.getbasetemp(), any_batch=True))
    convolutions = [node for node in model.graph.nodes if node.op == "Conv"]
    image = networks.images("resnet18", 1).numpy()
    plans = against_onnxruntime(model, image, convolutions[3].outputs[0])
    assert all(len(plan.lines) == len(convolutions) - 4 for plan in plans)
    assert all(plan.incremental_macs < 0.8 * plan.macs for plan in plans)
