"""The report's provenance: file and hash, opset, preprocessing and where each part of it came from, versions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...engine import quantities
from ...engine.model import Model
from ...engine.results import plain
from ...importers.certificate import certify, read_certificate
from ...importers.provenance import SEED, sha256

_PACKAGES = ("onnxray", "onnx", "onnxruntime-gpu", "onnxruntime", "numpy", "pillow")

Fact = tuple[str, str, str]  # name, value, where the value came from


def provenance(model: Model) -> dict[str, Any]:
    """Everything needed to make the same report again, as plain data.

    A model that was converted on reading is compared with its source here, unless its file says how that went.
    """
    certificate = read_certificate(model.proto) or certify(
        model.path, model.companion, model.proto, options=model.options
    )
    return {
        "file": model.path.name,
        "bytes": model.path.stat().st_size,
        "sha256": sha256(model.path),
        "source": model.source,
        "producer": f"{model.proto.producer_name} {model.proto.producer_version}".strip(),
        "ir_version": model.proto.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.proto.opset_import},
        "input": model.spec.to_json(),
        "certificate": plain(certificate),
        "verdict": " ".join(certificate.verdict()),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "seed": SEED,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def as_facts(data: dict[str, Any]) -> list[Fact]:
    """`provenance` in words, a row a fact."""
    spec = data["input"]
    origin = spec["origin"]
    opsets = ", ".join(f"{domain} {number}" for domain, number in data["opsets"].items())
    facts: list[Fact] = [
        ("File", f"{data['file']}, {quantities.size(data['bytes'])}", str(data["source"].get("format", ""))),
        ("SHA-256", data["sha256"], ""),
        *[("Read with", name, digest) for name, digest in _other_files(data)],
        ("Converter", _converter(data["source"]), ""),
        ("Producer", data["producer"] or "not stated", ""),
        ("ONNX", f"opset {opsets}; IR version {data['ir_version']}", ""),
        ("Parity with the source", data["verdict"], ""),
        ("Image size", "×".join(map(str, spec["size"] or ())) or "not stated", origin.get("size", "")),
        ("Resizing", spec["resize"], origin.get("resize", "")),
        ("Channels", f"{spec['channel_order']}, {spec['layout']}", origin.get("channel_order", "")),
        ("Mean", _numbers(spec["mean"], spec["mean_image"]), origin.get("mean", "")),
        ("Scale", _numbers(spec["scale"], None), origin.get("scale", "")),
        ("Labels", f"{len(spec['labels'])}" if spec["labels"] else "none", origin.get("labels", "")),
        ("Versions", ", ".join(f"{name} {found}" for name, found in data["versions"].items()), ""),
        ("Seed", f"{data['seed']}, of every random number drawn for this page", ""),
    ]
    return facts


def _converter(source: dict[str, Any]) -> str:
    if source.get("format", "onnx") == "onnx":
        return "none: the file is ONNX"
    return ", ".join(f"{name} {found}" for name, found in source.get("tools", {}).items())


def _other_files(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, digest) for name, digest in data["source"].get("sha256", {}).items() if name != data["file"]]


def _numbers(values: tuple[float, ...], image: list[int] | None) -> str:
    if image is not None:
        return f"mean image {quantities.shape(tuple(image))}"
    return ", ".join(f"{value:g}" for value in values)
