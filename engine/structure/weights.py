"""Statistics of every weight of a model, from the file alone; one tensor is in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...importers.provenance import SEED
from ..results import Result, file_name, write_text
from .spectral import spectral_norm
from .stored_weights import Weight, as_filters, find_weights, read_weight, stored_weights

if TYPE_CHECKING:
    from ..model import Model

DEAD = 1e-3  # of the tensor's largest magnitude: a filter with nothing above it is dead
SAME = 1e-2  # of the larger norm: two filters no further apart are duplicates
BINS = 64
_PIECE = 1 << 22  # elements widened to float64 at a time
_DIRECTIONS = 16  # of the projection that finds candidates for duplicates
MOST_COMPARED = 1 << 16  # filters of which all pairs are compared
_ROWS = 512  # filters compared at a time
_COLUMNS = 1 << 14  # with this many others at a time


@dataclass(frozen=True)
class WeightRow:
    """One weight tensor, as the node that uses it sees it. Values that are not finite count in `not_finite` only."""

    name: str  # of the stored tensor
    layer: str  # the first node that uses it
    layers: tuple[str, ...]  # all of them
    op: str
    role: str  # "weight", "bias", "scale", "mean" …
    shape: tuple[int, ...]
    dtype: str  # as stored; quantised values are looked at as the real numbers they stand for
    elements: int
    min: float | None  # None: there is no finite value
    max: float | None
    mean: float | None
    std: float | None
    zeros: float  # share of exact zeros
    not_finite: int
    filters: int | None  # None: not a tensor of filters
    dead: tuple[int, ...]  # filters with every magnitude below DEAD of the tensor's largest
    duplicates: tuple[tuple[int, int], ...]  # (filter, the earlier one it repeats), dead ones left out
    spectral_norm: float | None  # largest singular value of the [out, in * kernel] matrix
    histogram: np.ndarray = field(repr=False)  # [BINS] counts from min to max


@dataclass(frozen=True)
class WeightStatistics(Result):
    """A row a weight tensor, in the order in which the network uses them."""

    model: str
    rows: tuple[WeightRow, ...]

    @property
    def elements(self) -> int:
        """Stored values in all rows."""
        return sum(row.elements for row in self.rows)

    @property
    def dead(self) -> int:
        """Dead filters of the whole model."""
        return sum(len(row.dead) for row in self.rows)

    @property
    def duplicates(self) -> int:
        """Filters of the whole model that repeat another of their layer."""
        return sum(len(row.duplicates) for row in self.rows)


def weight_statistics(model: Model, layer: str | None = None) -> WeightStatistics:
    """Range, spread, zeros, dead and duplicate filters and spectral norm of every weight, or of one layer's.

    `layer`: the name of a node, of a tensor it makes, or of a stored tensor.

    Raises InputError when nothing with weights is called `layer`.
    """
    weights = stored_weights(model.graph) if layer is None else find_weights(model.graph, layer)
    return WeightStatistics(model.path.name, tuple(_row(model, weight) for weight in weights))


def _row(model: Model, weight: Weight) -> WeightRow:
    values = read_weight(model.graph, weight)
    known = model.graph.types.get(weight.name)
    low, high, zeros, not_finite = _range(values)
    finite = values.size - not_finite
    mean, std = _moments(values, finite)
    filters = as_filters(weight, values)
    matrix = None if filters is None else filters.reshape(len(filters), -1)
    whole = matrix is not None and not not_finite
    dead = _dead(matrix, max(abs(low), abs(high))) if matrix is not None and finite else ()
    return WeightRow(
        name=weight.name,
        layer=weight.node.name if weight.node else "",
        layers=weight.layers,
        op=weight.node.op if weight.node else "",
        role=weight.role,
        shape=tuple(values.shape),
        dtype=known.dtype if known else str(values.dtype),
        elements=int(values.size),
        min=low if finite else None,
        max=high if finite else None,
        mean=mean,
        std=std,
        zeros=zeros / max(values.size, 1),
        not_finite=not_finite,
        filters=None if matrix is None else len(matrix),
        dead=dead,
        duplicates=duplicate_filters(matrix, dead) if matrix is not None and whole else (),
        spectral_norm=spectral_norm(matrix) if matrix is not None and whole else None,
        histogram=_histogram(values, low, high),
    )


def _pieces(values: np.ndarray) -> Iterator[np.ndarray]:
    """The values as float64, a part at a time."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        yield flat[start : start + _PIECE].astype(np.float64)


def _range(values: np.ndarray) -> tuple[float, float, int, int]:
    """Smallest and largest finite value, how many are zero, how many are not finite."""
    low, high, zeros, not_finite = np.inf, -np.inf, 0, 0
    for piece in _pieces(values):
        finite = piece[np.isfinite(piece)]
        not_finite += piece.size - finite.size
        zeros += piece.size - int(np.count_nonzero(piece))
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high, zeros, not_finite) if low <= high else (0.0, 0.0, zeros, not_finite)


def _moments(values: np.ndarray, finite: int) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the finite values, in two passes: the second is about the mean."""
    if not finite:
        return None, None
    mean = sum(float(piece[np.isfinite(piece)].sum()) for piece in _pieces(values)) / finite
    spread = sum(float(np.square(piece[np.isfinite(piece)] - mean).sum()) for piece in _pieces(values))
    return mean, float(np.sqrt(spread / finite))


def _histogram(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Counts of the finite values; all in the middle bin when they are equal."""
    counts = np.zeros(BINS, np.int64)
    bounds = (low, high) if high > low else (low - 0.5, low + 0.5)
    for piece in _pieces(values):
        counts += np.histogram(piece[np.isfinite(piece)], BINS, bounds)[0]
    return counts


def _dead(matrix: np.ndarray, largest: float) -> tuple[int, ...]:  # matrix: [out, weights of one filter]
    rows = max(_PIECE // max(matrix.shape[1], 1), 1)
    parts = (matrix[start : start + rows].astype(np.float64) for start in range(0, len(matrix), rows))
    strongest = np.concatenate([np.nanmax(np.abs(part), axis=1, initial=0) for part in parts])
    return tuple(int(index) for index in np.flatnonzero(strongest <= DEAD * largest))


def duplicate_filters(
    matrix: np.ndarray,  # [out, weights of one filter], finite
    skip: Sequence[int] = (),  # filters left out
) -> tuple[tuple[int, int], ...]:
    """Filters at most SAME of the larger norm away from an earlier one, each with the first such. Of more than
    MOST_COMPARED filters those that are equal to an earlier one: comparing all pairs would take hours.

    Projections never lengthen a distance, so only pairs that are close in a few random directions are measured.
    """
    living = np.setdiff1d(np.arange(len(matrix)), np.asarray(skip, np.int64))
    if len(living) > MOST_COMPARED:
        return _repeated(matrix, living)
    kept = matrix if len(living) == len(matrix) else matrix[living]
    kind = np.float32 if kept.size > _PIECE else np.float64
    size = kept.shape[1]
    random = np.random.default_rng(SEED).normal(size=(size, min(size, _DIRECTIONS)))
    shadow = kept.astype(kind, copy=False) @ np.linalg.qr(random)[0].astype(kind)
    norms = np.sqrt(np.einsum("ij,ij->i", kept, kept, dtype=np.float64))
    found: list[tuple[int, int]] = []
    for index, candidates in _near_pairs(shadow, norms):
        first = next((j for j in candidates if _same(kept[index], kept[j], norms[index], norms[j])), None)
        if first is not None:
            found.append((int(living[index]), int(living[first])))
    return tuple(found)


def _repeated(matrix: np.ndarray, living: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Filters with the very values of an earlier one."""
    first: dict[bytes, int] = {}
    pairs = ((int(index), first.setdefault((matrix[index] + 0).tobytes(), int(index))) for index in living)
    return tuple(pair for pair in pairs if pair[0] != pair[1])


def _near_pairs(shadow: np.ndarray, norms: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each filter and the earlier ones that may be its duplicates, found block by block."""
    slack = 1e-6 * norms.max(initial=0)
    for start in range(0, len(shadow), _ROWS):
        rows = slice(start, start + _ROWS)
        near = np.zeros((len(norms[rows]), len(norms[: rows.stop])), bool)
        for left in range(0, near.shape[1], _COLUMNS):
            columns = slice(left, min(left + _COLUMNS, near.shape[1]))
            apart = np.sqrt(np.maximum(_squared_distances(shadow[rows], shadow[columns]), 0))
            reach = 1.01 * SAME * np.maximum(norms[rows, None], norms[columns])
            near[:, columns] = apart <= reach + slack
        yield from ((start + row, np.flatnonzero(near[row, : start + row])) for row in range(len(near)))


def _squared_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:  # [S, D], [K, D] -> [S, K]
    squares = np.square(some).sum(1)[:, None] + np.square(others).sum(1)
    return squares - 2 * some @ others.T


def _same(one: np.ndarray, other: np.ndarray, norm: float, other_norm: float) -> bool:
    distance = np.linalg.norm(one.astype(np.float64) - other.astype(np.float64))
    return bool(distance <= SAME * max(norm, other_norm))


def export_weights(model: Model, folder: Path, layer: str | None = None) -> tuple[Path, ...]:
    """Write every weight (or one layer's) to FOLDER as .npy, values as of `read_weight`, and FOLDER/index.json.

    The index tells which file holds which tensor. Types that .npy cannot say (bfloat16, float8 …) become float32.
    """
    weights = stored_weights(model.graph) if layer is None else find_weights(model.graph, layer)
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, dict[str, object]] = {}
    for weight in weights:
        values = read_weight(model.graph, weight)
        path = folder / _file_name(weight.name, index)
        _save(path, values if values.dtype.kind in "fiub" else values.astype(np.float32))
        index[path.name] = {"tensor": weight.name, "layers": list(weight.layers), "role": weight.role}
    write_text(folder / "index.json", json.dumps({"model": model.path.name, "files": index}, indent=1))
    return tuple(folder / name for name in index)


def _file_name(tensor: str, taken: dict[str, dict[str, object]]) -> str:
    """A file name from a tensor's; no two differ in upper and lower case only."""
    plain = file_name(tensor)
    folded = {name.lower() for name in taken}
    number, name = 1, f"{plain}.npy"
    while name.lower() in folded:
        number += 1
        name = f"{plain}-{number}.npy"
    return name


def _save(path: Path, values: np.ndarray) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
