"""Streams: the same values as a run, whatever happens on the way, and never more memory than allowed."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from onnxray.engine.images import ImageBatches
from onnxray.engine.model import Model
from onnxray.engine.session import Session
from onnxray.engine.streaming import Stream
from onnxray.importers.errors import InputError, MissingExtra
from PIL import Image


@pytest.fixture
def network() -> Model:
    return Model(tiny_models.model(), Path("tiny.onnx"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(70):
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{index:03}.png")
    for index in (0, 20, 69):
        (folder / f"{index:03}.png").write_text("broken")
    return folder


def expected(network: Model, photos: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    paths, parts = [], []
    runner = Session(network)
    for found, batch in ImageBatches(photos, network, 1):
        paths += [str(path) for path in found]
        parts.append(runner.run(batch, runner.tensors))
    return paths, {name: np.concatenate([part[name] for part in parts]) for name in runner.tensors}


def check(stream: Stream, network: Model, photos: Path) -> None:
    paths, values = expected(network, photos)
    assert list(stream.images) == paths
    assert [Path(path).name for path, _ in stream.skipped] == ["000.png", "020.png", "069.png"]
    assert list(stream.tensors) == list(values)
    for name, value in values.items():
        np.testing.assert_allclose(stream.array(name)[:], value, rtol=1e-4, atol=1e-5)


def test_a_stream_holds_what_runs_give(network: Model, photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    stream = Session(network).stream(
        ImageBatches(photos, network), None, tmp_path / "out.zarr", lambda *done: seen.append(done)
    )
    check(stream, network, photos)
    assert seen == sorted(seen)
    assert seen[-1][1] == 70
    assert stream.array("relu1").attrs["tensor"] == "relu1"


def test_an_interrupted_stream_goes_on(network: Model, photos: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    runner, batches, path = Session(network), ImageBatches(photos, network), tmp_path / "out.zarr"
    with pytest.raises(KeyboardInterrupt):
        runner.stream(batches, None, path, interrupt)
    before = json.loads((path / "progress/zarr.json").read_text())["attributes"]
    assert 0 < before["rows"] < 67
    first_chunk = next((path / "tensors/relu1/c/0").rglob("*"))
    written = first_chunk.stat().st_mtime_ns
    check(runner.stream(batches, None, path), network, photos)
    assert first_chunk.stat().st_mtime_ns == written  # what was complete is not computed again
    check(runner.stream(batches, None, path), network, photos)  # nothing left to do


@pytest.mark.parametrize("change", ["tensors", "images", "model", "other"])
def test_another_run_is_not_continued(change: str, network: Model, photos: Path, tmp_path: Path) -> None:
    runner, path = Session(network), tmp_path / "out.zarr"
    if change == "other":
        path.mkdir()
        (path / "mine.txt").write_text("not yours")
    else:
        runner.stream(ImageBatches(photos, network), ["logits"], path)
    if change == "model":
        network = Model(network.proto, Path("other.onnx"))
        runner = Session(network)
    images = photos / "001.png" if change == "images" else photos
    with pytest.raises(InputError, match="holds something else"):
        runner.stream(ImageBatches(images, network), ["scores" if change == "tensors" else "logits"], path)


def test_tensors_that_are_the_same_for_every_image_are_left_out(tmp_path: Path) -> None:
    network = Model(tiny_models.model(tiny_models.ODD_NET), Path("odd.onnx"))
    network.spec = network.spec.override("test", channel_order="GREY")
    stream = _stream_arrays(network, tmp_path / "a.zarr", 5)
    assert set(stream.left_out) == {"stored", "rows", "size"}
    assert stream.array("axes_swapped").shape == (5, 2, 4, 4)
    np.testing.assert_array_equal(stream.array("axes_swapped")[:], stream.array("active")[:])
    assert stream.array("tall").shape == (5, 8, 4)


@pytest.mark.parametrize(
    "name", ["a/b", "..", "%s 100%", "__x", "zarr.json", "L" * 5000, "." * 300, "\u6f22" * 100], ids=len
)
def test_a_tensor_of_any_name_is_stored(name: str, tmp_path: Path) -> None:
    text = "<ir_version: 8, opset_import: ['' : 17]> g (float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y) { y = Relu (x) }"
    proto = tiny_models.model(text.replace("'", '"'))
    proto.graph.output[0].name = proto.graph.node[0].output[0] = name
    stream = _stream_arrays(Model(proto, Path("named.onnx")), tmp_path / "folder" / "a.zarr", 2)
    assert stream.array(name).shape == (2, 2, 4, 4)
    assert [path.name for path in tmp_path.rglob("*.zarr")] == ["a.zarr"]
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["a.zarr"]


def test_a_fixed_batch_streams_too(tmp_path: Path) -> None:
    free, fixed = (
        _stream_arrays(Model(tiny_models.model(text), Path("odd.onnx")), tmp_path / f"{name}.zarr", 5)
        for name, text in (("free", tiny_models.ODD_NET), ("fixed", tiny_models.ODD_NET.replace("[N,", "[2,")))
    )
    for name in ("active", "scores"):
        np.testing.assert_allclose(fixed.array(name)[:], free.array(name)[:], rtol=1e-4)


def _stream_arrays(network: Model, path: Path, count: int) -> Stream:
    """Stream random inputs of a network whose input is no picture (two channels)."""
    generator = np.random.default_rng(0)

    class Batches(ImageBatches):
        def __init__(self) -> None:
            self.paths = [Path(str(index)) for index in range(count)]
            self.shape, self.batch_size, self.start, self.consumed, self.skipped = (1, 2, 4, 4), 1, 0, 0, []
            self.inputs = generator.normal(size=(count, 2, 4, 4)).astype(np.float32)

        def __iter__(self) -> Any:
            for start in range(self.start, count, self.batch_size):
                rows = slice(start, start + self.batch_size)
                self.consumed = min(count, start + self.batch_size)
                yield self.paths[rows], self.inputs[rows]

    return Session(network).stream(Batches(), None, path)


def test_without_zarr(network: Model, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name == "zarr":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r'pip install "onnxray\[zarr\]"'):
        Session(network).stream(ImageBatches(photos, network), None, tmp_path / "out.zarr")


MEASURE = r"""
import json, pathlib, re, sys
import onnxray
from onnxray.engine.images import ImageBatches

model = onnxray.load(sys.argv[1], size=(227, 227), mean=(104.0, 117.0, 123.0), channel_order="BGR")
session = model.session(memory="450MB")
stream = session.stream(ImageBatches([sys.argv[2]] * 20, model), None, sys.argv[3])
# Not getrusage: a child's ru_maxrss begins at what its parent held.
peak = int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
print(json.dumps({"peak": peak * 1024, "all": 20 * session.batching.bytes_per_image(session.tensors),
                  "rows": len(stream.images), "tensors": len(stream.tensors)}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_peak_memory_stays_in_the_budget(shared, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = [shared("models/derived/squeezenet1.1.onnx"), shared("data/skimage_images/coffee.png"), tmp_path / "o.zarr"]
    done = subprocess.run([sys.executable, "-c", MEASURE, *map(str, words)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["rows"], found["tensors"]) == (20, 65)
    assert found["all"] > 500 << 20
    assert found["peak"] < 450 << 20
