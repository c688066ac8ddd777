"""Time per operator: every node of the file, in plausible proportion."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_models
from onnxray.engine.model import Model
from onnxray.engine.profiling.operators import time_operators
from onnxray.importers.errors import InputError


def test_every_node_of_a_network_is_timed(shared: Callable[[str], Path]) -> None:
    model = onnxray.load(shared("models/derived/squeezenet1.1.onnx"))
    times = time_operators(model, seconds=0.3)
    assert set(times) == {node.name for node in model.graph.nodes}
    assert min(times.values()) > 0
    convolutions = sum(times[node.name] for node in model.graph.nodes if node.op == "Conv")
    assert convolutions > 0.5 * sum(times.values())  # 388 M MACs against 26 ReLUs and a few pools


def test_the_sum_is_less_than_a_run_takes(shared: Callable[[str], Path]) -> None:
    """Against a clock around bare runs of onnxruntime with the same settings."""
    import onnxruntime

    path = shared("models/derived/squeezenet1.1.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {"data": np.zeros((1, 3, 227, 227), np.float32)}
    session.run(None, feeds)
    whole = []
    for _ in range(7):
        start = time.perf_counter()
        session.run(None, feeds)
        whole.append(time.perf_counter() - start)
    total = sum(time_operators(onnxray.load(path), seconds=0.3).values())
    assert min(whole) / 4 < total < max(whole) * 4  # the machine may be busy with other work


def test_a_model_that_onnxruntime_refuses() -> None:
    proto = tiny_models.model()
    proto.graph.node[1].op_type = "NoSuchOperator"
    model = Model(tiny_models.model(), Path("net.onnx"))
    model.proto = proto
    with pytest.raises(InputError, match=r"onnxruntime cannot run this model"):
        time_operators(model)


def test_weights_in_another_file_and_newer_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxray.importers.tensors.EMBED_LIMIT", 0)  # the weights stay where they are
    proto = tiny_models.model()
    proto.ir_version, proto.opset_import[0].version = 99, 99
    onnx.save(proto, tmp_path / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    model = onnxray.load(tmp_path / "net.onnx")
    assert set(time_operators(model, seconds=0.01)) == {node.name for node in model.graph.nodes}


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = Model(tiny_models.model(), Path("net.onnx"))
    for index, node in enumerate(model.proto.graph.node):
        node.name = f"n{index}"
    assert len(time_operators(model, seconds=0.01)) == 6
    assert list(tmp_path.iterdir()) == []
