"""Random Caffe2 operators against what their documentation says, in both orders of axes.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tiny_caffe2
from caffe2_cases import CASES, Case
from coreml_cases import Draw
from onnxray.importers.channels_last import channels_first
from onnxray.importers.errors import InputError
from tiny_caffe2 import noise, operator

COUNT = int(os.environ.get("ONNXRAY_CASES", "140"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))
BATCHES = 7


def check(case: Case, folder: Path) -> None:
    """Images enter and leave with channels first, whatever the file's order."""
    names = [f"x{at}" for at in range(len(case.inputs))]
    made = [f"y{at}" for at in range(len(case.outputs))]
    entry = operator(case.kind, ",".join(names), ",".join(made), **case.arguments)
    stored = {names[at]: case.inputs[at] for at in case.stored if at < len(names)}
    fed = {name: x for name, x in zip(names, case.inputs, strict=True) if name not in stored}
    if not fed:  # the first input is one even where an init_net fills it
        fed = {names[0]: stored.pop(names[0])}
    turned = case.arguments.get("order") == "NHWC"
    if turned or case.kind == "NHWC2NCHW":
        fed = {name: channels_first(x) if x.ndim == 4 else x for name, x in fed.items()}
    proto = tiny_caffe2.opened(folder, [entry], stored, made, shapes={name: x.shape for name, x in fed.items()})
    found = tiny_caffe2.run(proto, fed)
    for ours, expected in zip(found, case.outputs, strict=True):
        wanted = channels_first(expected) if (turned or case.kind == "NCHW2NHWC") and expected.ndim == 4 else expected
        assert ours.shape == wanted.shape
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(wanted).max())))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_operators_compute_what_caffe2_does(tmp_path: Path, batch: int) -> None:
    for seed in range(SEED + batch, SEED + COUNT, BATCHES):
        name = list(CASES)[seed % len(CASES)]
        case = CASES[name](Draw(seed))
        try:
            check(case, tmp_path)
        except (AssertionError, InputError) as error:
            raise AssertionError(f"seed {seed}, {case.kind} {case.arguments}: {error}") from error


REFUSED = [
    (operator("SpatialBN", "x,a,a,a,a"), "set up for training"),
    (operator("Conv", "x,w", kernel=3), "do not fit 4 channels"),
    (operator("Conv", "x,w", kernel=1, group=3), "do not fit 4 channels"),
    (operator("Conv", "x,w,a", kernel=1, stride=0), "stride: expected 2 numbers above 0"),
    (operator("Conv", "x,w,b", kernel=1), "expected 2 numbers in b, found .3."),
    (operator("Conv", "x,w", kernel=1, legacy_pad=7), "expected a legacy_pad of 0 to 3, found 7"),
    (operator("MaxPool"), "kernel: expected 2 numbers above 0"),
    (operator("MaxPool", kernel=2, pad=2), "some windows have no pixel"),
    (operator("MaxPool", kernel=2, dilation=2), "dilated pooling"),
    (operator("LRN", size=4), "expected an odd size"),
    (operator("FC", "x,w,b"), "the matrix 2x4 does not fit its input"),
    (operator("Concat", "x,w", axis=9), "axis 9 is outside"),
    (operator("Split", makes="y,z,v", axis=1), "cannot be cut into 3 outputs"),
    (operator("Reshape", makes="y,old", shape=[7, 7]), r"cannot take the shape \[7, 7\]"),
    (operator("Transpose", axes=[0, 0, 1, 2]), "expected an order of 4 axes"),
    (operator("ChannelShuffle", group=3), "4 channels do not divide into 3 groups"),
    (operator("ResizeNearest", height_scale=0.0), "expected factors above 0"),
    (operator("ResizeNearest", "x,b"), "factors that are another blob's"),
    (operator("Tile", tiles=1 << 40), "expected a stated count"),
    (operator("Add", "x,m", broadcast=1, axis=3), "does not fit"),
    (operator("PadImage", mode="mirror"), "expected the mode constant, reflect or edge, found mirror"),
]


@pytest.mark.parametrize(("entry", "said"), REFUSED)
def test_what_an_operator_cannot_be_is_said(tmp_path: Path, entry: object, said: str) -> None:
    blobs = {"w": noise(2, 4, 1, 1), "a": noise(4), "b": noise(3), "m": noise(5, 6)}
    with pytest.raises(InputError, match=rf"layer y \(\w+\): .*{said}"):
        tiny_caffe2.opened(tmp_path, [entry], blobs, shapes={"x": (2, 4, 5, 6)})
