"""Which format a file is, from its content: the suffix is never trusted alone.

ONNX and Caffe files are both bare protobuf, without a magic number, so the top-level field numbers are read: an ONNX
ModelProto has a `graph` (7) and an `opset_import` (8); a Caffe NetParameter has `layer` (100) or `layers` (2).
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from . import IMPORTERS
from .coreml.kinds import NEURAL_NETWORKS, PACKAGE, is_core_ml
from .errors import InputError
from .foreign import foreign_format
from .paddle.files import is_program, is_weights, program_file
from .tensorflow.kinds import graph_file
from .tensorflow.kinds import kind_of as kind_of_tensorflow
from .wire import BYTES, VARINT, top_level_fields

_TEXT_HEAD = 1 << 16  # bytes
_LAYER = re.compile(r"^\s*layers?\s*:?\s*\{", re.MULTILINE)
_DARKNET = re.compile(r"(?:[^\S\n]*(?:[#;][^\n]*)?\n)*+[^\S\n]*\[\s*net(work)?\s*\]", re.IGNORECASE)
_ONNX_HEAD = {(1, VARINT), (2, BYTES), (3, BYTES), (4, BYTES), (5, VARINT), (6, BYTES)}


def recognise(path: Path) -> str:
    """The name of the format in IMPORTERS.

    Raises InputError when the file is missing, empty, a folder (but a SavedModel's or a checkpoint's) or of a format
    we cannot import (named, if known).
    """
    for name, file in (("paddle", program_file(path)), ("tensorflow", graph_file(path))):
        if file != path:
            _check_readable(file)
            return name
    _check_readable(path)
    foreign = foreign_format(path)
    if foreign is None:
        for name, importer in IMPORTERS.items():
            if globals()[importer.sniffer](path):
                return name
    known = ", ".join(IMPORTERS)
    if foreign is None:
        raise InputError(
            f"{path}: expected a model file, found unknown content; formats that can be imported: {known} "
            "(`onnxray formats`); `onnxray view` shows others, where Netron knows them"
        )
    if foreign.is_model:
        raise InputError(
            f"{path}: recognised as {foreign.name}, which onnxray cannot import yet (it imports {known}); "
            f"`onnxray view` shows it, as Netron does{foreign.advice}"
        )
    raise InputError(f"{path}: expected a model file, found {foreign.name}{foreign.advice}")


def _check_readable(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"expected a model file, found a folder: {path}{_inside(path)}")
    if not path.exists():
        raise InputError(f"no such file: {path}")
    if not path.is_file():
        raise InputError(f"expected a model file, found a device or pipe: {path}")
    if path.stat().st_size == 0:
        raise InputError(f"expected a model file, found an empty file: {path}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _inside(folder: Path) -> str:
    """What is worth saying about a folder: the model files in it."""
    suffixes = {suffix for importer in IMPORTERS.values() for suffix in importer.suffixes}
    models = sorted(entry.name for entry in folder.iterdir() if entry.suffix in suffixes)[:3]
    if (folder / PACKAGE).is_file():
        models = [PACKAGE]
    return f"; did you mean {', '.join(models)} in it?" if models else ""


def is_onnx(path: Path) -> bool:
    """Binary ModelProto: a graph, and nothing that only a Caffe net has. A file called .onnx only has to start so."""
    fields = top_level_fields(path)
    if (7, BYTES) in fields and ((1, VARINT) in fields or (8, BYTES) in fields):
        return True
    return path.suffix.lower() == ".onnx" and (fields.keys() <= _ONNX_HEAD or (1, VARINT) in fields)


def is_caffe(path: Path) -> bool:
    """Binary NetParameter, or a prototxt."""
    fields = top_level_fields(path)
    layers = fields.keys() & {(100, BYTES), (2, BYTES)}
    if layers and (1, VARINT) not in fields and (7, BYTES) not in fields and fields[1, BYTES] <= 1:
        return True
    return _is_prototxt(path)


def is_pytorch(path: Path) -> bool:
    """What torch.save, torch.jit.save or torch.export.save wrote, or safetensors."""
    from .pytorch.archive import kind_of

    return kind_of(path) is not None


def is_coreml(path: Path) -> bool:
    """A model of Core ML that is a neural network."""
    kinds = top_level_fields(path).keys()
    return is_core_ml(kinds) and bool(kinds & NEURAL_NETWORKS)


def is_caffe2(path: Path) -> bool:
    """A net of operators, binary or text: predict_net or init_net."""
    from .caffe2.kinds import is_net

    return is_net(path)


def is_tflite(path: Path) -> bool:
    """A FlatBuffer with TensorFlow Lite's identifier."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"TFL3"


def is_ncnn(path: Path) -> bool:
    """A .param of either form, or weights: half-precision ones have a tag, others their .param beside them."""
    from .ncnn.companion import has_tag, is_param, param_beside

    if is_param(path) or has_tag(path):
        return True
    return path.suffix.lower() == ".bin" and param_beside(path) is not None


def is_tensorflow(path: Path) -> bool:
    """A graph, a SavedModel or the graph of a checkpoint, binary or text."""
    return kind_of_tensorflow(path) is not None


def is_tfjs(path: Path) -> bool:
    """A model.json of TensorFlow.js."""
    from .tfjs.kinds import is_model_json

    return is_model_json(path)


def is_darknet(path: Path) -> bool:
    """A cfg, or weights: three small numbers (0, a minor version, a revision) and a count of images."""
    with path.open("rb") as file:
        head = file.read(_TEXT_HEAD)
    if len(head) < 16 or b"\0" not in head:
        return _DARKNET.match(head.decode("utf-8-sig", "ignore")) is not None
    major, minor, revision = struct.unpack_from("<3i", head)
    return major == 0 and 0 < minor < 2000 and 0 <= revision < 1000


def is_paddle(path: Path) -> bool:
    """A program, or weights in one file."""
    return is_program(path) or is_weights(path)


def is_keras(path: Path) -> bool:
    """HDF5, or Keras 3's archive; what else is kept in HDF5 the reader tells."""
    from .keras.archive import is_archive
    from .keras.hdf5_objects import MAGIC

    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC or is_archive(path)


def is_mxnet(path: Path) -> bool:
    """A symbol, or parameters."""
    from .mxnet.source import is_params, is_symbol

    return is_params(path) or is_symbol(path)


def _is_prototxt(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_TEXT_HEAD)
    if b"\0" in head:
        return False
    text = head.decode("utf-8", "ignore")
    return path.suffix.lower() == ".prototxt" or _LAYER.search(text) is not None
