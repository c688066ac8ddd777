"""Any model file to ONNX.

`IMPORTERS` is the table of formats. `load` recognises a file by its content, lets the format's module read it, and
returns a standard `onnx.ModelProto` whose metadata carries the InputSpec and the provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class FormatOption:
    """An option that files of one format have: a keyword of `load`, and --name on the command line."""

    kind: type[str] | type[bool] | type[dict[Any, Any]]  # dict: name=value on the command line, several times
    help: str


@dataclass(frozen=True)
class Importer:
    """One row: a module with `read(path, companion) -> onnx.ModelProto`, and a sniffer in `sniff`.

    `read` may store what the file itself says: `write_input_spec` and, when it found further files, `write_source`.
    `read` and `reference` get the row's own options, and those of `load` that it `needs`, as keywords where given.
    """

    module: str
    suffixes: tuple[str, ...]
    sniffer: str  # a function of `importers.sniff`: (Path) -> bool
    companion: str = ""  # what the second file of a two-file format is
    options: Mapping[str, FormatOption] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # of `shapes`, `weights_alone` and the fields of InputSpec

    def chosen(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of all options given to `load`, those for `read` and `reference`."""
        return {name: given[name] for name in (*self.options, *self.needs) if given.get(name) is not None}


_CUSTOM = FormatOption(dict, "Keras layers: what writes one that only you know, LAYER=module:function.")
_OUTPUT_NAMES = FormatOption(str, "TensorFlow graphs: the nodes that are outputs, with commas.")

IMPORTERS: dict[str, Importer] = {  # tried in this order: what has a magic number first
    "pytorch": Importer(
        "pytorch",
        (".pt", ".pth", ".th", ".pt2", ".safetensors"),
        "is_pytorch",
        options={
            "arch": FormatOption(str, "PyTorch weights: their network, package.module:factory or file.py:factory(10)."),
            "key": FormatOption(str, "PyTorch weights: where they lie in the file (state_dict, say)."),
            "strip": FormatOption(str, "PyTorch weights: a prefix of their names that the network's lack."),
            "allow_code": FormatOption(bool, "PyTorch: run code that the file brings along."),
        },
        needs=("shapes", "size", "weights_alone"),
    ),
    "tflite": Importer(
        "tflite",
        (".tflite",),
        "is_tflite",
        options={"dequantize": FormatOption(bool, "TensorFlow Lite: floats where the file rounds; it has gradients.")},
        needs=("shapes",),
    ),
    "ncnn": Importer(
        "ncnn",
        (".param", ".bin"),
        "is_ncnn",
        companion="param or bin",
        needs=("shapes", "size"),
    ),
    "keras": Importer(
        "keras",
        (".h5", ".hdf5", ".keras"),
        "is_keras",
        companion="architecture (JSON) of bare weights",
        options={"custom": _CUSTOM},
    ),
    "tensorflow": Importer(
        "tensorflow",
        (".pb", ".pbtxt", ".meta"),
        "is_tensorflow",
        options={
            "output_names": _OUTPUT_NAMES,
            "signature": FormatOption(str, "SavedModels: which of their signatures or functions."),
        },
        needs=("shapes", "size"),
    ),
    "tfjs": Importer(
        "tfjs",
        (".json",),
        "is_tfjs",
        options={"custom": _CUSTOM, "output_names": _OUTPUT_NAMES},
        needs=("shapes", "size"),
    ),
    "darknet": Importer(
        "darknet",
        (".cfg", ".weights"),
        "is_darknet",
        companion="cfg or weights",
        options={"first_layers": FormatOption(str, "Darknet: so many layers only, as for weights of a backbone.")},
        needs=("size",),
    ),
    "paddle": Importer(
        "paddle",
        (".pdmodel", ".pdiparams", ".json"),
        "is_paddle",
        companion="pdmodel or pdiparams",
        needs=("shapes", "size"),
    ),
    "caffe2": Importer(
        "caffe2",
        (".pb", ".pbtxt"),
        "is_caffe2",
        companion="init_net or predict_net",
        needs=("shapes", "size"),
    ),
    "coreml": Importer("coreml", (".mlmodel",), "is_coreml"),
    "mxnet": Importer(
        "mxnet",
        (".params", ".json"),
        "is_mxnet",
        companion="symbol or params",
        needs=("shapes", "size"),
    ),
    "onnx": Importer("onnx_file", (".onnx",), "is_onnx"),
    "caffe": Importer("caffe", (".caffemodel", ".prototxt"), "is_caffe", companion="prototxt or caffemodel"),
}


def load(
    path: str | Path,
    *,
    companion: str | Path | None = None,  # the other half of a two-file format; found by itself when beside `path`
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> fixed shape
    weights_alone: bool = False,  # take weights that nobody names a network for: a graph of initializers, no nodes
    **options: Any,  # fields of InputSpec that override what the file says; options of the file's format
) -> onnx.ModelProto:
    """Read any supported model file as ONNX.

    Raises InputError when the file is of no known format, is broken, or does not fit the options.
    """
    from .errors import InputError
    from .input_spec import write_input_spec
    from .normalise import normalise
    from .preprocessing import apply_shapes, build_spec
    from .provenance import write_source
    from .sniff import recognise
    from .weights_alone import prepare

    path = Path(path)
    other = None if companion is None else Path(companion)
    name = recognise(path)
    if other is not None and not IMPORTERS[name].companion:
        raise InputError(f"{path}: expected one file, as {name} has no second half; drop the companion {other}")
    spec_options = _without_format_options(path, name, options)
    chosen = IMPORTERS[name].chosen({"shapes": shapes, "weights_alone": weights_alone or None, **options})
    proto = import_module(f".{IMPORTERS[name].module}", __name__).read(path, other, **chosen)
    spec = None
    try:
        if "weights_alone" in chosen and not proto.graph.node:
            prepare(proto, {"shapes": shapes, **spec_options})
        else:
            normalise(proto)
            apply_shapes(proto, shapes or {})
            spec = build_spec(proto, spec_options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_source(proto, [path] if other is None else [path, other], name)
    if spec is not None:
        write_input_spec(proto, spec)
    return proto


_KINDS: Mapping[type, str] = {str: "text", bool: "True or False", dict: "a dictionary"}


def _without_format_options(path: Path, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not a format's own. Raises InputError for one of another format, or of the wrong type."""
    from .errors import InputError

    kept = {}
    for option, value in given.items():
        formats = [other for other, importer in IMPORTERS.items() if option in importer.options]
        if not formats:
            kept[option] = value
        elif value is not None and name not in formats:
            raise InputError(f"{path}: {option} is an option for {' and '.join(formats)} files; this one is {name}")
        elif value is not None and not isinstance(value, kind := IMPORTERS[name].options[option].kind):
            raise InputError(f"{option} expects {_KINDS[kind]}, found {value!r}")
    return kept
