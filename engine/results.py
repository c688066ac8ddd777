"""Result: what every analysis returns: frozen data with its provenance. Pictures and pages are made from it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..importers.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

_LONGEST_NAME = 150  # bytes; file systems end at 255, and numbers and suffixes are added


@dataclass(frozen=True)
class Result:
    """Base of the result types: arrays, tables and where they came from."""

    def to_json(self) -> dict[str, Any]:
        """Plain data that `json.dumps` takes: arrays up to a thousand elements as lists, larger ones as their shape."""
        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def arrays(self) -> dict[str, np.ndarray]:
        """What `save` writes in full, by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def save(self, path: str | Path) -> None:
        """Write PATH.json with the plain data and, where there are arrays, PATH.npz with all of them in full."""
        data, values = saved_files(path)
        arrays = self.arrays()
        if arrays:
            with _whole_file(values) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        write_text(data, json.dumps(self.to_json(), indent=1))


def saved_files(path: str | Path) -> tuple[Path, Path]:
    """PATH.json and PATH.npz; the path may have either suffix already.

    Raises InputError when it names no file.
    """
    path = Path(path)
    if path.name in ("", ".."):
        raise InputError(f"expected a file name to save under, found {str(path)!r}")
    stem = path.stem if path.suffix in (".json", ".npz") else path.name
    return path.with_name(f"{stem}.json"), path.with_name(f"{stem}.npz")


def plain(value: Any) -> Any:
    """`value` as data that `json.dumps` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field.name for field in dataclasses.fields(value) if not field.name.startswith("_"))
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= 1000 else {"shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def file_name(text: str) -> str:
    """A file's name, without suffix, from any text: the end of a long one, letters, digits, `.`, `-` and `_` only."""
    plain_text = re.sub(r"[^\w.\-]+", "_", text).encode("utf-8")[-_LONGEST_NAME:].decode("utf-8", "ignore")
    return plain_text.strip("._") or "unnamed"


def write_text(path: str | Path, text: str) -> None:
    """Write a whole file or nothing: to a temporary name beside it, then renamed."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """As `write_text`, for bytes. Raises InputError when there is no such folder or it may not be written to."""
    with _whole_file(Path(path)) as temporary:
        temporary.write_bytes(data)


def write_png(path: str | Path, picture: PIL.Image.Image) -> None:
    """As `write_text`, for a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` when all went well, and is gone otherwise."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror})") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
