"""Files that would run code, fill the disk or the memory: refused in one line, and their code never runs.

Each would create a canary file if anything in it ran.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
import tiny_models
import torch
from onnxray.importers import load, sandbox
from onnxray.importers.certificate import Certificate, certify, read_certificate, write_certificate
from onnxray.importers.errors import InputError
from onnxray.importers.pytorch import MODEL, VALUES, archive
from onnxray.importers.pytorch.pickle_scan import code_in, imports_of
from pytorch_networks import Tiny


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo x > {self.canary}",)


def saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def with_entry(data: bytes, end: str, content: bytes) -> bytes:
    """A zip archive with one entry's content replaced."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        names = old.namelist()
        assert any(name.endswith(end) for name in names), names
        for name in names:
            new.writestr(name, content if name.endswith(end) else old.read(name))
    return stream.getvalue()


@pytest.fixture(scope="session")
def script() -> bytes:
    stream = io.BytesIO()
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(Tiny().eval()), stream)
    return stream.getvalue()


@pytest.fixture(scope="session")
def program() -> dict[str, bytes]:
    """The entries of an exported program, as far as they are looked into."""
    node = {"target": "torch.ops.aten.relu.default", "inputs": [], "outputs": []}
    return {
        "p/archive_format": b"pt2",
        "p/models/model.json": json.dumps({"graph_module": {"graph": {"nodes": [node]}}}).encode(),
        "p/data/sample_inputs/model.pt": saved((torch.zeros(1),)),
    }


def zipped(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)
    return stream.getvalue()


def in_tar(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as new:
        for name, data in (("sys_info", b"x"), ("pickle", content), ("storages", b"x"), ("tensors", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


PICKLED: dict[str, Callable[[Evil], bytes]] = {
    "checkpoint": lambda evil: saved({"state_dict": {"w": torch.zeros(2)}, "extra": evil}),
    "checkpoint, newer protocol": lambda evil: saved([evil], pickle_protocol=4),
    "before version 1.6": lambda evil: saved({"w": evil}, _use_new_zipfile_serialization=False),
    "tar": lambda evil: in_tar(pickle.dumps(evil, 2)),
}


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", PICKLED)
def test_pickles_are_named_and_not_run(name: str, tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    path.write_bytes(PICKLED[name](Evil(canary)))
    message = refused(path, size=8)
    assert "brings along posix.system" in message and "--allow-code" in message
    assert not canary.exists()


def test_a_bare_pickle_is_not_touched(tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pth", tmp_path / "canary"
    for protocol in (2, 3, 4, 5):
        path.write_bytes(pickle.dumps(Evil(canary), protocol))
        assert "found a Python pickle" in refused(path)
    assert not canary.exists()


@pytest.mark.parametrize("entry", ["data.pkl", "constants.pkl"])
def test_a_pickle_within_torchscript(entry: str, script: bytes, tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    path.write_bytes(with_entry(script, entry, pickle.dumps(Evil(canary), 2)))
    assert "calls posix.system" in refused(path, size=8)
    assert not canary.exists()


class Writer(torch.nn.Module):
    """TorchScript that creates a file: torch.from_file makes it when it is not there."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.canary = canary

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.canary, True, 4).sum()


def test_torchscript_that_writes_files(tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(Writer(str(canary))), path)
    assert "calls torch.from_file" in refused(path, size=8)
    assert "cannot be run" in refused(path, size=8, allow_code=True)  # the sandbox has it all the same
    assert not canary.exists()


def test_allowed_code_runs_in_the_sandbox_only(tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    path.write_bytes(saved({"w": torch.zeros(2), "evil": Evil(canary)}))
    assert "weights without a network" in refused(path, allow_code=True)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("entry", "content", "named"),
    [
        ("p/models/model.json", {"nodes": [{"target": "torch.os.system"}]}, "torch.os.system"),
        (
            "p/models/model.json",
            {"nodes": [{"target": "torch.ops.aten.from_file.default"}]},
            "torch.ops.aten.from_file",
        ),
        ("p/models/model.json", {"x": {"expr_str": "exec(chr(1))"}}, "the expression"),
        ("p/models/model.json", {"x": {"expr_str": "s0.__class__"}}, "the expression"),
        ("p/data/constants/model_config.json", {"c": {"path_name": "custom_obj_0"}}, "the object custom_obj_0"),
        ("p/data/constants/model_config.json", {"c": {"path_name": "../x"}}, "the object ../x"),
    ],
)
def test_exported_programs_that_call_more_than_operators(
    entry: str, content: Any, named: str, program: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(zipped({**program, entry: json.dumps(content).encode()}))
    assert named in refused(path)


def test_a_pickle_within_an_exported_program(program: dict[str, bytes], tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pt2", tmp_path / "canary"
    config = {"config": {"c": {"path_name": "opaque_0"}, "w": {"path_name": "weight_0", "use_pickle": True}}}
    program = {**program, "p/data/weights/model_weights_config.json": json.dumps(config).encode()}
    for name, evil in {
        "p/data/sample_inputs/model.pt": saved(Evil(canary)),
        "p/data/constants/opaque_0": pickle.dumps(Evil(canary)),
        "p/data/weights/weight_0": saved(Evil(canary)),
        "p/serialized_state_dict.json": saved(Evil(canary)),
    }.items():
        path.write_bytes(zipped({**program, name: evil}))
        assert "posix.system" in refused(path), name
    assert not canary.exists()


def test_names_outside_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    for name in ("m/../../evil", "/etc/evil", "m\\..\\evil", "C:evil"):
        path.write_bytes(zipped({"m/data.pkl": pickle.dumps({}, 2), name: b"x"}))
        assert "outside its own folder" in refused(path)


def test_options_that_a_network_has_no_use_for(script: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(script)
    assert "arch and strip say what weights belong to" in refused(path, arch="a:b", strip="module.")


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    monkeypatch.setattr(archive, "_MOST_UNPACKED", 1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("m/data.pkl", bytes(1 << 21))
    assert "zip bomb" in refused(path)


def test_a_table_of_contents_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    data = zipped({"m/data.pkl": pickle.dumps({}, 2), "m/data/0": bytes(64)})
    at = data.rindex(b"PK\x01\x02")
    path.write_bytes(data[: at + 24] + struct.pack("<I", 1 << 31) + data[at + 28 :])
    assert "contradicts itself" in refused(path)
    path.write_bytes(data[: at + 20] + struct.pack("<II", 1 << 31, 1 << 31) + data[at + 28 :])
    assert "zip bomb" in refused(path)


def test_pickles_nested_ten_thousand_deep(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(zipped({"m/data.pkl": b"\x80\x02)" + b"\x85" * 10_000 + b"."}))
    assert "nested more than 200 deep" in refused(path)
    path.write_bytes(
        archive.LEGACY_MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02" + b"]" * 500 + b"a" * 499 + b"."
    )
    assert "nested more than 200 deep" in refused(path)


@pytest.mark.parametrize("cut", [30, 200, 0.3, 0.9, -1])
def test_truncated_files(cut: float, script: bytes, tmp_path: Path) -> None:
    for data in (script, saved(Tiny().state_dict())):
        path = tmp_path / "model.pt"
        path.write_bytes(data[: int(len(data) * cut) if 0 < cut < 1 else int(cut)])
        assert "damaged zip" in refused(path)


def test_a_truncated_file_of_the_old_kind(tmp_path: Path) -> None:
    data = saved(Tiny().state_dict(), _use_new_zipfile_serialization=False)
    path = tmp_path / "model.pth"
    path.write_bytes(data[:40])
    assert "truncated or damaged" in refused(path)
    path.write_bytes(data[:-100])
    assert "model.pth: " in refused(path, arch="pytorch_networks:Tiny", size=8)


def _safetensors(header: Any, numbers: bytes = bytes(16)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 32]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F77", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, "x"]},
        [],
    ],
)
def test_safetensors_that_contradict_themselves(tensor: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(_safetensors({"w": tensor}))
    assert "safetensors" in refused(path)


def returning(name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's child has been taken over, and writes this."""

    @contextmanager
    def run(*_: Any, **__: Any) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(content)
            yield Path(folder)

    monkeypatch.setattr(sandbox, "run", run)


def test_what_the_child_returns_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(saved(Tiny().state_dict()))
    for content in (b"", b"garbage" * 9, tiny_models.model().SerializeToString()[:-20]):
        returning(MODEL, content, monkeypatch)
        assert "truncated or damaged" in refused(path)
    returning("other", b"", monkeypatch)
    assert "wrote no model.onnx" in refused(path)
    proto = tiny_models.model()
    write_certificate(proto, Certificate(reference="an honest one"))
    returning(MODEL, proto.SerializeToString(), monkeypatch)
    found = load(path)
    assert read_certificate(found) is None
    assert certify(path, None, found).reference == ""  # it wrote no values


@pytest.mark.parametrize("dims", [[1 << 60], [4]])
def test_values_that_the_child_returns_are_checked(
    dims: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(saved(Tiny().state_dict()))
    tensor = onnx.TensorProto(name="output", data_type=onnx.TensorProto.FLOAT, dims=dims, raw_data=b"1234")
    returning(VALUES, onnx.GraphProto(initializer=[tensor]).SerializeToString(), monkeypatch)
    assert "tensor output" in certify(path, None, tiny_models.model()).note


def test_what_a_pickle_imports() -> None:
    plain = saved({"w": torch.zeros(2, dtype=torch.float16), "n": 3, "s": {1}, "p": torch.nn.Parameter(torch.zeros(1))})
    with zipfile.ZipFile(io.BytesIO(plain)) as stored:
        data = stored.read(next(name for name in stored.namelist() if name.endswith("data.pkl")))
    assert code_in(imports_of(data)) == ()
    for protocol in range(6):
        imports = imports_of(pickle.dumps([Evil(Path("x")), Path("y")], protocol))
        assert code_in(imports)[:1] == ("posix.system",), protocol
        assert any(name.startswith("pathlib") for name in imports)


def test_the_refusal_has_exit_code_2(cli, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, canary = tmp_path / "model.pt", tmp_path / "canary"
    path.write_bytes(saved(Evil(canary)))
    for verb in ("summary", "convert", "graph"):
        code, _, err = cli(verb, path)
        assert code == 2 and err.count("\n") == 1
    assert not canary.exists() and sorted(entry.name for entry in tmp_path.iterdir()) == ["model.pt"]
