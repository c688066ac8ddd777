"""Which of PyTorch's files one is, and what it would run, from its bytes alone: nothing is unpickled or unpacked.

torch.save writes a zip whose entry data.pkl refers to tensors in other entries; torch.jit.save one that has the source
of the module's methods as well; torch.export.save one with the graph as JSON. Before version 1.6 torch.save wrote five
pickles in a row and then the numbers, before 0.1.10 a tar archive. safetensors is a JSON header and the numbers.
"""

from __future__ import annotations

import json
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ..errors import InputError
from ..zip_members import DAMAGE, leads_outside, members
from .pickle_scan import LARGEST, code_in, imports_of
from .programs import code_in_program, code_in_script

Kind = Literal["torchscript", "program", "saved", "legacy", "tar", "safetensors"]
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle: the number 0x1950a86a20f9469cfc6c
_LEGACY_PICKLES = 5  # magic number, protocol, system, object, keys of the storages
_ZIP = b"PK\x03\x04"
_HEAD = 512  # bytes
_MOST_ENTRIES = 200_000
_MOST_UNPACKED = 1 << 28  # bytes of all compressed entries: source text and pickles
_LARGEST_HEADER = 100_000_000  # bytes, safetensors' own limit


@dataclass(frozen=True)
class Contents:
    """What a file holds beside numbers."""

    kind: Kind
    code: tuple[str, ...] = ()  # what reading it would import or call that plain weights do not
    runs: bool = False  # reading it runs a program even where `code` is empty


def kind_of(path: Path) -> Kind | None:
    """Which of PyTorch's files it is, or None."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    if head.startswith(LEGACY_MAGIC):
        return "legacy"
    if head[257:262] == b"ustar" and _tar_names(path) >= {"sys_info", "pickle", "storages"}:
        return "tar"
    if (
        len(head) > 9
        and head[8:10] in (b'{"', b"{}", b"{ ")
        and struct.unpack_from("<Q", head)[0] < path.stat().st_size
    ):
        return "safetensors"
    return None


def _kind_of_zip(path: Path) -> Kind | None:
    inside = members(path)
    if inside is None:
        return None
    names = {"/".join(PurePosixPath(name).parts[1:]) for name in inside}  # without the archive's one folder
    if "constants.pkl" in names:
        return "torchscript"
    if "archive_format" in names or "serialized_exported_program.json" in inside:
        return "program"
    if any(name.startswith("models/") and name.endswith(".json") for name in names):
        return "program"
    return "saved" if "data.pkl" in names else None


def _tar_names(path: Path) -> set[str]:
    try:
        with tarfile.open(path, "r:") as archive:
            return {member.name for member, _ in zip(archive, range(8), strict=False)}
    except (tarfile.TarError, OSError, ValueError):
        return set()


def inspect(path: Path, kind: Kind) -> Contents:
    """What is in the file. Raises InputError for what no such file has: traversal, bombs, damaged pickles."""
    if kind == "safetensors":
        _check_safetensors(path)
        return Contents(kind)
    if kind == "legacy":
        with path.open("rb") as file:
            head = file.read(LARGEST)
        return Contents(kind, code_in(imports_of(head, _LEGACY_PICKLES)))
    if kind == "tar":  # torch reads it with Python's own unpickler or not at all
        with tarfile.open(path, "r:") as tar:
            stream = tar.extractfile("pickle") if "pickle" in tar.getnames() else None
            return Contents(kind, imports_of(stream.read(LARGEST)) if stream else ("a pickle",))
    with zipfile.ZipFile(path) as archive:
        _check_entries(archive, path.stat().st_size)
        return _inspect_zip(archive, kind)


def _inspect_zip(archive: zipfile.ZipFile, kind: Kind) -> Contents:
    if kind == "saved":
        return Contents(kind, code_in(_pickled(archive)))
    if kind == "torchscript":
        text = "\n".join(_read(archive, name).decode("utf-8", "replace") for name in _ending(archive, ".py"))
        return Contents(kind, code_in_script(_pickled(archive), text), runs=True)
    found: dict[str, None] = {}
    pickles: set[str] = set()
    for name in _ending(archive, ".json"):
        data = _read(archive, name)
        if data.startswith((_ZIP, b"\x80")):  # before version 2.7 pickles were called so too
            pickles.add(PurePosixPath(name).name)
        else:
            strange, named = code_in_program(data)
            found |= dict.fromkeys(strange)
            pickles.update(named)
    for name in archive.namelist():
        if name.endswith(".pt") or PurePosixPath(name).name in pickles:
            found |= dict.fromkeys(_code_in_nested(_read(archive, name)))
    return Contents(kind, tuple(found), runs=True)


def _code_in_nested(data: bytes) -> tuple[str, ...]:
    """Of a torch.save archive inside the archive."""
    if not data:
        return ()
    if not data.startswith(_ZIP):
        return code_in(imports_of(data, _LEGACY_PICKLES if data.startswith(LEGACY_MAGIC) else 1))
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            _check_entries(archive, len(data))
            return code_in(_pickled(archive))
    except zipfile.BadZipFile:
        raise InputError("an archive inside it is damaged") from None


def _check_entries(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    outside = next((name for name in names if leads_outside(name)), None)
    if outside is not None:
        raise InputError(f"the archive holds {outside!r}, a name outside its own folder")
    if len(entries) > _MOST_ENTRIES or len(set(names)) != len(names):
        raise InputError("the archive holds the same name twice, or too many names")
    unpacked = sum(entry.file_size for entry in entries if entry.compress_type != zipfile.ZIP_STORED)
    if sum(entry.compress_size for entry in entries) > size or unpacked > _MOST_UNPACKED:
        raise InputError("the archive claims to hold far more than the file does (a zip bomb)")
    if any(entry.file_size != entry.compress_size for entry in entries if entry.compress_type == zipfile.ZIP_STORED):
        raise InputError("the archive's table of contents contradicts itself")


def _ending(archive: zipfile.ZipFile, end: str) -> Iterator[str]:
    return (name for name in archive.namelist() if name.endswith(end))


def _pickled(archive: zipfile.ZipFile) -> tuple[str, ...]:
    """Imports of all entries that are pickles, wherever they lie: which folder torch reads is its reader's affair."""
    found = [imports_of(_read(archive, name)) for name in _ending(archive, ".pkl")]
    return tuple(dict.fromkeys(name for imports in found for name in imports))


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > LARGEST:
        raise InputError(f"its {PurePosixPath(name).name} is larger than {LARGEST >> 20} MiB")
    try:
        return archive.read(name)
    except DAMAGE as error:
        raise InputError(f"its {PurePosixPath(name).name} cannot be unpacked ({error})") from None


def _check_safetensors(path: Path) -> None:
    """The header is JSON, its tensors lie one after another within the file and have the sizes their shapes ask for."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        if length > min(size - 8, _LARGEST_HEADER):
            raise InputError(f"expected a safetensors header, found one that claims {length} bytes")
        try:
            header = json.loads(file.read(length))
            entries = [entry for name, entry in header.items() if name != "__metadata__"]
            _check_extents(entries, size - 8 - length)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise InputError("expected a safetensors header, found damaged JSON") from None


ELEMENT_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


def _check_extents(entries: list[dict[str, Any]], room: int) -> None:
    for entry in entries:
        start, end = (int(at) for at in entry["data_offsets"])
        sides = [int(side) for side in entry["shape"]]
        if entry["dtype"] not in ELEMENT_BYTES:
            raise InputError(f"safetensors: the type {entry['dtype']} is not known")
        wanted = ELEMENT_BYTES[entry["dtype"]] * prod(sides)
        if not 0 <= start <= end <= room or end - start != wanted or min(sides, default=0) < 0:
            raise InputError("safetensors: a tensor's place contradicts its shape or lies outside the file")
