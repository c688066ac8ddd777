"""Model files to ONNX against tf2onnx, torch.onnx and OpenCV: time and memory of fresh processes, nodes, Transposes
left, and how long onnxruntime takes for the results.

    python benchmarks/import.py [WORD in a file's name …]

Bars: 2 s for files up to 20 MB that are read without a framework; memory of at most 3 times the file, on top of what a
process takes that has only imported the same, for files of 100 MB or more; onnxruntime takes no longer than for theirs.
ONNXRAY_TENSORFLOW_PYTHON names a Python with tensorflow and tf2onnx; without it their rows are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from sides import Sides

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("ONNXRAY_SHARED", HERE.parents[1] / "shared")) / "models"
TENSORFLOW = os.environ.get("ONNXRAY_TENSORFLOW_PYTHON", "")
NETWORKS = f"{HERE.parent}/tests/pytorch_networks.py"
SECONDS, SMALL = 2.0, 20e6
MEMORY, LARGE = 3.0, 100e6
LATENCY, SURE = 1.0, 25  # % of the pairs of runs may say otherwise: they are some of them off by chance
ROUNDS = 3
LONG, LEAST, MOST = 4.0, 11, 201  # seconds to spend on runs of one graph, and runs
TF2ONNX, OPENCV, TORCHSCRIPT, DYNAMO = "tf2onnx", "OpenCV's reader", "torch.onnx, TorchScript", "torch.onnx, dynamo"


@dataclass(frozen=True)
class Case:
    """One file: in the collection, or written by import_files.py."""

    file: str
    rivals: Sequence[str] = (TF2ONNX,)
    options: Mapping[str, Any] = field(default_factory=dict)  # of `load`
    theirs: Mapping[str, Any] = field(default_factory=dict)  # of the rivals: see import_once.py
    sides: int = 0  # of images, where a graph leaves them open

    @property
    def needs_tensorflow(self) -> bool:
        """To be written."""
        return self.is_written and Path(self.file).suffix in ("", ".pb", ".tflite")

    @property
    def is_written(self) -> bool:
        return "/" not in self.file

    @property
    def is_static(self) -> bool:
        """Whether we read it without its framework."""
        return DYNAMO not in self.rivals


def _torch(file: str, *shape: int, **arch: str) -> Case:
    size = {"shapes": {"": shape}} if arch or not file.endswith(".pt2") else {}
    return Case(file, (TORCHSCRIPT, DYNAMO), {**size, **arch}, {"shape": shape, **arch})


_FROZEN = {"inputs": "image:0", "outputs": "Identity:0"}
_PEOPLE = {"size": 513, "output_names": "SemanticPredictions"}
_DEEPLAB = {"inputs": "ImageTensor:0", "outputs": "SemanticPredictions:0"}
CASES = (
    *(Case(f"MobileNetV2{form}") for form in (".h5", ".keras", "", ".tflite")),
    Case("MobileNetV2.pb", theirs=_FROZEN),
    Case("ResNet50.h5"),
    Case("VGG16.h5", ()),  # tf2onnx takes more than 22 GB of memory for it
    Case("VGG16.keras", ()),
    Case("VGG16.pb", ()),
    Case("VGG16.tflite", ()),
    Case("caffenet.caffemodel", (OPENCV,)),
    Case("keras_h5/fer_mini_xception/emotion_model.hdf5"),
    Case("tf_saved_model/ppseg_lite_portrait/saved_model"),
    Case("tf_frozen_pb/deeplab_dm05_portrait/frozen_inference_graph.pb", (TF2ONNX,), _PEOPLE, _DEEPLAB, 513),
    Case("tflite/fer_mini_xception/emotion_model_quantized.tflite"),
    Case("tflite/mobilenet_v2_1.0_224_quant/mobilenet_v2_1.0_224_quant.tflite"),
    Case("tflite/ultraface_rfb320/version-RFB-320_without_postprocessing.tflite"),
    *(
        Case(f"caffe/{stem}.caffemodel", (OPENCV,), theirs={"prototxt": f"{SHARED}/caffe/{text}.prototxt"})
        for stem, text in (
            ("lenet_mnist/lenet_iter_10000", "lenet_mnist/lenet_deploy"),
            ("cifar10_quick/cifar10_quick_iter_5000", "cifar10_quick/cifar10_quick_deploy"),
            ("ultraface_rfb320/RFB-320", "ultraface_rfb320/RFB-320"),
        )
    ),
    Case("derived/squeezenet1.1.onnx", ()),
    Case("derived/vgg16_trunk_hed.onnx", ()),
    _torch("torchscript/mnist_scripted/model_scripted.pt", 1, 1, 28, 28),
    _torch("derived/resnet20_cifar10_traced.pt", 1, 3, 32, 32),
    _torch("derived/resnet20_cifar10.pt2", 1, 3, 32, 32),
    _torch("pytorch_state_dict/resnet20_cifar10/resnet20-12fca82f.th", 1, 3, 32, 32, arch=f"{NETWORKS}:ResNet20"),
)


def main(words: Sequence[str]) -> bool:
    """Print a row a file; whether a bar is missed."""
    chosen = [case for case in CASES if any(word in case.file for word in words or [""])]
    if not TENSORFLOW:
        print("ONNXRAY_TENSORFLOW_PYTHON is not set: nothing of tf2onnx, no files that only TensorFlow writes")
        chosen = [case for case in chosen if not case.needs_tensorflow]
    missed = []
    for case in chosen:
        with TemporaryDirectory() as folder:
            missed += [f"{case.file}: {bar}" for bar in _compare(case, Path(folder))]
    print("\n".join(["below the bar:", *missed]) if missed else "every bar is met")
    return bool(missed)


def _compare(case: Case, folder: Path) -> Iterator[str]:
    """The row, and the bars that it misses."""
    path = _written(case, folder) if case.is_written else SHARED / case.file
    theirs = {"prototxt": str(path.with_suffix(".prototxt")), **case.theirs} if OPENCV in case.rivals else case.theirs
    size = sum(part.stat().st_size for part in ([path] if path.is_file() else path.rglob("*")))
    rivals = [how for how in case.rivals if how != TF2ONNX or TENSORFLOW]
    results = {how: folder / f"{number}.onnx" for number, how in enumerate(["onnxray", *rivals])}
    taken: dict[str, list[float]] = {how: [] for how in results}
    told: dict[str, dict[str, Any] | str] = {}
    for _ in range(ROUNDS):  # in turn, so that all of them meet the same load
        for how, out in results.items():
            if isinstance(told.get(how), str):
                continue  # it cannot do it
            seconds, told[how] = _once(how, path, out, case.options if how == "onnxray" else theirs)
            taken[how].append(seconds)
    ours = told["onnxray"]
    if isinstance(ours, str):
        raise SystemExit(f"{case.file}: {ours}")
    memory = (ours["peak"] - _bare(ours["modules"])) / size
    seconds = median(taken["onnxray"])
    line = f"    {'onnxray':24} {seconds:6.2f} s, {_graph(results['onnxray'])}"
    if case.is_static:  # else torch's memory is that of another process
        line += f", memory {memory:.1f} times the file, {ours['peak'] / 1e6:.0f} MB in all"
    print(f"{case.file} ({size / 1e6:.1f} MB)\n{line}", flush=True)
    if case.is_static and size <= SMALL and seconds > SECONDS:
        yield f"{seconds:.2f} s"
    if size >= LARGE and memory > MEMORY:
        yield f"memory {memory:.2f} times the file"
    for how in rivals:
        said = told[how]
        if isinstance(said, str):
            print(f"    {how:24} cannot: {said}", flush=True)
            continue
        line = f"    {how:24} {median(taken[how]):6.2f} s, ours takes {seconds / median(taken[how]):.2f} of its time"
        if results[how].exists():
            ratios, apart = _latency(results["onnxray"], results[how], case.sides)
            latency = float(np.median(ratios))
            line += f", {_graph(results[how])}; ours in onnxruntime {latency:.2f} of its time, {apart}"
            if np.percentile(ratios, SURE) > LATENCY:
                yield f"onnxruntime takes {latency:.2f} times as long as for {how}'s"
        print(line, flush=True)


def _written(case: Case, folder: Path) -> Path:
    python = TENSORFLOW or sys.executable
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    if case.file.endswith(".caffemodel"):
        python = sys.executable
    elif not TENSORFLOW:
        environment["KERAS_BACKEND"] = "torch"
    words = [python, HERE / "import_files.py", folder, case.file]
    subprocess.run(words, check=True, env=environment, capture_output=True)
    return folder / case.file


def _once(how: str, path: Path, out: Path, options: Mapping[str, Any]) -> tuple[float, dict[str, Any] | str]:
    """Seconds of a fresh process, and what it says: of its memory, or why it fails."""
    python = TENSORFLOW if how == TF2ONNX else sys.executable
    words = [python, HERE / "import_once.py", how, path, out, json.dumps(options)]
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if not done.returncode:
        return seconds, json.loads(done.stdout.strip().split("\n")[-1])
    said = [line for line in done.stderr.split("\n") if "Error" in line]
    return seconds, said[-1][:150] if said else f"exit code {done.returncode}"


def _bare(modules: Sequence[str]) -> int:
    """Bytes of a process that has imported these."""
    words = [sys.executable, HERE / "import_once.py", "imports", *modules]
    told: dict[str, Any] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return int(told["peak"])


def _graph(path: Path) -> str:
    nodes = onnx.load(path).graph.node
    transposes = Counter(node.op_type for node in nodes)["Transpose"]
    return f"{len(nodes)} nodes, {transposes} Transpose{'s' * (transposes != 1)}"


def _latency(ours: Path, theirs: Path, sides: int) -> tuple[np.ndarray, str]:
    """(seconds of ours / of theirs in each pair of runs, how far their sorted answers are apart, of their range)."""
    with Sides(_session, str(ours), str(theirs), sides) as both:
        one, other = both.answers("answers")
        runs = int(LONG / both.seconds("run", 2)[1:].mean())
        times = both.seconds("run", min(max(runs, LEAST), MOST))
        kinds = both.answers("kinds")
    ratios: np.ndarray = times[:, 1] / times[:, 0]
    if kinds[0] != kinds[1]:
        return ratios, "not compared: theirs takes bytes"
    if one.shape != other.shape:
        return ratios, f"{one.size} and {other.size} answers"
    return ratios, f"{np.abs(one - other).max() / (np.ptp(one) or 1):.1g} apart"


def _session(is_ours: bool, ours: str, theirs: str, sides: int) -> dict[str, Callable[[], Any]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(ours if is_ours else theirs, options, providers=["CPUExecutionProvider"])
    feeds = {given.name: _noise(given.shape, given.type, sides) for given in session.get_inputs()}
    kinds = [value.dtype for value in feeds.values()]
    run = partial(session.run, None, feeds)
    return {"run": run, "answers": lambda: _in_order(run()), "kinds": lambda: kinds}


def _in_order(values: Sequence[np.ndarray]) -> np.ndarray:
    """All numbers that come out, sorted: whichever order of axes a graph has."""
    return np.sort(np.concatenate([value.ravel().astype(np.float32) for value in values]))


def _noise(shape: Sequence[Any], kind: str, sides: int) -> np.ndarray:
    """The same image for either order of axes."""
    dims = [dim if isinstance(dim, int) and dim > 0 else (sides if axis else 1) for axis, dim in enumerate(shape)]
    last = len(dims) == 4 and dims[3] in (1, 3)
    first = [dims[0], dims[3], dims[1], dims[2]] if last else dims
    image = np.random.default_rng(0).random(first)
    image = image.transpose(0, 2, 3, 1) if last else image
    return np.ascontiguousarray((image * 255).astype("u1") if "int8" in kind else image.astype("f4"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
