"""Files that are no model we import, recognised by content, so that the error can name what was found."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from .coreml.kinds import NEURAL_NETWORKS, PROGRAM, is_core_ml
from .keras.archive import is_archive
from .pytorch.archive import kind_of
from .tfjs.kinds import is_model_json
from .wire import top_level_fields
from .zip_members import members

_HEAD = 1 << 12  # bytes


@dataclass(frozen=True)
class Foreign:
    """A recognised format that is not imported."""

    name: str
    is_model: bool = True
    advice: str = ""


_PICKLE = Foreign(
    "a Python pickle", False, "; what it is shows only when it is run, so save its weights with torch.save"
)
_PROGRAM = "; pass the torch.export program that it was made from"
_COMPILED = "; it is compiled for one device: pass the model it was made from"
_RKNN, _OM = Foreign("an RKNN model", advice=_COMPILED), Foreign("an Ascend OM model", advice=_COMPILED)
_ENGINE = Foreign("a TensorRT engine", advice=_COMPILED)
_MAGIC: tuple[tuple[int, bytes, Foreign], ...] = (
    (4, b"ORTM", Foreign("an ONNX Runtime .ort model", advice="; pass the .onnx file it was made from")),
    (4, b"ET12", Foreign("an ExecuTorch program (.pte)", advice=_PROGRAM)),
    (4, b"CIR0", Foreign("a Circle model")),
    (4, b"MSL1", Foreign("a MindSpore Lite model")),
    (4, b"MSL2", Foreign("a MindSpore Lite model")),
    (4, b"mgv2", Foreign("a MegEngine model")),
    (4, b"TOSA", Foreign("a TOSA model")),
    (0, b"GGUF", Foreign("a GGUF model")),
    (0, b"RKNN", _RKNN),
    (0, b"RKNX", _RKNN),
    (0, b"CYPTRKNN", _RKNN),
    (0, b"IMOD", _OM),
    (0, b"PICO", _OM),
    (0, b"ptrt", _ENGINE),
    (0, b"ftrt", _ENGINE),
    (0, b"LDMK", Foreign("a kmodel", advice=_COMPILED)),
    (0, b"IMGDNN", Foreign("an IMGDNN model", advice=_COMPILED)),
    (0, b"\x02\0\xbc\xfa", Foreign("TNN weights (.tnnmodel)")),
    (0, b"\x04\0\xbc\xfa", Foreign("TNN weights (.tnnmodel)")),
    (0, b"\x80\x02", _PICKLE),
    (0, b"\x80\x03", _PICKLE),
    (0, b"\x80\x04", _PICKLE),
    (0, b"\x80\x05", _PICKLE),
    (0, b"\x93NUMPY", Foreign("a NumPy array", False)),
    (0, b"\xff\xd8\xff", Foreign("a JPEG image", False)),
    (0, b"\x89PNG\r\n\x1a\n", Foreign("a PNG image", False)),
    (0, b"GIF8", Foreign("a GIF image", False)),
    (0, b"II*\0", Foreign("a TIFF image", False)),
    (0, b"MM\0*", Foreign("a TIFF image", False)),
    (8, b"WEBP", Foreign("a WebP image", False)),
    (0, b"%PDF-", Foreign("a PDF document", False)),
    (0, b"\x1f\x8b", Foreign("a gzip archive", False, "; unpack it first")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", False, "; unpack it first")),
    (0, b"\x7fELF", Foreign("a program", False)),
    (257, b"ustar", Foreign("a tar archive", False, "; unpack it first")),
)
_WITH_WEIGHTS = "; pass the file of its weights and name this one with --companion"
# Text formats: a pattern at the start of the file (comments and blank lines skipped).
_TEXT: tuple[tuple[str, Foreign], ...] = (
    (r"version https://git-lfs", Foreign("a Git LFS pointer, not the file itself", False, "; run: git lfs pull")),
    (r"<!doctype html|<html", Foreign("an HTML page (a download that failed?)", False)),
    (r"<\?xml[^>]*>\s*<net\s|<net\s", Foreign("an OpenVINO model")),
    (r"\"\d+ \d+ \d+ 420662477[02] ?,", Foreign("a TNN model (.tnnproto)")),
    (r"version\s+\d+\.\d+\s*;.*?\bgraph\s+\w+\s*\(", Foreign("an NNEF graph")),
    (r"(#\w+ = [^\n]*\s+)*module\b[^\n{]*\{", Foreign("an MLIR module")),
    (r"\{.*?\"class_name\"", Foreign("a Keras architecture (.json)", False, _WITH_WEIGHTS)),
    (r"(net|train_net)\s*:|base_lr\s*:", Foreign("a Caffe solver", False, "; pass the net it names")),
)


def foreign_format(path: Path) -> Foreign | None:
    """What the file is when it is surely no format we import, else None."""
    if kind_of(path) is not None or is_archive(path) or is_model_json(path):  # zip and tar archives and pickles, too
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    magic = next((found for at, mark, found in _MAGIC if head[at:].startswith(mark)), None)
    if magic is not None:
        return magic
    recognisers: tuple[Callable[[Path, bytes], Foreign | None], ...] = (_zip, _bmp, _text, _protobuf)
    return next((found for recogniser in recognisers if (found := recogniser(path, head)) is not None), None)


def _zip(path: Path, head: bytes) -> Foreign | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    found = members(path)
    if found is None:
        return Foreign("a damaged zip archive", False)
    names = [name.lower() for name in found]
    if any(name.endswith("data/com.apple.coreml/model.mlmodel") for name in names):
        return Foreign("a Core ML package")
    if "dlc.metadata" in names:
        return Foreign("a Qualcomm DLC model")
    models = [name for name in names if name.endswith((".onnx", ".caffemodel"))]
    advice = f"; unpack it first: it holds {models[0]}" if models else ""
    return Foreign("a zip archive", False, advice)


def _bmp(path: Path, head: bytes) -> Foreign | None:
    if head.startswith(b"BM") and struct.unpack_from("<I", head.ljust(6), 2)[0] == path.stat().st_size:
        return Foreign("a BMP image", False)
    return None


def _text(path: Path, head: bytes) -> Foreign | None:
    if b"\0" in head:
        return None
    text = re.sub(r"\A(\s*#[^\n]*\n|\s+)*", "", head.decode("utf-8", "ignore").lstrip("\ufeff"))
    for pattern, found in _TEXT:
        if re.match(pattern, text, re.IGNORECASE | re.DOTALL):
            return found
    return None


def _protobuf(path: Path, head: bytes) -> Foreign | None:
    """Other frameworks' bare protobuf files, told by their top-level fields (number, wire type)."""
    fields = top_level_fields(path)
    kinds = fields.keys()
    if is_core_ml(kinds):
        return _core_ml(kinds)
    if {(1, 0), (2, 0), (3, 0), (4, 0)} <= kinds and kinds & {(5, 2), (5, 5)}:
        return Foreign("a Caffe mean image (.binaryproto)", False, "; pass the network's caffemodel or prototxt")
    return None


def _core_ml(kinds: Collection[tuple[int, int]]) -> Foreign | None:
    """None for neural networks, which are imported."""
    if NEURAL_NETWORKS & set(kinds):
        return None
    if PROGRAM in kinds:
        return Foreign("a Core ML program (mlprogram; of Core ML, neural networks are imported)")
    return Foreign("a Core ML model that is no single neural network")
