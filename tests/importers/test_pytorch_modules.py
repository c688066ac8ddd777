"""Random modules, plain, traced and scripted: the graph computes what torch computes, or the refusal names why not.

ONNXRAY_CASES=2000 draws that many, by both of torch's exporters; figures of such a run stand in docs/pytorch.md.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnxray.importers.certificate import BAR, compare_arrays, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.pytorch import exporting
from pytorch_modules import Draw, Shape, ending, first_shape, layer
from torch import Tensor, nn

pytestmark = pytest.mark.filterwarnings("ignore")  # of what some of the drawn layers are used for
CASES = int(os.environ.get("ONNXRAY_CASES", "100"))
FIRST = int(os.environ.get("ONNXRAY_FIRST_CASE", "0"))
BLOCK = 25  # cases in a test


def draw_module(seed: int) -> tuple[nn.Module, Tensor]:
    """A module of one to four layers that runs on the input, its numbers as those of a trained one."""
    draw = Draw(seed)
    torch.manual_seed(seed)
    shape: Shape = first_shape(draw)
    x = value = torch.randn(1, *shape)
    layers: list[nn.Module] = []
    wanted = draw.number(1, 4)
    while len(layers) < wanted:
        candidate = _settled(layer(draw, tuple(value.shape[1:])))
        try:
            made = candidate(value)
        except (RuntimeError, ValueError):
            continue  # the kernel is larger than the image, or its like
        if made.numel() and made.numel() < 1 << 16 and _is_spread(made):
            layers.append(candidate)
            value = made
    return nn.Sequential(*layers, *ending(draw, tuple(value.shape[1:]))).eval(), x


def _is_spread(value: Tensor) -> bool:
    """Finite, and no constant plus rounding: what normalisation makes of that is noise."""
    return bool(value.isfinite().all()) and float(value.max() - value.min()) > 1e-3


def _settled(module: nn.Module) -> nn.Module:
    """Statistics and scales away from zero and one."""
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.ndim == 1 and tensor.is_floating_point():
                tensor.normal_(0.2, 0.5)
    return module.eval()


def _wrapped(module: nn.Module, x: Tensor, seed: int) -> nn.Module:
    if seed % 3 == 1:
        return torch.jit.trace(module, x)
    try:
        return torch.jit.script(module) if seed % 3 == 2 else module
    except RuntimeError:
        return module  # torch's compiler confuses two of its own classes now and then


def outcome(seed: int) -> str:
    """ "equal", or the reason of the refusal."""
    module, x = draw_module(seed)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            proto = onnx.load_from_string(exporting.to_onnx(_wrapped(module, x, seed), None, {"": x.shape}))
        except InputError as error:
            return str(error)
        other = torch.randn(x.shape)
        theirs = module(other).numpy()
    (ours,) = run_onnx(proto, {proto.graph.input[0].name: other.numpy()}, [proto.graph.output[0].name]).values()
    assert np.isfinite(theirs).all()
    assert compare_arrays("output", theirs, ours).relative <= BAR, f"seed {seed}: {module}"
    return "equal"


@pytest.mark.parametrize("first", range(FIRST, FIRST + CASES, BLOCK))
def test_random_modules(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if first > FIRST and "ONNXRAY_CASES" not in os.environ:  # the second exporter takes seconds a case
        monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    outcomes = {seed: outcome(seed) for seed in range(first, min(first + BLOCK, FIRST + CASES))}
    refused = {seed: text for seed, text in outcomes.items() if text != "equal"}
    for seed, text in refused.items():
        assert "torch cannot write this module as ONNX" in text and "away from torch" not in text, (seed, text)
    assert len(refused) <= len(outcomes) // 5, refused
