"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: how TensorFlow wrote a dilated convolution, made one again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .reader import Network, Operator
from .schema import PADDINGS

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def with_dilations(network: Network) -> Network:
    """The network with every such three operators as one, which has explicit paddings."""
    readers = Counter(name for operator in network.operators for name in operator.inputs)
    readers.update(network.outputs)
    makers = {name: operator for operator in network.operators for name in operator.outputs}
    gone: list[Operator] = []
    merged: dict[int, Operator] = {}
    for last in network.operators:
        convolution = makers.get(last.inputs[0]) if last.kind == "BATCH_TO_SPACE_ND" and last.inputs else None
        first = makers.get(convolution.inputs[0]) if convolution is not None and convolution.inputs else None
        if convolution is None or first is None or first.kind != "SPACE_TO_BATCH_ND":
            continue
        only = readers[first.outputs[0]] == readers[convolution.outputs[0]] == 1
        made = _merged(network, first, convolution, last) if only else None
        if made is not None:
            merged[id(last)] = made
            gone += [first, convolution]
    dropped = {id(operator) for operator in gone}
    operators = [merged.get(id(operator), operator) for operator in network.operators if id(operator) not in dropped]
    return replace(network, operators=operators)


def _merged(network: Network, first: Operator, convolution: Operator, last: Operator) -> Operator | None:
    """The dilated convolution; None where these three are not one."""
    options = convolution.options
    if convolution.kind not in _CONVOLUTIONS or not _is_plain(options):
        return None
    blocks, pads = _numbers(network, first, 1), _numbers(network, first, 2)
    block_again, crops = _numbers(network, last, 1), _numbers(network, last, 2)
    if not (len(blocks) == 2 and blocks == block_again and len(pads) == len(crops) == 4 and min(blocks) > 0):
        return None
    edges = [pad - crop for pad, crop in zip(pads, crops, strict=True)]  # what is cropped need not be padded
    if min(edges) < 0 or min(crops) < 0 or not _same_steps(network, convolution, last):
        return None
    dilated = {**options, "dilation_h": blocks[0], "dilation_w": blocks[1], "edges": edges}
    return Operator(convolution.kind, [first.inputs[0], *convolution.inputs[1:]], last.outputs, dilated)


def _is_plain(options: Mapping[str, int]) -> bool:
    return bool(options) and (
        options["padding"] == PADDINGS.index("VALID")
        and options["stride_h"] == options["stride_w"] == 1
        and options["dilation_h"] == options["dilation_w"] == 1
    )


def _same_steps(network: Network, convolution: Operator, last: Operator) -> bool:
    before, after = (network.tensors[operator.outputs[0]].quantisation for operator in (convolution, last))
    return before is None if after is None else after.same_as(before)


def _numbers(network: Network, operator: Operator, index: int) -> list[int]:
    stored = network.tensors[operator.inputs[index]].stored if index < len(operator.inputs) else None
    return [] if stored is None else [int(number) for number in stored.ravel()]
