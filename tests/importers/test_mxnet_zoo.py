"""Architectures of Gluon's zoo as MXNet exports them, every tensor against MXNet's own.

ONNXRAY_MXNET_ZOO="inceptionv3:299 densenet121:224" tries others.
"""

from __future__ import annotations

import os
from pathlib import Path

import mxnet_python
import pytest
from mxnet_zoo import export
from onnxray.importers import load
from onnxray.importers.certificate import certify

NETWORKS = os.environ.get("ONNXRAY_MXNET_ZOO", "squeezenet1.1:224 mobilenetv2_0.25:96").split()


@pytest.mark.parametrize("network", NETWORKS)
def test_every_tensor_equals_mxnets(network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, side = network.split(":")
    path = export(mxnet_python.use(monkeypatch), name, int(side), tmp_path)
    proto = load(path, size=int(side))
    certificate = certify(path, None, proto, per_layer=True)
    assert certificate.verified, list(certificate.verdict())
    nodes = [node for node in proto.graph.node if "/" not in node.name]
    assert len(certificate.outputs) + len(certificate.inner) >= len(nodes) >= 20
