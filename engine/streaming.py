"""Many images through a network into a Zarr folder: any number of tensors, never more than one batch in memory.

    PATH/zarr.json            attributes: which model, tensors and images
    PATH/tensors/NAME         [images, …] one array a tensor; its name has %2F for a slash
    PATH/progress/zarr.json   attributes: how many images are done, which were skipped

A batch is recorded in `progress` after its arrays are written, so what is recorded is complete, and a run that was
stopped goes on behind it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from ..importers.errors import InputError, MissingExtra
from .images import ImageBatches

if TYPE_CHECKING:
    import zarr

    from .session import Session

_MEMORY = 2 << 30  # bytes beside what the process holds, when the session has no budget
_LONGEST_KEY = 200  # characters of an array's name; file systems end at 255 bytes
_LEVEL = 1  # of zstd: activations behind a ReLU are half zeros, more effort gains little


@dataclass(frozen=True)
class Stream:
    """Tensors of many images on disk."""

    path: Path
    images: tuple[str, ...]  # one a row of every array
    tensors: tuple[str, ...]  # what is stored
    left_out: tuple[str, ...]  # asked for, but constant or without a batch axis
    skipped: tuple[tuple[str, str], ...]  # broken images: path, reason

    def array(self, tensor: str) -> zarr.Array:
        """The values of a tensor, [images, …], read from disk as they are sliced."""
        return _zarr().open_group(self.path, mode="r")["tensors"][_key(tensor)]


def stream(
    session: Session,
    batches: ImageBatches,
    tensors: Sequence[str],
    path: Path,
    progress: Callable[[int, int], None] | None,
) -> Stream:
    """As `Session.stream`."""
    wanted = [name for name in tensors if session.batching.has_batch_axis(name)]
    if not wanted:
        raise InputError(f"none of the {len(tensors)} tensors asked for differs from image to image")
    memory = session.memory or session.batching.resident + _MEMORY
    session.batching.check(memory, wanted, held=0)
    record = _Record.open(path, _identity(session, batches, wanted))
    rest = batches.rest(record.consumed, session.batching.stream_size(wanted, memory))
    for paths, batch in rest:
        values = session.run_unchecked(batch, wanted)
        for name in wanted:
            record.write(name, session.batching.per_image(name, values.pop(name), len(batch)), rest.batch_size)
        record.advance(len(paths), rest)
        if progress is not None:
            progress(record.consumed, len(batches))
    record.finish(rest)
    left_out = tuple(name for name in tensors if name not in wanted)
    return Stream(path, record.kept(batches.paths), tuple(wanted), left_out, tuple(record.skipped))


class _Record:
    """The Zarr folder that is being written."""

    def __init__(self, group: zarr.Group) -> None:
        self.group: Any = group  # zarr's own types do not tell a group's arrays from its groups
        done: dict[str, Any] = dict(group["progress"].attrs)
        self.consumed: int = done.get("consumed", 0)  # images read or skipped
        self.rows: int = done.get("rows", 0)  # images stored
        self.skipped: list[tuple[str, str]] = [(path, reason) for path, reason in done.get("skipped", [])]
        self._earlier = list(self.skipped)

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> _Record:
        """A new folder, or the one of an earlier call with the same arguments.

        Raises InputError when something else is there.
        """
        zarr = _zarr()
        if path.exists():
            try:
                group = zarr.open_group(path, mode="r+")
                same = dict(group.attrs) == identity
            except Exception:  # whatever zarr says of a folder that is none of its own
                same = False
            if not same:
                raise InputError(f"{path} holds something else than this model, these tensors and these images")
            return cls(group)
        group = zarr.create_group(path)
        group.create_group("tensors")
        group.create_group("progress")
        group.attrs.update(identity)
        return cls(group)

    def write(self, tensor: str, values: np.ndarray, rows_a_chunk: int) -> None:
        """Store the next images' values of one tensor, [n, …].

        Raises InputError when they have another shape than those before.
        """
        arrays, key = self.group["tensors"], _key(tensor)
        if key not in arrays:
            arrays.create_array(
                key,
                shape=(0, *values.shape[1:]),
                chunks=(rows_a_chunk, *(max(size, 1) for size in values.shape[1:])),
                dtype=values.dtype,
                compressors=_zarr().codecs.ZstdCodec(level=_LEVEL),
                attributes={"tensor": tensor},
            )
        array = arrays[key]
        if array.shape[1:] != values.shape[1:]:
            raise InputError(
                f"the tensor {tensor} has another shape for every image ({values.shape[1:]} after {array.shape[1:]}): "
                "it cannot be stored as one array"
            )
        array.resize((self.rows + len(values), *values.shape[1:]))
        array[self.rows :] = values

    def advance(self, rows: int, batches: ImageBatches) -> None:
        """Record a batch as complete."""
        self.rows += rows
        self._save(batches)

    def finish(self, batches: ImageBatches) -> None:
        """Record the broken images behind the last batch."""
        self._save(batches)

    def _save(self, batches: ImageBatches) -> None:
        self.consumed = batches.consumed
        self.skipped = self._earlier + [(str(path), reason) for path, reason in batches.skipped]
        done = {"consumed": self.consumed, "rows": self.rows, "skipped": [list(pair) for pair in self.skipped]}
        self.group["progress"].attrs.update(done)

    def kept(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """The images of the rows."""
        broken = {path for path, _ in self.skipped}
        return tuple(str(path) for path in paths if str(path) not in broken)


def _identity(session: Session, batches: ImageBatches, tensors: Sequence[str]) -> dict[str, Any]:
    """What a second run must share with the first in order to continue it."""
    model = session.model
    spec = {name: value for name, value in model.spec.to_json().items() if name not in ("labels", "origin")}
    mean_image = model.spec.mean_image
    spec["mean_image"] = None if mean_image is None else float(np.sum(mean_image, dtype=np.float64))
    return _through_json(
        {
            "model": model.name,
            "source": model.source.get("sha256", {}),
            "input": spec,
            "shape": list(batches.shape),
            "tensors": list(tensors),
            "images": [str(path) for path in batches.paths],
        }
    )


def _through_json(plain: dict[str, Any]) -> dict[str, Any]:
    """Tuples as lists, so that it compares equal to what is read back."""
    return json.loads(json.dumps(plain))


def _key(tensor: str) -> str:
    """The tensor's name as one that may stand in a path; one that is too long or means something else there as its
    end and its hash."""
    key = quote(tensor, safe="")
    if len(key) <= _LONGEST_KEY and key.strip(".") and key != "zarr.json":
        return key
    return f"{key[-_LONGEST_KEY // 2 :].lstrip('.')}-{hashlib.sha256(tensor.encode()).hexdigest()[:16]}"


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise MissingExtra("writing many images' activations", "zarr") from None
    return zarr
