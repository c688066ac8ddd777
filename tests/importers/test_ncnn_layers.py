"""Every layer type against NCNN itself, a family as one network; and layers drawn at random.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ncnn_cases import FAMILIES, Case, drawn, rows_of
from onnxray.importers import load
from onnxray.importers.certificate import certify, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.ncnn.layers import layer_functions
from onnxray.importers.ncnn.layers.detection import ENDS
from tiny_ncnn import write

COUNT, SEED = int(os.environ.get("ONNXRAY_CASES", "100")), int(os.environ.get("ONNXRAY_SEED", "8"))
PIXELS = {"mean": 127.5, "scale": 1 / 127.5}  # what enters is from -1 to 1


def against_ncnn(folder: Path, cases: Sequence[Case]) -> None:
    """The network of all of them, its outputs compared with NCNN's."""
    pytest.importorskip("ncnn")
    path = write(folder, rows_of(cases))
    proto = load(path, **PIXELS)
    certificate = certify(path, None, proto)
    wrong = [(cases[number], row.relative) for number, case in enumerate(cases) for row in certificate.failed
             if row.name == f"o{number}" or row.name.startswith(f"o{number}_")]  # fmt: skip
    assert not wrong, wrong
    assert certificate.verified, list(certificate.verdict())
    assert len(certificate.outputs) == sum(case.tops for case in cases)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_equal_ncnn(tmp_path: Path, family: str) -> None:
    against_ncnn(tmp_path, FAMILIES[family])


def test_every_layer_type_has_a_case() -> None:
    covered = {case.type for cases in FAMILIES.values() for case in cases}
    rest = {"Cast", "MemoryData", "Packing"}  # of the whole networks
    assert covered | rest == set(layer_functions())
    assert not set(layer_functions()) & set(ENDS)


def test_layers_of_a_binary_network_equal_ncnn(tmp_path: Path) -> None:
    """Its parameters have no types and its blobs no names."""
    cases = [*FAMILIES["convolutions"][:14], *FAMILIES["pooling"][:4], *FAMILIES["shapes"][:12]]
    path = write(tmp_path, rows_of(cases), as_binary=True)
    proto = load(path, **PIXELS)
    assert all(value.name.startswith("blob") for value in proto.graph.output)
    pytest.importorskip("ncnn")
    certificate = certify(path, None, proto)
    assert certificate.verified, list(certificate.verdict())


def test_layers_drawn_at_random_equal_ncnn(tmp_path: Path) -> None:
    """What is refused is refused by name; everything else is the same."""
    cases, refused = [], []
    for case in drawn(SEED, COUNT):
        try:
            load(write(tmp_path, rows_of([case])))
        except InputError as error:
            refused.append(str(error))
        else:
            cases.append(case)
    assert all("averages nothing" in reason for reason in refused), refused
    assert len(refused) <= COUNT // 10
    for start in range(0, len(cases), 200):
        against_ncnn(tmp_path, cases[start : start + 200])


def test_the_batch_is_open(tmp_path: Path) -> None:
    """NCNN has none: each image of a batch is one of its runs."""
    proto = load(write(tmp_path, rows_of([FAMILIES["convolutions"][0], *FAMILIES["pooling"][:1]])))
    images = np.random.default_rng(0).normal(size=(3, 6, 9, 8)).astype(np.float32)
    feeds = {value.name: images for value in proto.graph.input}
    together = run_onnx(proto, feeds, ["o0", "o1"])
    for place in range(3):
        alone = run_onnx(proto, dict.fromkeys(feeds, images[place : place + 1]), ["o0", "o1"])
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][place : place + 1], value, atol=1e-6)
