"""Where a converted model came from: file, hash, format, tool versions. Kept in the ONNX file's `metadata_props`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from .input_spec import get_metadata, set_metadata

METADATA_KEY = "onnxray.source"
SEED = 0  # of every random number drawn in this package; the report states it
_HASHED = 1 << 31  # bytes: reading more than this would take longer than most analyses


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_source(proto: onnx.ModelProto, files: Sequence[Path], file_format: str) -> None:
    """Store which file(s) the model was read from; what is stored already (by the importer itself, which knows the
    files it found, or by an earlier conversion) stays.
    """
    if get_metadata(proto, METADATA_KEY) is not None:
        return
    hashes = {part.name: _identity(part) for part in files}
    source = {"format": file_format, "sha256": hashes, "tools": tool_versions()}
    set_metadata(proto, METADATA_KEY, json.dumps(source))


def _identity(path: Path) -> str:
    size = path.stat().st_size
    return sha256(path) if size <= _HASHED else f"not hashed: {size} bytes"


def read_source(proto: onnx.ModelProto) -> dict[str, Any]:
    """What `write_source` stored, or an empty dict."""
    text = get_metadata(proto, METADATA_KEY)
    try:
        source = json.loads(text or "{}")
    except ValueError:
        return {}
    return source if isinstance(source, dict) else {}


def tool_versions() -> dict[str, str]:
    """Versions of onnxray and of the packages that shape its results."""
    return {name: _version(name) for name in ("onnxray", "onnx", "numpy")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
