"""Random Darknet networks, drawn and run by the reference as they grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from darknet_reference import ACTIVATIONS, Network
from tiny_darknet import HEADER

_LAYERS = 8  # at most
_OLD_HEADER = HEADER[:4] + b"\1\0\0\0" + HEADER[8:16]  # version 0.1: the images seen in 32 bits
_RARE = (
    "route",
    "shortcut",
    "scale_channels",
    "sam",
    "reorg",
    "reorg3d",
    "local",
)  # few networks have a place for them
_NUMBERS = 4000  # of an output, at most: the reference is slow


def draw(seed: int) -> Network:
    """A network of one to eight layers, or fewer where one has no place."""
    random = np.random.default_rng(seed)
    shape = (2, random.integers(1, 5), random.integers(3, 11), random.integers(3, 11))
    net = Network(random.normal(size=shape), seed, _OLD_HEADER if seed % 5 == 0 else HEADER)
    for _ in range(random.integers(1, _LAYERS + 1)):
        kind = _pick(random, "convolutional", _pick(random, *DRAWN), _pick(random, *_RARE))
        options = DRAWN[kind](net, random)
        if options is not None:
            net.add(kind, **options)
    if not net.outputs:
        net.add("convolutional", filters=2, size=1, activation="leaky")
    return net


def _pick(random: np.random.Generator, *choices: Any) -> Any:
    return choices[random.integers(len(choices))]


def _activation(random: np.random.Generator) -> str:
    return str(_pick(random, *ACTIVATIONS))


def _convolutional(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    channels, height, width = net.last.shape[1:]
    groups = _pick(random, 1, 1, 1, channels)
    side, dilation = int(random.integers(1, 6)), _pick(random, 1, 1, 1, 2)
    options = {"filters": groups * int(_pick(random, 1, 2, 3, 4, 8)), "size": side, "activation": _activation(random)}
    if random.random() < 0.7:
        options["pad"] = 1
    elif random.random() < 0.5:
        options["padding"] = int(random.integers(0, 3))
    pad = (side // 2 if options.get("pad") else options.get("padding", 0)) * dilation
    if min(height, width) + 2 * pad < dilation * (side - 1) + 1:
        return None
    options |= {"groups": groups} if groups > 1 else {}
    options |= {"dilation": dilation} if dilation > 1 else {}
    options |= {"batch_normalize": 1} if random.random() < 0.6 else {}
    options |= {"flipped": 1} if random.random() < 0.1 else {}
    options |= _strides(random)
    return options


def _depthwise(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    return {"size": _pick(random, 1, 3), "pad": 1, "activation": _activation(random), **_strides(random)}


def _strides(random: np.random.Generator) -> dict[str, Any]:
    stride = int(_pick(random, 1, 1, 2, 3))
    both = {"stride_x": int(random.integers(1, 4)), "stride_y": int(random.integers(1, 4))}
    return {"stride": stride, **(both if random.random() < 0.1 else {})}


def _pool(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    options = _strides(random)
    side = int(random.integers(1, 6))
    padding = int(random.integers(0, 2 * side - 1)) if random.random() < 0.4 else side - 1
    if min(net.last.shape[2:]) + padding < side:
        return None
    options |= {"size": side}
    return options | ({"padding": padding} if padding != side - 1 else {})


def _alike(net: Network, same: Callable[[tuple[int, ...], tuple[int, ...]], bool]) -> list[int]:
    """Earlier layers whose [C, H, W] goes with that of the last."""
    here = net.last.shape[1:]
    return [index for index, output in enumerate(net.outputs) if same(output.shape[1:], here)]


def _some(net: Network, random: np.random.Generator, indices: list[int]) -> list[int]:
    """One to three of them, some counted from the end."""
    chosen = random.choice(indices, size=random.integers(1, 4))
    return [int(index) if random.random() < 0.5 else int(index) - len(net.outputs) for index in chosen]


def _route(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    found = _alike(net, lambda other, here: other[1:] == here[1:])
    if not found:
        return None
    layers = _some(net, random, found)
    groups = int(np.gcd.reduce([net.earlier(index).shape[1] for index in layers]))
    if groups > 1 and random.random() < 0.5:
        return {"layers": layers, "groups": groups, "group_id": int(random.integers(groups))}
    return {"layers": layers}


def _shortcut(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    found = _alike(
        net,
        lambda other, here: (
            other[1] // here[1] == other[2] // here[2] >= 1 and (random.random() < 0.5 or other[1:] == here[1:])
        ),
    )
    if not found:
        return None
    return {"from": _some(net, random, found), "activation": _activation(random)}


def _scale_channels(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    channels, height, width = net.last.shape[1:]
    if (height, width) == (1, 1):
        found, extra = _alike(net, lambda other, here: other[0] == here[0]), {}
    else:
        found = _alike(net, lambda other, here: other[1:] == here[1:]) if channels == 1 else []
        extra = {"scale_wh": 1}
    return {"from": found[0], "activation": _activation(random), **extra} if found else None


def _sam(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    found = _alike(net, lambda other, here: other == here)
    return {"from": found[0], "activation": _activation(random)} if found else None


def _upsample(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    stride = int(random.integers(1, 4))
    if net.last.size * stride**2 > _NUMBERS:
        return None
    return {"stride": stride, **({"scale": 0.5} if random.random() < 0.3 else {})}


def _reorg(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    channels, height, width = net.last.shape[1:]
    if channels % 4:
        return None
    if height % 2 or width % 2 or random.random() < 0.3:
        return {"stride": 2, "reverse": 1}
    return {"stride": 2}


def _reorg3d(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    found = [stride for stride in (2, 3) if not any(side % stride for side in net.last.shape[2:])]
    return {"stride": found[0]} if found else None


def _local(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    pad = int(random.integers(2))
    side = 3 if pad else int(random.integers(1, 4))
    if min(net.last.shape[2:]) < side or net.last.size * 9 > _NUMBERS:
        return None
    return {
        "filters": int(random.integers(1, 4)), "size": side, "stride": int(random.integers(1, 3)), "pad": pad,
        "activation": _activation(random),
    }  # fmt: skip


def _crop(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    height, width = (int(random.integers(1, side + 1)) for side in net.last.shape[2:])
    return {"crop_height": height, "crop_width": width, "noadjust": int(random.integers(2))}


def _softmax(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    options: dict[str, Any] = {"groups": net.last.shape[1]} if random.random() < 0.4 else {}
    return options | ({"temperature": 3} if random.random() < 0.3 else {})


def _connected(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    normal = {"batch_normalize": 1} if random.random() < 0.4 else {}
    return {"output": int(random.integers(1, 8)), "activation": _activation(random), **normal}


def _nothing(net: Network, random: np.random.Generator) -> dict[str, Any] | None:
    return {}


DRAWN: dict[str, Callable[[Network, np.random.Generator], dict[str, Any] | None]] = {
    "activation": lambda net, random: {"activation": _activation(random)},
    "avgpool": _nothing,
    "batchnorm": _nothing,
    "connected": _connected,
    "convolutional": _convolutional,
    "cost": _nothing,
    "crop": _crop,
    "depthwise_convolutional": _depthwise,
    "dropout": _nothing,
    "local": _local,
    "local_avgpool": _pool,
    "maxpool": _pool,
    "reorg": _reorg,
    "reorg3d": _reorg3d,
    "route": _route,
    "sam": _sam,
    "scale_channels": _scale_channels,
    "shortcut": _shortcut,
    "softmax": _softmax,
    "upsample": _upsample,
}
