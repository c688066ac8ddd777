"""narrowing: only some channels of an output are asked, so the last convolution or product makes only those."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import fx

from ..gradient.constants import Constants
from ..gradient.kinds import kind, only_user
from ..gradient.products import linear

# What may lie behind it: each channel of the output depends on that channel alone, whichever number it has.
_KEEPS = (
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Gelu", "Softplus"),
    *("Identity", "Dropout", "GlobalAveragePool", "AveragePool"),
)
_FLATTENS = ("Flatten", "Squeeze")  # where there is one place


@dataclass(frozen=True)
class Narrowed:
    """Which channels an output has left, of how many."""

    channels: tuple[int, ...]
    count: int

    def widened(self, value: torch.Tensor) -> torch.Tensor:  # [n, len(channels), …] -> [n, count, …]
        """NaN where nobody asked."""
        wide = value.new_full((len(value), self.count, *value.shape[2:]), torch.nan)
        wide[:, list(self.channels)] = value
        return wide


def narrow(
    output: fx.Node,
    constants: Constants,
    clean: MutableMapping[fx.Node, Any],  # every tensor for some image
    channels: Sequence[int],
) -> Narrowed | None:
    """Change the graph and the tensors so that this output has these channels only; None where that is not possible."""
    node, behind = output, [output]
    while kind(node) not in ("Conv", "Gemm") and node.target is not linear:
        if only_user(node) is None or not _keeps(node, clean):
            return None
        node = node.args[0]  # type: ignore[assignment]
        behind.append(node)
    if only_user(node) is None:
        return None
    axis = _axis_of_outputs(node) if clean[node].dim() in (2, 4) else None  # where channels are axis 1
    held = [value for value in map(constants.value, node.args[1:3]) if value is not None]
    if axis is None or len(held) < len(node.args[1:3]):
        return None
    count = held[0].shape[axis]
    if any(value.shape != (count,) for value in held[1:]) or max(channels) >= count:
        return None
    for number, (value, along) in enumerate(zip(held, (axis, 0), strict=False), 1):
        name = f"{node.name}_{number}_channels_{'_'.join(map(str, channels))}"
        made = constants.derive(node, name, partial(_selected, value, along, channels))
        node.update_arg(number, made)
        clean[made] = constants.value(made)
    for changed in behind:
        clean[changed] = clean[changed][:, list(channels)]
    return Narrowed(tuple(channels), count)


def _keeps(node: fx.Node, clean: MutableMapping[fx.Node, Any]) -> bool:
    if kind(node) in _KEEPS:
        return True
    source = clean[node.args[0]]  # type: ignore[index]
    one_place = source.dim() == 4 and source.shape[2:].numel() == 1
    return kind(node) in _FLATTENS and one_place and clean[node].shape == source.shape[:2]


def _axis_of_outputs(node: fx.Node) -> int | None:
    if node.target is linear:
        return 1
    attributes: Any = node.kwargs
    if kind(node) == "Conv":
        return 0 if attributes.get("group", 1) == 1 else None
    return 0 if attributes.get("transB", 0) else 1


def _selected(value: torch.Tensor, axis: int, channels: Sequence[int]) -> torch.Tensor:
    return value.index_select(axis, torch.tensor(channels))
