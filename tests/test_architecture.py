"""The rules of the house: who imports whom, file sizes, tables that resolve, nothing heavy on the way to --help."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import tensorflow_graphs
import tiny_caffe
import tiny_keras
import tiny_models
import tiny_tfjs
import tiny_tflite
from conftest import REPOSITORY
from PIL import Image

MAX_LINES = 400
FOLDERS = ("importers", "kernels", "engine", "cli")
MAY_IMPORT = {
    "importers": {"importers"},
    "kernels": {"kernels"},
    "engine": {"engine", "importers", "kernels"},
    "cli": {"cli", "engine", "importers", "kernels"},  # kernels: what `doctor` reports
}
# Folders of engine/ from low to high; a file may import its own level and those below.
ENGINE_LEVELS = (
    {"results", "quantities"},
    {"image_files", "providers"},
    {"images", "structure", "render"},
    {"batching", "feeds", "model", "remainder", "session", "streaming", "targets"},
    {"gradient"},
    {"optvis", "dataset", "profiling", "incremental"},
    {"methods"},
    {"metrics", "checkup", "backward"},
)
GIVES_OUT = {("model.py", "gradient")}  # Model hands out what is built upon it
FORBIDDEN_NAMES = {"utils", "misc", "core", "helpers"}


def _sources() -> list[Path]:
    tracked = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")]
    return [REPOSITORY / "__init__.py", *tracked]


def _imports(path: Path) -> Iterator[tuple[str, ...]]:
    """Every relative import of a file, as the parts of the module it names; imports for annotations do not count."""
    package = path.relative_to(REPOSITORY).parent.parts
    tree = ast.parse(path.read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for_annotations = {node for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level and node not in for_annotations:
            base = package[: len(package) - node.level + 1]
            yield from ((*base, *(node.module or "").split("."), name.name) for name in node.names)


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_flow_one_way(path: Path) -> None:
    parts = path.relative_to(REPOSITORY).parts
    if parts[0] not in FOLDERS:
        return
    for target in _imports(path):
        target = tuple(part for part in target if part)
        if target and target[0] in FOLDERS:
            assert target[0] in MAY_IMPORT[parts[0]], f"{path}: imports {'.'.join(target)}"
        if parts[0] == "engine" and target[:1] == ("engine",) and len(target) > 1:
            allowed = (parts[1], target[1]) in GIVES_OUT or _level(target[1]) <= _level(parts[1])
            assert allowed, f"{path}: imports upward {'.'.join(target)}"


def _level(name: str) -> int:
    stem = name.removesuffix(".py")
    return next((level for level, names in enumerate(ENGINE_LEVELS) if stem in names), len(ENGINE_LEVELS))


def test_no_import_of_a_folder_by_its_bare_name() -> None:
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {*FOLDERS, "onnxray"}, path


@pytest.mark.parametrize("suffix", ["*.py", "*.cpp", "*.hpp", "*.cu", "*.cuh", "*.js"])
def test_no_file_is_too_long(suffix: str) -> None:
    folders = [REPOSITORY / folder for folder in (*FOLDERS, "tests", "benchmarks")]
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for folder in folders
        for path in folder.rglob(suffix)
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not long


def test_no_folder_is_called_utils() -> None:
    folders = {path.parent.name for path in _sources()} | {path.stem for path in _sources()}
    assert not folders & FORBIDDEN_NAMES


def test_every_verb_resolves() -> None:
    from onnxray.cli.main import VERBS

    for verb in VERBS:
        assert callable(getattr(import_module(f"onnxray.cli.verbs.{verb}"), verb))


def test_every_importer_resolves() -> None:
    from onnxray.importers import IMPORTERS, sniff

    for importer in IMPORTERS.values():
        assert callable(import_module(f"onnxray.importers.{importer.module}").read)
        assert callable(getattr(sniff, importer.sniffer))


def test_every_public_name_resolves() -> None:
    import onnxray

    for name in onnxray.__all__:
        assert getattr(onnxray, name) is not None


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_help_imports_nothing_heavy() -> None:
    loaded = _modules_after("from onnxray.cli.main import main\nassert main(['--help']) == 0")
    assert not loaded & {"torch", "onnxruntime", "onnx", "numpy", "matplotlib", "netron"}


def test_forward_verbs_never_import_torch(tmp_path: Path) -> None:
    model, picture = tiny_models.save(tmp_path / "tiny.onnx"), tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)).save(picture)
    out = str(tmp_path / "out")
    lines = [
        ["summary", model],
        ["graph", model, "-o", f"{out}.html"],
        ["weights", model, "-o", out],
        ["predict", model, picture],
        ["activations", model, picture, "-o", out],
        ["checkup", model, "--images", picture, "-o", f"{out}.png"],
        ["deconvnet", model, picture, "--layer", "relu1", "-o", f"{out}.units.png"],
        ["explain", model, "--method", "saliency", "--export", f"{out}.heat.onnx"],
        ["convert", model, "-o", f"{out}.onnx"],
        ["report", model, "-o", f"{out}.report.html"],
    ]
    words = [[str(word) for word in line] for line in lines]
    loaded = _modules_after(f"from onnxray.cli.main import main\nassert not any(main(line) for line in {words})")
    assert "onnxruntime" in loaded and "torch" not in loaded


def test_reading_a_file_imports_no_framework(tmp_path: Path) -> None:
    image = tiny_keras.given("image", 4, 4, 1)
    network = tiny_keras.functional([image, tiny_keras.layer("ReLU", "relu", ["image"])], ["image"], ["relu"])
    (tmp_path / "net.tflite").write_bytes(tiny_tflite.small())
    files = [
        tiny_models.save(tmp_path / "net.onnx"),
        tiny_keras.write_h5(tmp_path / "net.h5", network, {}),
        tiny_keras.write_keras(tmp_path / "net.keras", network, {}),
        tiny_tfjs.write(tmp_path / "tfjs", tiny_tfjs.layers_model(network), {}),
        tensorflow_graphs.write(tmp_path / "net.pb", tensorflow_graphs.small()),
        tmp_path / "net.tflite",
        tiny_caffe.write(tmp_path, tiny_caffe.deploy(tiny_caffe.layer("ReLU")), {})[1],
    ]
    loaded = _modules_after(f"import onnxray\nfor path in {[str(path) for path in files]}: onnxray.load(path)")
    frameworks = {"torch", "tensorflow", "keras", "h5py", "flatbuffers", "ai_edge_litert", "cv2"}
    assert "onnx" in loaded and not loaded & {*frameworks, "onnxruntime", "matplotlib", "PIL", "scipy", "netron"}


def test_every_kernel_is_among_those_that_doctor_tests() -> None:
    from onnxray.kernels.self_test import SELF_TESTS

    kernels = {path.parent.name for path in (REPOSITORY / "kernels").glob("*/*.cpp")}
    assert set(SELF_TESTS) == kernels - {"build_info"}  # computes nothing


def test_every_kernel_has_a_reference_a_cuda_form_and_a_test() -> None:
    kernels = {path.parent for path in (REPOSITORY / "kernels").glob("*/*.cpp")}
    assert kernels
    for kernel in kernels:
        assert (REPOSITORY / "tests" / "kernels" / f"test_{kernel.name}.py").exists()
        needed = {"__init__.py", "reference.py", f"{kernel.name}.cu"}
        if kernel.name == "build_info":  # computes nothing
            needed = {"__init__.py"}
        if kernel.name in ("depthwise", "winograd"):  # cuDNN has them
            needed.remove(f"{kernel.name}.cu")
        assert needed <= {path.name for path in kernel.iterdir()}


def test_kernels_import_no_torch() -> None:
    """It is imported when a tensor is handed in, and only then."""
    names = [path.parent.name for path in (REPOSITORY / "kernels").glob("*/*.cpp")]
    imports = "; ".join(f"import onnxray.kernels.{name}" for name in names)
    array = "onnxray.kernels.gram.gram(__import__('numpy').ones((1, 2, 3), 'f4'))"
    assert "torch" not in _modules_after(f"{imports}; {array}")


def test_onnxruntime_keeps_its_events_to_itself(tmp_path: Path) -> None:
    """It writes them to a database in the home folder before it sends them."""
    model = tiny_models.save(tmp_path / "tiny.onnx")
    code = f"import onnxray, numpy; onnxray.load({str(model)!r}).session().run(numpy.zeros((1, 1, 8, 8), 'f4'))"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HOME": str(tmp_path)})
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"tiny.onnx"}
