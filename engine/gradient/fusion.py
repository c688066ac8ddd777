"""What makes a variant faster without changing what it computes, beyond rounding.

- A convolution takes in the BatchNormalization, or multiplications and additions by constants, behind it.
- MatMul and the Add behind it are one operation; so are attention's two products and the softmax between them.
- Max pooling comes before Relu instead of behind it: a quarter of the elements, the same values and gradients.
- Relu and Relu6 overwrite their input where nobody else reads that.
- On CPUs, convolutions' weights lie in channels_last order, which their outputs then take on: there it was faster for
  each of torchvision's convolutional networks, most for depthwise ones. Where they can, they lie in the CPU library's
  own order or the Winograd kernel's, and Relu and Relu6 behind them are a part of them (packed.py).
- The gradient of a strided convolution of the image itself takes another way (strided.py).

Nodes of a backward rule are left alone, and so is what a tensor that is asked for depends on.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from operator import getitem
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from . import packed
from .constants import Constants
from .kinds import kind, only_user
from .products import join_attention, join_bias
from .strided import fits, phase_weight, strided_convolution

_SCALES = ("BatchNormalization", "Mul", "Div", "Add", "Sub")
# Their outputs are new tensors, and their gradients do not need them.
_OVERWRITABLE = ("Conv", "ConvTranspose", "BatchNormalization", "Add", "Sub", "Gemm", "MatMul", "MaxPool")

Affine = tuple[torch.Tensor, torch.Tensor]  # scale [C], shift [C], float64


def fuse(graph: fx.Graph, constants: Constants, ruled: Collection[fx.Node], plain_sums: bool = True) -> None:
    """Change the graph, all but the nodes `ruled`. `plain_sums`: as of packed_convolution."""
    simplify(graph, constants, ruled)
    for node in list(graph.nodes):
        if node not in ruled and kind(node) == "Conv":
            _lay_out(node, constants, ruled, plain_sums)
    for node in list(graph.nodes):
        if node not in ruled and kind(node) in ("Relu", "Relu6"):
            _overwrite(node, constants, ruled)
    graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))  # no node has side effects


def simplify(graph: fx.Graph, constants: Constants, ruled: Collection[fx.Node]) -> None:
    """The part of it that leaves operators of ONNX."""
    for node in list(graph.nodes):
        if node not in ruled and kind(node) == "Conv":
            fold(node, constants, ruled)
        elif node not in ruled and kind(node) == "MatMul":
            join_attention(node, constants, ruled)
            if node.users:
                join_bias(node, constants, ruled)
        elif node not in ruled and kind(node) == "Relu":
            _pool_first(node, ruled)


# -- constants into convolutions ---


def fold(conv: fx.Node, constants: Constants, ruled: Collection[fx.Node]) -> None:
    """Give the convolution weights of which the BatchNormalization, Mul, Add … behind it are a part."""
    weight = constants.value(conv.args[1])
    while weight is not None:
        behind = only_user(conv)
        if behind is None or behind in ruled or kind(behind) not in _SCALES:
            return
        affine = _affine(behind, conv, constants, weight)
        end = _first_output(behind)
        if affine is None or end is None or not _take_in(conv, affine, behind.name, constants):
            return
        end.replace_all_uses_with(conv)
        for node in dict.fromkeys((end, behind)):
            node.graph.erase_node(node)
        weight = constants.value(conv.args[1])


def _first_output(node: fx.Node) -> fx.Node | None:
    """The node that stands for the only output that is read."""
    if kind(node) not in ("BatchNormalization", "MaxPool"):
        return node
    taken = only_user(node)
    return taken if taken is not None and taken.target is getitem and taken.args[1] == 0 else None


def _affine(node: fx.Node, conv: fx.Node, constants: Constants, weight: torch.Tensor) -> Affine | None:
    """What the node does to each channel of the convolution's output, where that is all it does."""
    channels = weight.shape[0]
    if kind(node) == "BatchNormalization":
        return _normalisation(node, constants) if node.args[0] is conv else None
    first, second = node.args
    held = constants.value(second if first is conv else first)
    if held is None or (first is not conv and kind(node) in ("Div", "Sub")):
        return None
    value = _a_channel(held.double(), channels, weight.dim())
    if value is None:
        return None
    one, zero = torch.ones_like(value), torch.zeros_like(value)
    return {"Mul": (value, zero), "Div": (1 / value, zero), "Add": (one, value), "Sub": (one, -value)}[kind(node)]


def _normalisation(node: fx.Node, constants: Constants) -> Affine | None:
    values = [constants.value(argument) for argument in node.args[1:5]]
    if any(value is None for value in values) or node.kwargs.get("training_mode"):
        return None
    scale, bias, mean, variance = (value.double() for value in values if value is not None)
    scale = scale / (variance + float(node.kwargs.get("epsilon", 1e-5))).sqrt()  # type: ignore[arg-type]
    return scale, bias - mean * scale


def _a_channel(value: torch.Tensor, channels: int, rank: int) -> torch.Tensor | None:
    """[C] where the value, broadcast to a tensor of this rank, is one number or one a channel; else None."""
    if value.numel() == 1 and value.dim() <= rank:
        return value.reshape(1).expand(channels)
    a_channel = (channels, *[1] * (rank - 2))
    return value.flatten() if tuple(value.shape) in (a_channel, (1, *a_channel)) else None


def _take_in(conv: fx.Node, affine: Affine, name: str, constants: Constants) -> bool:
    """Give the convolution weights of which the affine map is a part; False where they would be no numbers."""
    weight = constants.value(conv.args[1])
    bias = constants.value(conv.args[2]) if len(conv.args) > 2 and conv.args[2] is not None else None
    if weight is None or (bias is None and len(conv.args) > 2 and conv.args[2] is not None):
        return False
    scale, shift = affine
    new_weight = weight.double() * scale.reshape(-1, *[1] * (weight.dim() - 1))
    new_bias = shift if bias is None else bias.double() * scale + shift
    if not (new_weight.isfinite().all() and new_bias.isfinite().all()):
        return False
    held = [
        constants.derive(conv, f"{conv.name}_{part}_{name}", _laid_out(value.to(weight.dtype)).clone)
        for part, value in (("weight", new_weight), ("bias", new_bias))
    ]
    conv.args = (conv.args[0], *held)
    return True


# -- fewer passes over the data ---


def _pool_first(relu: fx.Node, ruled: Collection[fx.Node]) -> None:
    pool = only_user(relu)
    if pool is None or pool in ruled or kind(pool) != "MaxPool":
        return
    pooled = _first_output(pool)
    if pooled is None:
        return
    source = relu.args[0]
    assert isinstance(source, fx.Node)
    relu.replace_all_uses_with(source)
    pooled.append(relu)
    pooled.replace_all_uses_with(relu)
    relu.args = (pooled,)


def _overwrite(node: fx.Node, constants: Constants, ruled: Collection[fx.Node]) -> None:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    maker = source.args[0] if source.target is getitem else source
    if len(source.users) > 1 or maker in ruled or kind(maker) not in _OVERWRITABLE:  # type: ignore[arg-type]
        return
    if "highest" in maker.kwargs:  # type: ignore[union-attr]  # its gradient needs its output
        return
    if kind(node) == "Relu":
        node.target, node.args = torch.relu_, (source,)
    else:
        node.target, node.args, node.kwargs = F.hardtanh_, (source, 0, upper_bound(node, constants)), {}


def upper_bound(clip: fx.Node, constants: Constants) -> float:
    """The upper bound of a Relu or Relu6."""
    if kind(clip) == "Relu":
        return math.inf
    bounds = [constants.value(bound) for bound in clip.args[1:]]
    return float(bounds[1] if bounds else clip.kwargs["max"])  # type: ignore[arg-type]


def _laid_out(weight: torch.Tensor) -> torch.Tensor:
    if weight.dim() != 4 or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return weight
    return weight.contiguous(memory_format=torch.channels_last)


def _lay_out(conv: fx.Node, constants: Constants, ruled: Collection[fx.Node], plain_sums: bool) -> None:
    weight = constants.value(conv.args[1])
    if weight is None or weight.dim() != 4:
        return
    if packed.fits(weight, conv.kwargs):
        _pack(conv, weight, constants, ruled, plain_sums)
        return
    if _laid_out(weight) is not weight:
        conv.update_arg(1, constants.derive(conv, f"{conv.name}_channels_last", lambda: _laid_out(weight)))
    if fits(weight, conv.kwargs):
        stride = int(conv.kwargs["strides"][0])  # type: ignore[index, arg-type]
        phases = constants.derive(conv, f"{conv.name}_phases", lambda: phase_weight(weight, stride))
        bias = conv.args[2] if len(conv.args) > 2 else None
        conv.target = strided_convolution
        conv.args = (conv.args[0], conv.args[1], bias, phases)
        pads = conv.kwargs.get("pads") or [0]
        conv.kwargs = {"stride": stride, "padding": pads[0]}  # type: ignore[index]


def _pack(
    conv: fx.Node, weight: torch.Tensor, constants: Constants, ruled: Collection[fx.Node], plain_sums: bool
) -> None:
    """Both directions' weights in the library's order; the Relu or Relu6 behind it becomes a part of it."""
    attributes: dict[str, Any] = dict(conv.kwargs)
    groups, pads = attributes.get("group", 1), list((attributes.get("pads") or [0, 0])[:2])
    name = f"{conv.name}_{conv.args[1].target}_{plain_sums}"  # type: ignore[union-attr]
    bias = conv.args[2] if len(conv.args) > 2 else None
    conv.target = constants.shared(name, lambda: packed.packed_convolution(weight, pads, groups, plain_sums))
    conv.args, conv.kwargs = (conv.args[0],), {"bias": bias}
    clip = only_user(conv)
    if clip is not None and clip not in ruled and kind(clip) in ("Relu", "Relu6"):
        conv.kwargs = {"bias": bias, "highest": upper_bound(clip, constants)}
        clip.replace_all_uses_with(conv)
        conv.graph.erase_node(clip)
