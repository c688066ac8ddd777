"""What kind of TensorFlow file something is, told by content, and which file is meant by a folder or a prefix."""

from __future__ import annotations

import re
from pathlib import Path

from ..wire import BYTES, VARINT, start_of_first, top_level_fields

SAVED_MODEL, META_GRAPH, GRAPH = "SavedModel", "MetaGraph", "Graph"  # messages of `wire_schema`
_HEAD = 1 << 16  # bytes
_GRAPH_FIELDS = {(1, BYTES), (2, BYTES), (3, VARINT), (4, BYTES)}
_META_FIELDS = {(number, BYTES) for number in range(1, 8)}
_META_STARTS = (b"\x12", b"\x22", b"\x2a")  # its operators, tags or TensorFlow's version
_COMMENT = r"(\s*#[^\n]*\n|\s)*"
_TEXT = {
    SAVED_MODEL: re.compile(_COMMENT + r"(meta_graphs\s*\{|saved_model_schema_version\s*:)"),
    META_GRAPH: re.compile(_COMMENT + r"(meta_info_def|graph_def|saver_def)\s*\{"),
    GRAPH: re.compile(_COMMENT + r"node\s*\{"),
}
_PART = re.compile(r"\.(index|data-\d+-of-\d+)$")
_LATEST = re.compile(r'^\s*model_checkpoint_path:\s*"([^"\n]+)"', re.MULTILINE)


def kind_of(path: Path) -> str | None:
    """SAVED_MODEL, META_GRAPH (a checkpoint's graph) or GRAPH; None where it is no file of TensorFlow's.

    All are bare protobuf: a graph holds nodes that start with their name, its versions, its functions; a checkpoint's
    graph what it is, itself, how it is saved; a SavedModel the schema's number, then such graphs.
    """
    fields = top_level_fields(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if min(head, default=0) > 8 and b"{" in head:  # no control characters: lengths and tags of the binary form are some
        text = head.decode("utf-8", "ignore")
        return next((kind for kind, pattern in _TEXT.items() if pattern.match(text)), None)
    found = fields.keys()
    if found == {(1, VARINT), (2, BYTES)} and head[:1] == b"\x08" and start_of_first(head[2:], 2)[:1] == b"\n":
        return SAVED_MODEL
    start = start_of_first(head)[:1]
    alone = found <= _META_FIELDS and fields[1, BYTES] == fields[2, BYTES] == 1
    if alone and (start in _META_STARTS or (start == b"\n" and fields[3, BYTES] == 1)):
        return META_GRAPH
    return GRAPH if found <= _GRAPH_FIELDS and fields[1, BYTES] and start == b"\n" else None


def graph_file(path: Path) -> Path:
    """The file of the graph: of a folder that is a SavedModel or that holds a checkpoint, of a checkpoint's prefix or
    of its other files. Any other path is returned as it is.
    """
    if path.is_dir():
        names = ("saved_model.pb", "saved_model.pbtxt", *_checkpoint(path))
        return next((path / name for name in names if (path / name).exists()), path)
    prefix = _PART.sub("", path.name)
    meta = path.with_name(f"{prefix}.meta")
    return meta if (prefix != path.name or not path.exists()) and meta.is_file() else path


def _checkpoint(folder: Path) -> list[str]:
    """The graph of a folder's checkpoint: that of the latest as the folder says, or its only one."""
    listed = folder / "checkpoint"
    if listed.is_file():
        with listed.open("rb") as file:
            latest = _LATEST.search(file.read(_HEAD).decode("utf-8", "ignore"))
        if latest is not None:  # it may be a path on another machine: the name counts
            name = latest[1].replace("\\", "/").rpartition("/")[2]
            return [f"{name}.meta"]
    found = [entry.name for entry in folder.glob("*.meta")]
    return found if len(found) == 1 else []
