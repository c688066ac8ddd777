"""Session: forward runs on onnxruntime, any tensor by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..importers.errors import InputError, nearest_names
from .batching import Batching, memory_bytes
from .feeds import image_count, images_of, named_feeds
from .images import ImageBatches
from .providers import choose_providers, open_session

if TYPE_CHECKING:
    import onnxruntime as ort

    from .model import Model
    from .streaming import Stream

_NO_ARRAYS = ("sequence", "map", "optional")
_KEPT = 4  # onnxruntime sessions kept open; each holds a copy of the weights


class Session:
    """Runs a model forward. One onnxruntime session is kept per set of requested tensors.

    `providers`: "cuda", "cpu" … in order of preference; None: the GPU if it works, else the CPU.
    `memory`: what the process may hold during a run, in bytes or as "2GB"; None: no limit.
    `optimised`: whether onnxruntime may fuse nodes; False: it computes every node as the file has it.
    Raises InputError when a provider does not work here or `memory` is no size.
    """

    def __init__(
        self,
        model: Model,
        providers: Sequence[str] | None = None,
        memory: int | str | None = None,
        optimised: bool = True,
    ) -> None:
        self.model = model
        self.providers = choose_providers(providers)
        self.optimised = optimised
        self.memory = None if memory is None else memory_bytes(memory)
        self.batching = Batching(model)
        self._opened: OrderedDict[frozenset[str], ort.InferenceSession] = OrderedDict()

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that the network computes, in order. Those inside the bodies of If and Loop are not among them,
        nor are sequences."""
        graph = self.model.graph
        names = (name for node in graph.nodes for name in node.outputs if name)
        return tuple(name for name in names if graph.types[name].dtype not in _NO_ARRAYS)

    def run(
        self,
        inputs: np.ndarray
        | Mapping[str, np.ndarray],  # [N, C, H, W] float32 (or what the only input takes), or graph input -> array
        tensors: Sequence[str] | None = None,  # names of any tensors of the graph; None: the graph's outputs
    ) -> dict[str, np.ndarray]:
        """Tensor name -> value, for all N images.

        A network of fixed batch size runs in slices of it (the last one filled up), one of any batch size in slices
        that fit `memory`. A constant tensor is given once; one without a batch axis is given once when every slice
        agrees, and stacked along a new first axis when a slice is one image.
        Raises InputError when a name is unknown, an input does not fit, or the values would not fit in `memory`.
        """
        names = self.checked(self.model.graph.outputs if tensors is None else tensors)
        feeds = named_feeds(self.model, inputs)
        self.batching.check(self.memory, names, held=image_count(feeds))
        return self.run_unchecked(feeds, names)

    def run_unchecked(
        self, inputs: np.ndarray | Mapping[str, np.ndarray], names: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """As `run`, for known names and an amount that is known to fit."""
        feeds = named_feeds(self.model, inputs)
        count = image_count(feeds)
        given = {name: self._given(name, feeds) for name in names if name not in self._computed}
        wanted = [name for name in names if name in self._computed]
        return given | (self._run(feeds, wanted, count) if wanted else {})

    def stream(
        self,
        batches: ImageBatches,
        tensors: Sequence[str] | None,  # None: every tensor that the network computes
        path: str | Path,
        progress: Callable[[int, int], None] | None = None,  # called with (images done, images in all)
    ) -> Stream:
        """Run many images and keep the tensors in a Zarr folder, never in memory. Called again with the same arguments
        after an interruption, it goes on where it stopped.

        Raises MissingExtra without zarr; InputError when `path` holds another run, or one image does not fit in
        `memory`.
        """
        from .streaming import stream

        return stream(self, batches, self.tensors if tensors is None else self.checked(tensors), Path(path), progress)

    def checked(self, tensors: Sequence[str]) -> list[str]:
        """The names without repetition.

        Raises InputError when one is no tensor of the graph.
        """
        graph = self.model.graph
        known = dict.fromkeys([*self.tensors, *graph.inputs, *graph.initializers])
        for name in tensors:
            if name not in known:
                raise InputError(f"the network has no tensor {name!r}; {nearest_names(name, known)}")
        return list(dict.fromkeys(tensors))

    @cached_property
    def _computed(self) -> frozenset[str]:
        return frozenset(self.tensors)

    def _given(self, name: str, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """An input, or a stored tensor."""
        if name in feeds:
            return feeds[name]
        return self.model.graph.weight(name)

    # -- running ---

    def _run(self, feeds: Mapping[str, np.ndarray], names: list[str], count: int) -> dict[str, np.ndarray]:
        size = self.batching.slice_size(count, names, self.memory)
        parts = [self._run_once(images_of(feeds, start, size, count), names) for start in range(0, count, size)]
        return {name: self.batching.join(name, [part[name] for part in parts], size, count) for name in names}

    def _run_once(self, feeds: Mapping[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        session = self._session(names)
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # onnxruntime's own types, which its package does not export
            raise InputError(f"onnxruntime stopped: {' '.join(str(error).split())[:300]}") from None

    def _session(self, names: Sequence[str]) -> ort.InferenceSession:
        """The onnxruntime session that gives these tensors besides the graph's outputs."""
        key = frozenset(names) - frozenset(self.model.graph.outputs)
        if key not in self._opened:
            arena = self.memory is None
            self._opened[key] = open_session(
                self.model.proto,
                sorted(key),
                self.providers,
                folder=self.model.folder,
                arena=arena,
                optimised=self.optimised,
            )
            if len(self._opened) > _KEPT:
                self._opened.popitem(last=False)
        self._opened.move_to_end(key)
        return self._opened[key]
