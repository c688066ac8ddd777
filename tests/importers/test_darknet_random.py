"""Random Darknet networks against the slow reference, layer by layer.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from darknet_cases import DRAWN, draw
from darknet_reference import LAYERS, Network
from onnxray.importers.certificate import BAR, compare_arrays, inner_tensors, run_onnx
from onnxray.importers.darknet import read
from onnxray.importers.darknet.layers import layer_functions

COUNT = int(os.environ.get("ONNXRAY_CASES", "100"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))

# Two steps of a float32: outputs whose numbers hardly differ from each other, as (1 + exp(-x)) ** -1 of small numbers,
# are rounded to parts of their range that are above the bar.
_ROUNDING = 2 * float(np.finfo(np.float32).eps)


def differences(net: Network, proto: onnx.ModelProto) -> list[str]:
    """Layers that compute something else than the reference; of a layer that passes on another's output that."""
    theirs = {f"{kind}_{index}": array for index, (kind, array) in enumerate(zip(net.kinds, net.outputs, strict=True))}
    names = [name for name in (*inner_tensors(proto), proto.graph.output[0].name) if name in theirs]
    ours = run_onnx(proto, {"data": net.image.astype(np.float32)}, names)
    rows = [compare_arrays(name, theirs[name], ours[name]) for name in names]
    return [
        f"{row.name} {row.relative:.2g}"
        for row in rows
        if row.relative > BAR and row.difference > _ROUNDING * max(1, np.abs(theirs[row.name]).max())
    ]


def test_random_networks_compute_what_the_reference_does(tmp_path: Path) -> None:
    wrong, drawn = {}, Counter[str]()
    for seed in range(SEED, SEED + COUNT):
        net = draw(seed)
        proto = read(net.write(tmp_path), None)
        drawn.update(net.kinds)
        found = differences(net, proto)
        if found:
            wrong[seed] = (net.kinds, found)
    assert not wrong
    assert COUNT < 100 or set(drawn) == set(DRAWN)


def test_every_layer_but_the_heads_is_drawn() -> None:
    assert set(DRAWN) == set(LAYERS) == set(layer_functions()) - {"detection", "region", "yolo"}
