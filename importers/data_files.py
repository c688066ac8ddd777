"""A model's further files, by the names that it has for them: they lie in its own folder, or are refused."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import InputError


def data_file(what: str, location: str, folder: Path) -> Path:
    """The file that a model calls `location`; `what` says in messages what it is to hold.

    Raises InputError when it is missing, outside `folder` (a link counts as what it leads to) or no regular file.
    """
    windows, posix = PureWindowsPath(location), PurePosixPath(location)
    if not location or windows.drive or windows.root or posix.root or ".." in (*windows.parts, *posix.parts):
        raise InputError(f"{what} must be a file inside the model's folder, found {location!r}; refused")
    try:
        path = (folder / location).resolve(strict=True)
        mode = path.stat().st_mode
    except (OSError, RuntimeError, ValueError):
        raise InputError(f"{what}: the file {location!r} is missing; it belongs in {folder}") from None
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{what}: {location!r} is a link out of the model's folder; refused")
    if not stat.S_ISREG(mode):
        raise InputError(f"{what}: {location!r} is not a regular file; refused")
    return path
