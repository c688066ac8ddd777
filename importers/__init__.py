"""Any model file to ONNX.

`IMPORTERS` is the table of formats. `load` recognises a file by its content, lets the format's module read it, and
returns a standard `onnx.ModelProto` whose metadata carries the InputSpec and the provenance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Importer:
    """One row: a module with `read(path, companion) -> onnx.ModelProto`, and a sniffer in `sniff`.

    `read` may store what the file itself says: `write_input_spec` and, when it found further files, `write_source`.
    """

    module: str
    suffixes: tuple[str, ...]
    sniffer: str  # a function of `importers.sniff`: (Path) -> bool
    extra: str | None = None  # pip extra it needs
    companion: str = ""  # what the second file of a two-file format is


IMPORTERS: dict[str, Importer] = {
    "onnx": Importer("onnx_file", (".onnx",), "is_onnx"),
    "caffe": Importer("caffe", (".caffemodel", ".prototxt"), "is_caffe", companion="prototxt or caffemodel"),
}


def load(
    path: str | Path,
    *,
    companion: str | Path | None = None,  # the other half of a two-file format; found by itself when beside `path`
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> fixed shape
    **spec_options: Any,  # fields of InputSpec that override what the file says
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

    path = Path(path)
    other = None if companion is None else Path(companion)
    name = recognise(path)
    proto = import_module(f".{IMPORTERS[name].module}", __name__).read(path, other)
    try:
        normalise(proto)
        apply_shapes(proto, shapes or {})
        spec = build_spec(proto, spec_options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    write_source(proto, [path] if other is None else [path, other], name)
    write_input_spec(proto, spec)
    return proto
