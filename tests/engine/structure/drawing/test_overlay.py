"""Numbers for other viewers: against numbers known by hand and the viewers' own formats."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tiny_models
from onnxray.engine.model import Model
from onnxray.engine.structure.drawing.overlay import (
    EXPLORER_METRICS,
    annotated,
    explorer_data,
    netron_attachment,
    write_overlay,
)


@pytest.fixture
def model() -> Model:
    proto = tiny_models.model()
    for node in proto.graph.node:
        node.name = node.output[0]
    return Model(proto, Path("tiny.onnx"))


# By hand, for CONV_NET of tiny_models: 1×8×8 -> conv 3×3 to 2×8×8 -> pool to 2×4×4 -> dense 32 to 3.
MACS = {"conv1": 8 * 8 * 2 * 9, "logits": 32 * 3}
PARAMS = {"conv1": 2 * 9 + 2, "logits": 3 * 32 + 3}
ACTIVATION_BYTES = {"conv1": 512, "relu1": 512, "pool1": 128, "flat": 128, "logits": 12, "scores": 12}
FIELDS = {"conv1": 3, "relu1": 3, "pool1": 4, "logits": 8, "scores": 8}  # logits see the whole 8×8 image


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("macs", MACS), ("params", PARAMS), ("activation_bytes", ACTIVATION_BYTES), ("receptive_field", FIELDS)],
)
def test_values_known_by_hand(model: Model, metric: str, expected: dict[str, int]) -> None:
    results = explorer_data(model, metric)["results"]
    assert {name: each["value"] for name, each in results.items() if name in expected} == expected
    assert not any(
        each["value"] for name, each in results.items() if name not in expected and metric != "receptive_field"
    )


def _check_explorer(data: Any) -> None:
    """The rules of Model Explorer's `GraphNodeData` (node_data_builder.py) for what we use of it."""
    assert set(data) <= {"results", "thresholds", "gradient"}
    assert data["results"]
    for key, result in data["results"].items():
        assert isinstance(key, str) and key
        assert set(result) <= {"value", "bgColor", "textColor"}
        assert isinstance(result["value"], (int, float)) and not isinstance(result["value"], bool)
    stops = [item["stop"] for item in data["gradient"]]
    assert stops == sorted(stops) and (stops[0], stops[-1]) == (0, 1)
    for item in data["gradient"]:
        assert set(item) <= {"stop", "bgColor", "textColor"}
        assert re.fullmatch(r"#[0-9a-f]{6}", item["bgColor"])


def test_files_for_model_explorer(model: Model, tmp_path: Path) -> None:
    files = write_overlay(model, tmp_path / "out.json")
    assert [file.name for file in files] == [
        "out.json",
        "out.params.json",
        "out.receptive_field.json",
        "out.activation_bytes.json",
    ]
    for file, metric in zip(files, EXPLORER_METRICS, strict=True):
        data = json.loads(file.read_text("utf-8"))
        _check_explorer(data)
        assert data == explorer_data(model, metric)


def test_attachment_for_netron(model: Model, tmp_path: Path) -> None:
    """Netron reads items with kind, target and name from the lists `metadata` and `metrics` of an object signed so."""
    (file,) = write_overlay(model, tmp_path / "out.netron.json")
    data = json.loads(file.read_text("utf-8"))
    assert data == netron_attachment(model)
    assert data["signature"] == "netron:attachment"
    assert all(item["kind"] == "node" and item["target"] and item["name"] for item in data["metrics"])
    assert {item["target"]: item["value"] for item in data["metrics"] if item["name"] == "MACs"} == {
        "conv1": "1.15 k (1,152)",
        "logits": "96 (96)",
    }


def test_annotated_copy_says_what_each_node_costs(model: Model) -> None:
    before = model.proto.SerializeToString()
    copy = annotated(model)
    facts = {node.name: {entry.key: entry.value for entry in node.metadata_props} for node in copy.graph.node}
    assert facts["conv1"] == {
        "output shape": "1×2×8×8",
        "MACs": "1.15 k (1,152)",
        "parameters": "20 (20)",
        "activation bytes": "512 B",
        "receptive field": "3×3 pixels",
        "field stride": "1×1 pixels",
        "field start": "-1, -1",
    }
    assert facts["scores"]["receptive field"] == "the whole image"
    assert model.proto.SerializeToString() == before


def test_annotated_copy_computes_the_same(model: Model) -> None:
    image = np.random.default_rng(0).normal(size=(1, 1, 8, 8)).astype(np.float32)
    results = [
        onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"image": image}
        )[0]
        for proto in (model.proto, annotated(model))
    ]
    np.testing.assert_array_equal(*results)
