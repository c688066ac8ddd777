"""Where a converted model came from: file, hash, format, tool versions. Kept in the ONNX file's `metadata_props`."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from .input_spec import get_metadata, set_metadata

METADATA_KEY = "onnxray.source"


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def write_source(proto: onnx.ModelProto, path: Path, companion: Path | None, file_format: str) -> None:
    """Store which file(s) the model was read from, unless an earlier conversion already did."""
    if get_metadata(proto, METADATA_KEY) is not None:
        return
    files = {part.name: sha256(part) for part in (path, companion) if part is not None}
    source = {"format": file_format, "sha256": files, "tools": tool_versions()}
    set_metadata(proto, METADATA_KEY, json.dumps(source))


def read_source(proto: onnx.ModelProto) -> dict[str, Any]:
    """What `write_source` stored, or an empty dict."""
    text = get_metadata(proto, METADATA_KEY)
    return json.loads(text) if text else {}


def tool_versions() -> dict[str, str]:
    """Versions of onnxray and of the packages that shape its results."""
    return {name: _version(name) for name in ("onnxray", "onnx", "numpy")}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
