"""plan: for a patch at many positions of the image, the window of every tensor that it can change, and where a network
is better run as a whole.

The idea is that of Nakandala et al. 2019, Incremental and approximate inference for faster occlusion-based deep CNN
explanations, doi:10.1145/3299869.3319874, the exact part of it: nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import getitem
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from ..gradient import packed
from ..gradient.constants import Constants
from ..gradient.fusion import fuse, upper_bound
from ..gradient.kinds import kind, only_user
from ..gradient.ops.padding import window_pads
from .steps import AveragePooling, Convolution, Item, MaxPooling, Pointwise, Step
from .windows import Sliding, Window, area, inputs_read, outputs_reached, same, union

# A number copied costs as much as this many multiplications: memory's speed against the processor's, roughly.
_COPY = 50
_POINTWISE = (
    *("Relu", "Relu6", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Celu", "Selu", "Softplus", "Softsign"),
    *("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Mish", "Gelu", "Clip", "Identity", "Dropout", "Cast"),
    *("Abs", "Neg", "Exp", "Log", "Sqrt", "Erf", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Pow"),
    *("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum", "Mean", "BatchNormalization", "LRN"),
)
_ALONG_CHANNELS, _CHANNEL_AXES = ("Concat", "Split"), (1, -3)  # these keep places apart along these axes


@dataclass(frozen=True)
class Line:
    """What a plan does at one convolution."""

    name: str
    window: tuple[int, int] | None  # rows and columns that are computed; None: all
    size: tuple[int, int]  # rows and columns there are
    macs: int  # a position, of the whole map


@dataclass(frozen=True)
class Plan:
    """How a network is run for many positions."""

    image: fx.Node
    windows: Mapping[fx.Node, Window]
    steps: tuple[Step, ...]
    put_back: tuple[fx.Node, ...]  # tensors that the rest reads as a whole
    rest: fx.GraphModule  # of these, to the outputs
    lines: tuple[Line, ...]

    @property
    def full(self) -> int:
        """Multiplications a position, of convolutions, without a plan."""
        return sum(line.macs for line in self.lines)

    @property
    def incremental(self) -> int:
        """With it."""
        return sum(
            line.macs * line.window[0] * line.window[1] // (line.size[0] * line.size[1]) if line.window else line.macs
            for line in self.lines
        )


class Planner:
    """Walks a graph once, tensor by tensor."""

    def __init__(
        self,
        graph: fx.Graph,
        constants: Constants,
        clean: Mapping[fx.Node, Any],  # every tensor without a change
        window: Window,  # of the image
        rests: dict[Any, fx.GraphModule],  # those of earlier plans
    ) -> None:
        self._graph, self._constants, self._clean, self._rests = graph, constants, clean, rests
        (self._image,) = (node for node in graph.nodes if node.op == "placeholder")
        self._windows: dict[fx.Node, Window] = {self._image: window}
        self._whole: set[fx.Node] = set()
        self._steps: list[Step] = []
        self._lines: list[Line] = []

    def plan(self) -> Plan:
        for node in self._graph.nodes:
            if node.op == "call_function" and node not in self._windows:
                self._decide(node)
        rest, put_back = self._rest()
        return Plan(self._image, self._windows, tuple(self._steps), put_back, rest, tuple(self._lines))

    def _decide(self, node: fx.Node) -> None:
        sources = [source for source in node.all_input_nodes if source in self._windows or source in self._whole]
        if not sources:
            return  # it does not depend on the image
        made = None if any(source in self._whole for source in sources) else self._step(node, sources)
        if made is None:
            self._whole.add(node)
            if kind(node) == "Conv":
                self._note(node, None)
        else:
            step, window = made
            self._windows[step.node] = window
            self._steps.append(step)

    def _step(self, node: fx.Node, sources: list[fx.Node]) -> tuple[Step, Window] | None:
        """How the node's window is computed; None where it cannot be, or is not worth it."""
        of = kind(node)
        if node.target is getitem:
            return Item(node, sources[0]), self._windows[sources[0]]
        if not all(_is_map(self._clean[source]) for source in sources):
            return None
        if of == "Conv":
            return self._convolution(node, sources[0])
        if of in ("MaxPool", "AveragePool"):
            return self._pooling(node, sources[0])
        if of in _POINTWISE or (of in _ALONG_CHANNELS and node.kwargs.get("axis") in _CHANNEL_AXES):
            return self._pointwise(node, tuple(sources))
        return None

    def _convolution(self, node: fx.Node, source: fx.Node) -> tuple[Step, Window] | None:
        weight, bias = (self._constants.value(held) for held in (*node.args[1:3], None, None)[:2])
        if weight is None or (bias is None and len(node.args) > 2 and node.args[2] is not None):
            return None
        sliding = self._sliding(node, source, tuple(weight.shape[2:]))
        window = self._reached(source, sliding)
        read = tuple(inputs_read(span, along) for span, along in zip(window, sliding, strict=True))
        if self._cost(node, source, window, (read[0], read[1])) >= self._cost_of_whole(node, source):
            return None
        self._note(node, window)
        clip = only_user(node)
        if clip is None or kind(clip) not in ("Relu", "Relu6"):
            return Convolution(node, source, sliding, _without_padding(weight, bias, node.kwargs, None)), window
        convolve = _without_padding(weight, bias, node.kwargs, upper_bound(clip, self._constants))
        return Convolution(clip, source, sliding, convolve), window

    def _pooling(self, node: fx.Node, source: fx.Node) -> tuple[Step, Window] | None:
        kernel = tuple(node.kwargs["kernel_shape"])  # type: ignore[arg-type]
        averages = kind(node) == "AveragePool"
        if node.kwargs.get("n_outputs", 1) != 1 or (averages and not _ones(node.kwargs.get("dilations"))):
            return None
        sliding = self._sliding(node, source, kernel)
        window = self._reached(source, sliding)
        if not averages:
            return MaxPooling(node, source, sliding), window
        sides = self._sides(node, source, kernel)
        size = self._clean[source].shape[2:]
        padded = bool(node.kwargs.get("count_include_pad", 0))
        counted = tuple(
            (-begin, length + end) if padded else (0, length) for (begin, end), length in zip(sides, size, strict=True)
        )
        return AveragePooling(node, source, sliding, (counted[0], counted[1])), window

    def _pointwise(self, node: fx.Node, sources: tuple[fx.Node, ...]) -> tuple[Step, Window] | None:
        size = self._clean[sources[0]].shape[2:]
        if any(self._clean[source].shape[2:] != size for source in sources):
            return None
        of_channels = kind(node) == "BatchNormalization"  # its constants are [C]
        others = [other for other in node.all_input_nodes if other not in sources]
        if not of_channels and not all(_same_everywhere(self._clean[other]) for other in others):
            return None
        spans = zip(*(self._windows[source] for source in sources), strict=True)
        rows, columns = (union(list(group), length) for group, length in zip(spans, size, strict=True))
        return Pointwise(node, sources), (rows, columns)

    # -- geometry ---

    def _sides(self, node: fx.Node, source: fx.Node, kernel: tuple[int, ...]) -> list[tuple[int, int]]:
        attributes: dict[str, Any] = dict(node.kwargs)
        ones = [1] * len(kernel)
        # SAME pads of a pool know nothing of dilation.
        dilations = ones if kind(node) != "Conv" else attributes.get("dilations") or ones
        return window_pads(
            self._clean[source].shape[2:],
            kernel,
            attributes.get("strides") or ones,
            dilations,
            attributes.get("pads"),
            attributes.get("auto_pad", "NOTSET"),
        )

    def _sliding(self, node: fx.Node, source: fx.Node, kernel: tuple[int, ...]) -> tuple[Sliding, Sliding]:
        attributes: dict[str, Any] = dict(node.kwargs)
        made = self._clean[node]
        outputs = (made[0] if isinstance(made, tuple) else made).shape[2:]
        sides = self._sides(node, source, kernel)
        strides, dilations = (attributes.get(name) or [1, 1] for name in ("strides", "dilations"))
        rows, columns = (
            Sliding(kernel[axis], strides[axis], dilations[axis], sides[axis][0], outputs[axis]) for axis in (0, 1)
        )
        return rows, columns

    def _reached(self, source: fx.Node, sliding: tuple[Sliding, Sliding]) -> Window:
        rows, columns = self._windows[source]
        return outputs_reached(rows, sliding[0]), outputs_reached(columns, sliding[1])

    def _macs(self, conv: fx.Node) -> int:
        weight = self._constants.value(conv.args[1])
        if weight is None:
            return 0
        return weight[0].numel() * self._clean[conv].shape[1:].numel()

    def _cost(self, conv: fx.Node, source: fx.Node, window: Window, read: Window) -> float:
        """What the window takes, in multiplications."""
        copied = 0 if same(read, self._windows[source]) else area(read) * self._clean[source].shape[1]
        return self._macs(conv) * area(window) / self._clean[conv].shape[2:].numel() + _COPY * copied

    def _cost_of_whole(self, conv: fx.Node, source: fx.Node) -> float:
        return self._macs(conv) + _COPY * self._clean[source].numel()

    def _note(self, conv: fx.Node, window: Window | None) -> None:
        made = self._clean[conv]
        if _is_map(made):
            sizes = None if window is None else (window[0].size, window[1].size)
            self._lines.append(Line(conv.name, sizes, (made.shape[2], made.shape[3]), self._macs(conv)))

    # -- what is run as a whole ---

    def _rest(self) -> tuple[fx.GraphModule, tuple[fx.Node, ...]]:
        readers = [node for node in self._graph.nodes if node in self._whole or node.op == "output"]
        read = {node for reader in readers for node in reader.all_input_nodes}
        put_back = tuple(node for node in self._windows if node in read)
        if put_back not in self._rests:
            self._rests[put_back] = self._made_rest(put_back)
        return self._rests[put_back], put_back

    def _made_rest(self, put_back: tuple[fx.Node, ...]) -> fx.GraphModule:
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        for node in put_back:
            copies[node] = graph.placeholder(node.name)
        for node in self._graph.nodes:
            if node not in self._windows and node.op != "placeholder":
                if node.op == "output":
                    graph.output(fx.map_arg(node.args[0], copies.__getitem__))
                elif all(source in copies for source in node.all_input_nodes):
                    copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        fuse(graph, self._constants, ())
        return fx.GraphModule(self._constants.used_in(graph), graph)


def _is_map(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() == 4 and value.shape[0] == 1 and value.is_floating_point()


def _same_everywhere(value: Any) -> bool:
    """Whether a constant is the same at every place of a map that it meets."""
    return not isinstance(value, torch.Tensor) or all(size == 1 for size in value.shape[-2:])


def _ones(values: Any) -> bool:
    return all(value == 1 for value in values or ())


def _without_padding(
    weight: torch.Tensor, bias: torch.Tensor | None, attributes: Mapping[str, Any], highest: float | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The convolution of windows that hold their padding; outputs clipped between 0 and `highest`, unless None."""
    group = attributes.get("group", 1)
    bare = {**attributes, "pads": None, "auto_pad": "NOTSET"}
    if packed.fits(weight, bare):
        convolve = packed.packed_convolution(weight, [0, 0], group)
        return lambda x: convolve(x, bias, highest)
    laid_out = weight.contiguous(memory_format=torch.channels_last)
    strides, dilations = (attributes.get(name) or [1, 1] for name in ("strides", "dilations"))

    def plain(x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, laid_out, bias, strides, 0, dilations, group)
        return y if highest is None else y.clamp_(0, highest)

    return plain
