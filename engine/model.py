"""Model: an ONNX graph, how images enter it, its labels and where it came from. Everything else starts here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ..importers import load as load_proto
from ..importers.errors import InputError
from ..importers.input_spec import InputSpec, read_input_spec
from ..importers.onnx_file import graph_inputs
from ..importers.provenance import read_source
from .structure.graph import Graph

if TYPE_CHECKING:
    import torch

    from .gradient.certificate import BridgeCertificate
    from .gradient.samples import Inputs
    from .gradient.torch_model import TorchModel
    from .session import Session
    from .structure.filters import Filters
    from .structure.summary import Summary
    from .structure.tensor_table import TensorTable
    from .structure.weights import WeightStatistics

ASSUMED_SIDE = 224  # pixels, where neither the file nor the user says how large the image is


def load(
    path: str | Path,
    *,
    companion: str | Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    weights_alone: bool = False,
    **options: Any,
) -> Model:
    """Open any supported model file.

    `companion`: the other half of a two-file format (found by itself when it lies beside `path`).
    `shapes`: graph input -> shape, for inputs with dynamic dimensions.
    `weights_alone`: take weights without their network (PyTorch's state dicts) too: such a Model has `tensors`,
    `weights` and `filters`, and nothing that can be run.
    `options`: fields of InputSpec (`size`, `mean`, `scale`, `channel_order`, `labels` …) that override the file, and
    those that the file's format has (`importers.IMPORTERS` lists them).

    Raises InputError when the file cannot be used.
    """
    proto = load_proto(path, companion=companion, shapes=shapes, weights_alone=weights_alone, **options)
    other = None if companion is None else Path(companion)
    return Model(proto, Path(path), other, {"shapes": shapes, **options})


class Model:
    """A loaded network. Never changed by anything that analyses it."""

    def __init__(
        self,
        proto: onnx.ModelProto,
        path: Path,
        companion: Path | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.proto = proto
        self.path = path
        self.companion = companion  # the other half of a two-file format, where the caller named it
        self.options = dict(options or {})  # what the caller said beside the files, for reading them once more
        self.spec: InputSpec = read_input_spec(proto) or InputSpec()
        self.source: dict[str, Any] = read_source(proto)
        self._sessions: dict[str, Session] = {}
        self._torch: dict[tuple[str | None, torch.dtype | None], TorchModel] = {}
        self._certificates: dict[bool, BridgeCertificate] = {}  # whether with gradients -> that

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    @property
    def folder(self) -> Path:
        """Where the file lies, and with it the weights too large to be read into `proto`."""
        return self.path.parent

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in output order; empty when nobody said."""
        return self.spec.labels

    @cached_property
    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Graph input -> a concrete shape with batch 1: what structure and cost are computed for."""
        return {name: self._concrete(value) for name, value in graph_inputs(self.proto).items()}

    def _concrete(self, value: onnx.ValueInfoProto) -> tuple[int, ...]:
        dims = value.type.tensor_type.shape.dim
        height, width = self.spec.size or (ASSUMED_SIDE, ASSUMED_SIDE)
        channels = 1 if self.spec.channel_order == "GREY" else 3
        nchw = {0: 1, 1: channels, 2: height, 3: width}
        nhwc = {0: 1, 1: height, 2: width, 3: channels}
        assumed = (nhwc if self.spec.layout == "NHWC" else nchw) if len(dims) == 4 else {}
        return tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else assumed.get(axis, 1)
            for axis, dim in enumerate(dims)
        )

    @cached_property
    def graph(self) -> Graph:
        """Nodes, tensors and shapes, for `input_shapes`."""
        return Graph(self.proto, self.input_shapes, self.folder)

    @property
    def is_weights_alone(self) -> bool:
        """Whether the file holds weights and not the network they are of."""
        return not self.proto.graph.node

    def _needs_network(self) -> None:
        if self.is_weights_alone:
            raise InputError(f"{self.path}: weights without a network cannot be run; say which one is theirs: arch")

    def summary(self) -> Summary:
        """Layers with shapes, parameters, MACs, memory and receptive fields, from the file alone."""
        from .structure.summary import summarize

        self._needs_network()
        return summarize(self)

    def tensors(self) -> TensorTable:
        """Every stored tensor: name, shape, type, size; and which family of networks weights alone look like."""
        from .structure.tensor_table import tensor_table

        return tensor_table(self)

    def weights(self, layer: str | None = None) -> WeightStatistics:
        """Statistics of every weight, or of one layer's, from the file alone."""
        from .structure.weights import weight_statistics

        return weight_statistics(self, layer)

    def filters(self, layer: str | None = None) -> Filters:
        """The filters of a layer (None: of the first that sees the image), as planes that can be looked at."""
        from .structure.filters import filters

        return filters(self, layer)

    def session(self, **options: Any) -> Session:
        """A forward runner on onnxruntime; options as of `Session`, and the same one for the same options."""
        from .session import Session

        self._needs_network()
        key = repr(sorted(options.items()))
        if key not in self._sessions:
            self._sessions[key] = Session(self, **options)
        return self._sessions[key]

    def torch(self, via: str | None = None, precision: torch.dtype | None = None) -> TorchModel:
        """The same network as torch has it, for gradients; the same object at every call.

        `via`: "onnx2torch" has that package convert it, as a second opinion; None: our own conversion.
        `precision`: the type of all floats in it; None: torch.float32.
        Raises InputError naming every operator that torch has no equal for, or what else stands in the way.
        """
        self._needs_network()
        key = (via, precision)
        if key not in self._torch:
            self._torch[key] = self._convert(via, {} if precision is None else {"precision": precision})
        return self._torch[key]

    def _convert(self, via: str | None, options: dict[str, Any]) -> TorchModel:
        if via == "onnx2torch":
            from .gradient.via_onnx2torch import Onnx2torchModel

            return Onnx2torchModel(self, **options)
        if via is not None:
            raise InputError(f"via is {via!r}; expected 'onnx2torch', or nothing for our own conversion")
        from .gradient.torch_model import TorchModel

        return TorchModel(self, **options)

    def torch_certificate(self, inputs: Inputs | None = None, *, gradients: bool = True) -> BridgeCertificate:
        """How closely `torch()` agrees with onnxruntime: outputs and, if asked, gradients. Made at the first call, on
        what that hands in (None: seeded noise), and the same at every later one, but for gradients asked for later;
        `engine.gradient.certificate.certify` makes others.

        Raises InputError where the outputs are NaN because weights are, and as of `torch`.
        """
        known = self._certificates
        if True not in known and gradients not in known:
            from .gradient.certificate import certify

            known[gradients] = certify(self, inputs, per_node=False, gradients=gradients)
        return known[True if True in known else gradients]
