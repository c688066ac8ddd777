"""What can be read, format by format: `SUPPORT` says what no table of the code does, `formats` puts it all together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec

from . import IMPORTERS, Importer
from .errors import InputError, nearest_names

# A module of an importer, and the function of it that gives its table: layer or operator -> function.
_TABLES = (("layers", "layer_functions"), ("operators", "operator_functions"))


@dataclass(frozen=True)
class Support:
    """One format in words."""

    title: str
    reads: str  # versions and kinds of file
    refuses: str  # by name, in one line
    witness: str  # who certifies a conversion
    tried: str  # trained networks of the tests, and what else
    install: str = ""  # what the witness needs of pip
    page: str = ""  # of the documentation; "": the importer's name


SUPPORT: Mapping[str, Support] = {
    "onnx": Support(
        title="ONNX",
        reads="opset 7 to the newest, any IR version, external data, > 2 GB, functions, If / Loop, fp16, QDQ, QLinear",
        refuses="training graphs; operators of unknown domains are shown, not run",
        witness="none: it is ONNX already",
        tried="PP-OCR cls and rec, PP-seg, Prisma U-Net, SINet, UltraFace; onnx's 1,884 operator tests",
    ),
    "caffe": Support(
        title="Caffe",
        reads="V0, V1 and V2 prototxt and caffemodel, train_val files, caffemodel alone",
        refuses="Python, Proposal and recurrent layers",
        witness="OpenCV",
        install="onnxray[verify]",
        tried="LeNet, CIFAR-10 quick, UltraFace",
    ),
    "keras": Support(
        title="Keras",
        reads="`.h5` of Keras 1 to 3, `.keras`; weights alone with their architecture (JSON) as `--companion`; masks",
        refuses="Lambda and custom layers, but with a function of yours (`--custom`)",
        witness="Keras on torch",
        install="keras",
        tried="mini-Xception; 1,300 random models",
    ),
    "tensorflow": Support(
        title="TensorFlow",
        reads="frozen graphs, SavedModels and checkpoints with their variables; functions, branches that are known",
        refuses="loops and recurrent layers",
        witness="TensorFlow, or OpenCV, which knows less",
        install="onnxray[tensorflow]",
        tried="DeepLab, PP-seg; random graphs",
    ),
    "tflite": Support(
        title="TensorFlow Lite",
        reads="float, half-precision, 8-bit; labels and scale from metadata; `--dequantize`",
        refuses="custom operators but the detectors', control flow",
        witness="LiteRT",
        install="ai-edge-litert",
        tried="MobileNetV2 in 8 bits, mini-Xception, UltraFace, 140 public files",
    ),
    "tfjs": Support(
        title="TensorFlow.js",
        reads="layers-models and graph-models (`model.json`, weights beside it), shards, weights in 8 or 16 bits",
        refuses="loops; custom layers, but with a function of yours (`--custom`)",
        witness="TensorFlow.js in Node; else Keras, TensorFlow, OpenCV",
        install="keras",
        tried="ESRGAN-slim; 1,500 random layers-models",
    ),
    "pytorch": Support(
        title="PyTorch",
        reads="TorchScript, `torch.export` programs; weights with `--arch package.module:factory`, or alone for "
        "`summary` and `weights`; pickled modules with `--allow-code`; all in a sandbox",
        refuses="what neither of torch's exporters writes; the input's size is to be said",
        witness="torch",
        tried="EfficientNet-Lite0, MTCNN, ResNet-20, SINet, two MNIST networks",
    ),
    "darknet": Support(
        title="Darknet",
        reads="cfg with weights of versions 0.1 and later: YOLO v1 to v4, tiny, fastest, classifiers; weights of a "
        "backbone with `--first-layers`; boxes with `predict --detect`",
        refuses="recurrent layers, Gaussian_yolo, binary convolutions, class trees",
        witness="OpenCV",
        install="onnxray[verify]",
        tried="Yolo-Fastest; Darknet's own cfgs with random weights",
    ),
    "ncnn": Support(
        title="NCNN",
        reads="`.param`, text or binary, with `.bin`: floats, half precision, 8 bits",
        refuses="recurrent and ROI layers, deformable convolutions, layers of your own",
        witness="NCNN",
        install="onnxray[ncnn]",
        tried="SqueezeNet 1.1, UltraFace, Yolo-Fastest; 2,000 random layers",
    ),
    "mxnet": Support(
        title="MXNet",
        reads="symbols of 0.8 to 1.9 with parameters in every form of NDArray; Gluon's exports",
        refuses="Custom, quantised and recurrent operators, detectors but SSD, control flow, sparse arrays, MXNet 2",
        witness="MXNet 1.9, in the Python that ONNXRAY_MXNET_PYTHON names",
        tried="MTCNN, eight networks of Gluon's zoo, 2,000 random ones",
    ),
    "paddle": Support(
        title="PaddlePaddle",
        reads="programs for inference of versions 1 to 3 (`.pdmodel`, `__model__`, PIR's `.json`), weights in one file "
        "or many",
        refuses="loops and branches, 8-bit operators, deformable convolutions",
        witness="PaddlePaddle",
        install="onnxray[paddle]",
        tried="PP-OCR cls and rec",
    ),
    "coreml": Support(
        title="Core ML",
        reads="neural networks of every version, classifiers with their labels, weights of every storage",
        refuses="programs (mlprogram), pipelines, recurrent layers and control flow",
        witness="none: only Apple's systems run it",
        tried="SINet",
    ),
    "caffe2": Support(
        title="Caffe2",
        reads="predict_net (binary or text) with init_net, orders NCHW and NHWC",
        refuses="8-bit operators, detectors', recurrent ones; weights that are drawn at random",
        witness="none: no Python of today has it",
        tried="a public MNIST network (by hand); 2,800 random operators",
    ),
}


@dataclass(frozen=True)
class FormatSupport:
    """One format: what the tables of the code say, and the words for it."""

    name: str
    importer: Importer
    words: Support

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How files of it are mostly called; a file is told by its content."""
        return self.importer.suffixes

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The types of layers or operators that have a function; none where no table of ours decides."""
        package = f"{__package__}.{self.importer.module}"
        tables = [(f"{package}.{module}", function) for module, function in _TABLES if _is_there(package, module)]
        return tuple(sorted(kind for module, function in tables for kind in getattr(import_module(module), function)()))

    def to_json(self) -> dict[str, object]:
        """Plain data for JSON."""
        words = self.words
        return {
            "name": self.name,
            "title": words.title,
            "suffixes": list(self.suffixes),
            "companion": self.importer.companion,
            "options": {name: option.help for name, option in self.importer.options.items()},
            "reads": words.reads,
            "layers": list(self.layers),
            "refuses": words.refuses,
            "witness": words.witness,
            "install": words.install,
            "tried": words.tried,
        }


def _is_there(package: str, module: str) -> bool:
    """Whether an importer, which may be one file, has a part of that name."""
    found = find_spec(package)
    return found is not None and bool(found.submodule_search_locations) and find_spec(f"{package}.{module}") is not None


def formats() -> list[FormatSupport]:
    """Every format that can be read, in the order of the documentation."""
    return [FormatSupport(name, IMPORTERS[name], words) for name, words in SUPPORT.items()]


def format_called(name: str) -> FormatSupport:
    """By the importer's name, the title or an ending. Raises InputError when there is none."""
    plain = name.lower()
    found = formats()
    for row in found:
        if plain in (row.name, row.words.title.lower()) or f".{plain.lstrip('.')}" in row.suffixes:
            return row
    raise InputError(f"no format is called {name}; {nearest_names(plain, [row.name for row in found])}")
