"""The tensors that a file stores, whatever reads them: all there is to say of weights without their network."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ...importers.tensors import bits_per_element
from ...importers.weights_alone import read_family
from ..results import Result
from .shapes import dtype_name

if TYPE_CHECKING:
    from ..model import Model

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalisation, as PyTorch calls them


@dataclass(frozen=True)
class StoredTensor:
    """One of them."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    elements: int
    bytes: int
    parameter: bool  # whether it was learned, as far as the name tells: no statistic of batches, no integers


@dataclass(frozen=True)
class TensorTable(Result):
    """A row a stored tensor, in the file's order."""

    model: str
    family: str  # which networks weights alone look like: a guess; empty where nothing tells
    rows: tuple[StoredTensor, ...]

    @property
    def parameters(self) -> int:
        """Numbers that were learned."""
        return sum(row.elements for row in self.rows if row.parameter)

    @property
    def elements(self) -> int:
        """Numbers of all tensors."""
        return sum(row.elements for row in self.rows)

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(row.bytes for row in self.rows)


def tensor_table(model: Model) -> TensorTable:
    """What the file stores."""
    rows = []
    for tensor in model.proto.graph.initializer:
        shape, dtype = tuple(tensor.dims), dtype_name(tensor.data_type)
        elements = prod(shape)
        learned = "float" in dtype and tensor.name.rpartition(".")[2] not in _STATISTICS
        size = (elements * bits_per_element(tensor.data_type) + 7) // 8
        rows.append(StoredTensor(tensor.name, shape, dtype, elements, size, learned))
    return TensorTable(model.path.name, read_family(model.proto), tuple(rows))
