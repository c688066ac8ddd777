"""Every tensor that the nodes compute, by onnxruntime and by the torch bridge, on the same inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx

from ...importers.certificate import Comparison, compare_arrays
from .dtypes import to_numpy, to_torch

if TYPE_CHECKING:
    from ..session import Session
    from ..structure.graph import Graph
    from .samples import Samples
    from .torch_model import TorchModel

Progress = Callable[[int, int], None]  # called with (tensors compared so far, tensors in all)
Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], dict[str, np.ndarray]]  # feeds, tensors -> their values

_GROUP = 1 << 28  # bytes of tensors compared at once, on each side
_SHARE = 8  # of a memory budget, for the same


@dataclass(frozen=True)
class TensorComparison(Comparison):
    """One tensor that a node computes, by both sides; the largest difference over all inputs."""

    node: str
    op: str
    bar: float  # largest difference allowed, as a share of the range
    amplified: bool = False  # over the bar, but the node itself, given what onnxruntime's node was given, agrees

    @property
    def passed(self) -> bool:
        """Whether the two agree within the bar."""
        return self.relative <= self.bar


def compare_tensors(
    run: Run,  # the bridge's
    session: Session,
    samples: Samples,
    names: Sequence[str],
    bar: float,
    progress: Progress | None = None,
) -> list[TensorComparison]:
    """One row a tensor, in the order of `names`. The tensors are asked for in groups, so that memory stays bounded."""
    rows: dict[str, TensorComparison] = {}
    for group in _groups(session, names, samples.size):
        for feeds in samples:
            theirs, ours = session.run(feeds, group), run(feeds, group)
            for name in group:
                row = _row(session.model.graph, name, theirs[name], ours[name], bar)
                rows[name] = max(rows.get(name, row), row, key=lambda entry: entry.relative)
        if progress is not None:
            progress(len(rows), len(names))
    return [rows[name] for name in names]


def compare_values(name: str, theirs: np.ndarray, ours: np.ndarray) -> Comparison:
    """Two values of one tensor: floats by how far they are apart, NaN and infinities in the same places; whole numbers
    and truth values must be equal, unless the bridge carries them as floats."""
    if theirs.shape != ours.shape:
        return Comparison(name, ours.shape, float("inf"), float("nan"), float("inf"))
    exact = theirs.dtype.kind in "iub" and ours.dtype.kind in "iub"
    theirs, ours = theirs.astype(np.float64), ours.astype(np.float64)
    finite = np.isfinite(theirs) & np.isfinite(ours)
    if not np.array_equal(theirs[~finite], ours[~finite], equal_nan=True):
        return Comparison(name, ours.shape, float("inf"), float("nan"), float("inf"))
    found = dataclasses.replace(compare_arrays(name, theirs[finite], ours[finite]), shape=ours.shape)
    return dataclasses.replace(found, relative=float("inf")) if exact and found.difference else found


def _row(graph: Graph, name: str, theirs: np.ndarray, ours: np.ndarray, bar: float) -> TensorComparison:
    found, node = compare_values(name, theirs, ours), graph.producers[name]
    return TensorComparison(**vars(found), node=node.name or name, op=node.op, bar=bar)


def _groups(session: Session, names: Sequence[str], images: int) -> Iterator[list[str]]:
    """The names in order, cut so that the values of a group fit."""
    limit = _GROUP if session.memory is None else min(_GROUP, session.memory // _SHARE)
    group: list[str] = []
    held = 0
    for name in names:
        size = session.batching.bytes_per_image([name]) * images
        if group and held + size > limit:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield group


def run_nodes(torch_model: TorchModel, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Tensor name -> value, every node run as the file has it: `TorchModel.run` fuses nodes that are not asked for."""
    recorder = _Recorder(torch_model.module, {torch_model.tensors[name] for name in names})
    with torch.no_grad():
        recorder.run(*(_fed(torch_model, name, feeds[name]) for name in torch_model.model.graph.inputs))
    return {name: to_numpy(recorder.values[torch_model.tensors[name]]) for name in names}


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule, wanted: set[str]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.values: dict[str, torch.Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.wanted:
            self.values[n.name] = value
        return value


def _fed(torch_model: TorchModel, name: str, value: np.ndarray) -> torch.Tensor:
    tensor = to_torch(value, torch_model.precision).to(torch_model.device)
    return tensor.to(torch_model.precision) if name in torch_model.carried else tensor


# -- whether a node is at fault, or what went in ---


def find_amplified(
    torch_model: TorchModel, session: Session, samples: Samples, rows: Sequence[TensorComparison]
) -> list[TensorComparison]:
    """The rows; those over the bar whose nodes agree once the bridge's are given what onnxruntime's were given are
    marked: the difference came in, and a jump (a tie in ArgMax, TopK, NonMaxSuppression, a level of a quantised
    network) or a division made it large."""
    suspects = {row.name: row for row in rows if not row.passed}
    guilty: set[str] = set()
    for group in _groups(session, list(suspects), samples.size):
        for feeds in samples:
            guilty |= _guilty(torch_model, session, feeds, [suspects[name] for name in group if name not in guilty])
    innocent = suspects.keys() - guilty
    return [dataclasses.replace(row, amplified=row.name in innocent) for row in rows]


def _guilty(
    torch_model: TorchModel, session: Session, feeds: Mapping[str, np.ndarray], rows: Sequence[TensorComparison]
) -> set[str]:
    """The tensors that the bridge computes otherwise from onnxruntime's values too."""
    graph = torch_model.model.graph
    known = set(session.tensors) & set(torch_model.tensors)
    reads = list({name: None for row in rows for name in graph.producers[row.name].inputs if name in known})
    theirs = session.run(feeds, [*reads, *(row.name for row in rows)])
    kinds = {name: value.dtype for name, value in run_nodes(torch_model, feeds, reads).items()} if reads else {}
    given = {**feeds, **{name: theirs[name].astype(kinds[name]) for name in reads}}
    again = {row.name: recomputed(torch_model, row.name, given) for row in rows}
    apart = {name: compare_values(name, theirs[name], ours).relative for name, ours in again.items()}
    return {row.name for row in rows if apart[row.name] > row.bar}


def recomputed(torch_model: TorchModel, name: str, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """A tensor as the bridge's own node computes it from the values `given` of the graph's inputs and of tensors."""
    interpreter = fx.Interpreter(torch_model.module)
    nodes = {node.name: node for node in torch_model.module.graph.nodes}
    values = {torch_model.tensors[entry]: _fed(torch_model, entry, value) for entry, value in given.items()}

    def value(node: fx.Node) -> Any:
        return values[node.name] if node.name in values else computed(node)

    def computed(node: fx.Node) -> Any:
        arguments, keywords = fx.map_arg((node.args, node.kwargs), value)
        if node.op == "get_attr":
            return interpreter.fetch_attr(str(node.target))
        if node.op == "call_module":
            return torch_model.module.get_submodule(str(node.target))(*arguments, **keywords)
        assert callable(node.target)  # a placeholder is among the values
        return node.target(*arguments, **keywords)

    with torch.no_grad():
        return to_numpy(computed(nodes[torch_model.tensors[name]]))
