"""Zip archives, in which several formats keep their parts: read in place, never unpacked."""

from __future__ import annotations

import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path

# What zipfile raises over a damaged archive.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, LZMAError),
    *(OSError, ValueError, RuntimeError, NotImplementedError, EOFError),
)


def members(path: Path) -> list[str] | None:
    """Their names; None where this is no archive, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except DAMAGE:
        return None


def leads_outside(name: str) -> bool:
    """Whether a member of that name would not lie in the folder that it is unpacked to."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or ".." in parts or ":" in parts[0] or "\0" in name
