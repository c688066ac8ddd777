"""Bad input, as a user meets it: one line that says what to do, exit code 2, no traceback, nothing half-written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper, parser
from onnxray.cli.main import VERBS
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]
Shared = Callable[[str], Path]

READERS = [verb for verb in ("summary", "convert", "graph", "weights", "report") if verb in VERBS]


def _write(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def _empty(folder: Path, shared: Shared) -> Path:
    (folder / "empty.onnx").touch()
    return folder / "empty.onnx"


def _truncated_onnx(folder: Path, shared: Shared) -> Path:
    data = shared("models/derived/squeezenet1.1.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(data[: len(data) // 2])
    return folder / "cut.onnx"


def _lenet(folder: Path, shared: Shared) -> tuple[Path, Path]:
    source = shared("models/caffe/lenet_mnist")
    shutil.copy(source / "lenet_deploy.prototxt", folder / "net.prototxt")
    shutil.copy(source / "lenet_iter_10000.caffemodel", folder / "net.caffemodel")
    return folder / "net.prototxt", folder / "net.caffemodel"


def _truncated_caffemodel(folder: Path, shared: Shared) -> Path:
    _, model = _lenet(folder, shared)
    model.write_bytes(model.read_bytes()[:1_000_000])
    return model


def _prototxt_syntax(folder: Path, shared: Shared) -> Path:
    text, _ = _lenet(folder, shared)
    lines = text.read_text().splitlines()
    lines[19] = '  type: "Pooling'
    text.write_text("\n".join(lines))
    return text


def _prototxt_mismatch(folder: Path, shared: Shared) -> Path:
    text, model = _lenet(folder, shared)
    content = text.read_text()
    assert "num_output: 20" in content
    text.write_text(content.replace("num_output: 20", "num_output: 24"))
    return model


def _jpeg(folder: Path, shared: Shared) -> Path:
    Image.new("RGB", (32, 32)).save(folder / "photo.onnx", "JPEG")
    return folder / "photo.onnx"


def _cyclic(folder: Path, shared: Shared) -> Path:
    proto = tiny_models.model()
    proto.graph.node[0].input[0] = "logits"
    return _write(folder / "cyclic.onnx", proto)


def _claims_too_much(folder: Path, shared: Shared) -> Path:
    proto = tiny_models.model()
    proto.graph.initializer[0].dims[:] = [1 << 58]
    return _write(folder / "claims.onnx", proto)


def _external(location: str, **entries: int) -> Callable[[Path, Shared], Path]:
    def build(folder: Path, shared: Shared) -> Path:
        proto = tiny_models.model()
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        (folder / "weights.bin").write_bytes(bytes(72))
        for key, value in {"location": location, **entries}.items():
            tensor.external_data.add(key=key, value=str(value))
        return _write(folder / "external.onnx", proto)

    return build


def _escape_in_a_name(folder: Path, shared: Shared) -> Path:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) { y = Relu (z) }'
    proto = parser.parse_model(text)
    proto.graph.node[0].input[0] = "\x1b[31mred\nline"
    return _write(folder / "names.onnx", proto)


# How the file is made, and what its one line must say.
BAD = {
    "empty file": (_empty, "found an empty file"),
    "truncated onnx": (_truncated_onnx, "truncated or damaged"),
    "truncated caffemodel": (_truncated_caffemodel, "truncated|damaged"),
    "prototxt syntax": (_prototxt_syntax, r"net\.prototxt: syntax error in line 20"),
    "prototxt mismatch": (_prototxt_mismatch, r"24.*20|20.*24"),
    "JPEG as onnx": (_jpeg, "found a JPEG image"),
    "cyclic graph": (_cyclic, r"cyclic: .*conv1 \(Conv\)"),
    "2^60 bytes": (_claims_too_much, "claims 1152921504606846976 bytes, the file holds 72"),
    "external passwd": (_external("../../etc/passwd"), r"'\.\./\.\./etc/passwd'; refused"),
    "external 2^60": (
        _external("weights.bin", length=1 << 60),
        "claims 72 bytes, its external data 1152921504606846976",
    ),
    "external short": (_external("weights.bin", offset=8), "which has 72 bytes"),
    "terminal escapes": (_escape_in_a_name, r"reads tensor _\[31mred_line"),
}


@pytest.mark.parametrize("verb", READERS)
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_model_file(cli: Cli, shared: Shared, tmp_path: Path, verb: str, kind: str) -> None:
    if find_spec(f"onnxray.cli.verbs.{verb}") is None:
        pytest.skip(f"no verb {verb}")
    build, says = BAD[kind]
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    path = build(folder, shared)
    before = sorted(folder.iterdir())
    words = {"convert": ["-o", out / "x.onnx"], "graph": ["-o", out / "x.svg"], "report": ["-o", out / "x.html"]}
    code, stdout, stderr = cli(verb, path, *words.get(verb, []))
    _is_one_line(code, stderr, says)
    assert stdout == ""
    assert not list(out.iterdir())
    assert sorted(folder.iterdir()) == before


def _is_one_line(code: int, stderr: str, says: str) -> None:
    assert code == 2, stderr
    assert len(stderr.splitlines()) == 1, stderr
    assert stderr.startswith("error: ")
    assert stderr.rstrip("\n").isprintable()
    assert "Traceback" not in stderr
    assert re.search(says, stderr), stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--shape", "imag=1x1x8x8"], "names no input of the model: imag; did you mean image"),
        (["--shape", "image=1x3"], "does not fit the file, which says"),
        (["--shape", "image=axb"], "--shape expects input=1x3x224x224, found 'image=axb'"),
        (["--size", "huge"], "--size expects one number or HEIGHTxWIDTH"),
        (["--size", "9x9"], "size 9x9 does not fit input image"),
        (["--mean", "a,b"], r"--mean expects one number or several with commas \(fractions too: 1/255\)"),
        (["--scale", "1/0"], "--scale expects"),
        (["--mean", "1,2,3"], "mean expects 1 or 1 numbers, found 3"),
        (["--bgr"], "has 1 channel"),
        (["--resize", "letterbox"], "resize expects crop or stretch"),
        (["--labels", "missing.txt"], "--labels expects a text file"),
        (["--companion", "missing.prototxt"], "one file"),
    ],
)
def test_bad_options(cli: Cli, tmp_path: Path, options: list[str], says: str) -> None:
    code, _, stderr = cli("graph", tiny_models.save(tmp_path / "m.onnx"), "-o", tmp_path / "x.dot", *options)
    _is_one_line(code, stderr, says)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_fractions_and_shapes_without_a_name_are_taken(cli: Cli, tmp_path: Path) -> None:
    model = tiny_models.save(tmp_path / "m.onnx")
    options = ["--scale", "1/255", "--mean", "127.5", "--shape", "1x1x8x8"]
    assert cli("graph", model, "-o", tmp_path / "x.dot", *options)[0] == 0


def test_an_image_that_is_no_image(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("no image")
    for verb in ("predict", "activations"):
        if find_spec(f"onnxray.cli.verbs.{verb}") is not None:
            code, _, stderr = cli(verb, tiny_models.save(tmp_path / "m.onnx"), tmp_path / "photo.jpg")
            _is_one_line(code, stderr.splitlines()[-1], "photo.jpg|image")


@pytest.mark.parametrize("verb", ["activations", "weights"])
def test_an_unknown_layer_offers_the_nearest(cli: Cli, tmp_path: Path, verb: str) -> None:
    if find_spec(f"onnxray.cli.verbs.{verb}") is None:
        pytest.skip(f"no verb {verb}")
    np.save(tmp_path / "image.npy", np.zeros((8, 8), np.uint8))
    words = [tmp_path / "image.npy"] if verb == "activations" else []
    code, _, stderr = cli(verb, tiny_models.save(tmp_path / "m.onnx"), *words, "--layer", "conv9")
    _is_one_line(code, stderr, "did you mean .*conv1")


def test_a_graph_with_an_unknown_operator_is_still_shown(cli: Cli, tmp_path: Path) -> None:
    proto = tiny_models.model()
    proto.graph.node[1].domain, proto.graph.node[1].op_type = "com.example", "Secret"
    proto.opset_import.append(helper.make_opsetid("com.example", 1))
    code, _, stderr = cli("graph", _write(tmp_path / "m.onnx", proto), "-o", tmp_path / "x.dot")
    assert code == 0, stderr
    assert "Secret" in (tmp_path / "x.dot").read_text()
