"""Random Keras models: what each layer type can be configured to, drawn for an input of a given shape.

Run by path in a process of its own, for Keras is no part of this program:
python keras_networks.py SEED COUNT FOLDER    writes case N as FOLDER/N.keras, N.h5, N.json (+ N.weights.h5), N.npz
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keras_architectures import NETWORKS, write_model
from keras_sequences import attend, attention, both_ways, chosen, of_images, recurrent, sequence

Config = dict[str, Any]
Draw = np.random.Generator
Shape = tuple[Any, ...]  # with the batch

_NAMES = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    squareplus tanh tanh_shrink
"""
ACTIVATIONS = _NAMES.split()
_FUSED = [name for name in ACTIVATIONS if name != "glu"]
_DROPPED = {1: "SpatialDropout1D", 2: "SpatialDropout2D", 3: "SpatialDropout3D"}


def _ints(draw: Draw, count: int, low: int, high: int) -> list[int]:
    return [int(value) for value in draw.integers(low, high + 1, count)]


def _activation(draw: Draw) -> str:
    return chosen(draw, "linear", "relu", str(chosen(draw, *_FUSED)))


def _axes(shape: Shape) -> int:
    return len(shape) - 2


def _window(draw: Draw, shape: Shape, dilated: bool = True, even: bool = False) -> Config:
    axes = _axes(shape)
    kind = chosen(draw, "plain", "strided", "dilated")
    strides = _ints(draw, axes, 1, 3) if kind == "strided" else [1] * axes
    if even:
        strides = [strides[0]] * axes
    config = {"kernel_size": _ints(draw, axes, 1, 4), "strides": strides, "padding": chosen(draw, "valid", "same")}
    if dilated:
        config["dilation_rate"] = _ints(draw, axes, 1, 2) if kind == "dilated" else [1] * axes
    return config


def _format(draw: Draw, shape: Shape) -> Config:
    return {"data_format": chosen(draw, *["channels_last"] * 5, "channels_first")}


def _channels(shape: Shape, config: Config) -> int:
    return shape[1] if config["data_format"] == "channels_first" else shape[-1]


def convolution(draw: Draw, shape: Shape) -> tuple[str, Config]:
    config = {**_window(draw, shape), **_format(draw, shape), "use_bias": bool(draw.integers(2))}
    channels = _channels(shape, config)
    groups = int(chosen(draw, *[count for count in range(1, (channels or 1) + 1) if (channels or 1) % count == 0]))
    config |= {"filters": groups * int(draw.integers(1, 4)), "groups": groups, "activation": _activation(draw)}
    if _axes(shape) == 1 and config["data_format"] == "channels_last" and draw.integers(3) == 0:
        config["padding"] = "causal"
    return f"Conv{_axes(shape)}D", config


def transposed(draw: Draw, shape: Shape) -> tuple[str, Config]:
    config = {**_window(draw, shape), **_format(draw, shape), "use_bias": bool(draw.integers(2))}
    config |= {"filters": int(draw.integers(1, 5)), "activation": _activation(draw)}
    if draw.integers(3) == 0 and min(config["strides"]) > 1:
        config["output_padding"] = [int(draw.integers(0, stride)) for stride in config["strides"]]
    return f"Conv{_axes(shape)}DTranspose", config


def depthwise(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, "DepthwiseConv", "SeparableConv")
    config = {**_window(draw, shape, even=True), **_format(draw, shape), "use_bias": bool(draw.integers(2))}
    config |= {"depth_multiplier": int(draw.integers(1, 4)), "activation": _activation(draw)}
    if kind == "SeparableConv":
        config["filters"] = int(draw.integers(1, 6))
    return f"{kind}{_axes(shape)}D", config


def pooling(draw: Draw, shape: Shape) -> tuple[str, Config]:
    config = {**_window(draw, shape, dilated=False), **_format(draw, shape)}
    config["pool_size"] = config.pop("kernel_size")
    return f"{chosen(draw, 'Max', 'Average')}Pooling{_axes(shape)}D", config


def global_pooling(draw: Draw, shape: Shape) -> tuple[str, Config]:
    return f"Global{chosen(draw, 'Max', 'Average')}Pooling{_axes(shape)}D", {
        **_format(draw, shape),
        "keepdims": bool(draw.integers(2)),
    }


def enlarging(draw: Draw, shape: Shape) -> tuple[str, Config]:
    axes = _axes(shape)
    size = {"size": _ints(draw, axes, 1, 3) if axes > 1 else int(draw.integers(1, 4))}
    if axes > 1:
        size |= _format(draw, shape)
    if axes == 2:
        size["interpolation"] = chosen(draw, "nearest", "bilinear")
    return f"UpSampling{axes}D", size


def bordering(draw: Draw, shape: Shape) -> tuple[str, Config]:
    axes = _axes(shape)
    kind, name = chosen(draw, ("ZeroPadding", "padding"), ("Cropping", "cropping"))
    pairs = [_ints(draw, 2, 0, 2) for _ in range(axes)]
    given = chosen(draw, pairs, [pair[0] for pair in pairs], 1) if axes > 1 else chosen(draw, pairs[0], 1)
    return f"{kind}{axes}D", {name: given, **(_format(draw, shape) if axes > 1 else {})}


def resampling(draw: Draw, shape: Shape) -> tuple[str, Config]:
    sides = {"height": int(draw.integers(1, 12)), "width": int(draw.integers(1, 12)), **_format(draw, shape)}
    if draw.integers(3):
        known = None not in shape[1:]
        ratio = chosen(draw, {}, {}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True, "fill_value": 0.5})
        how = {"interpolation": chosen(draw, "nearest", "bilinear"), **(ratio if known else {})}
        return "Resizing", {**sides, **how, "antialias": known and bool(draw.integers(3) == 0)}
    return "CenterCrop", sides


def normalising(draw: Draw, shape: Shape) -> tuple[str, Config]:
    rank = len(shape)
    plain = ("LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization")
    kind = chosen(draw, *["BatchNormalization"] * 2, *plain)
    both = {"scale": bool(draw.integers(2)), "center": bool(draw.integers(2)), "epsilon": 10.0 ** -draw.integers(2, 6)}
    if kind == "BatchNormalization":
        return kind, {**both, "axis": int(chosen(draw, -1, -1, *range(1, rank)))}
    if kind == "LayerNormalization":
        return kind, {**both, "axis": chosen(draw, -1, list(range(1, rank)), int(draw.integers(1, rank)))}
    if kind == "GroupNormalization":
        axis = int(chosen(draw, -1, 1))
        channels = shape[axis] or 1
        groups = chosen(draw, *[count for count in range(1, channels + 1) if channels % count == 0], -1)
        return kind, {**both, "axis": axis, "groups": int(groups)}
    if kind == "RMSNormalization":
        return kind, {"axis": -1, "epsilon": both["epsilon"]}
    return kind, {"axis": chosen(draw, -1, int(draw.integers(1, rank)))}


def statistics(draw: Draw, shape: Shape) -> tuple[str, Config]:
    config: Config = {
        "axis": chosen(draw, -1, None, int(draw.integers(1, len(shape)))),
        "invert": bool(draw.integers(2)),
    }
    if config["axis"] is None or draw.integers(2):
        config |= {"mean": float(draw.normal()), "variance": float(draw.uniform(0.5, 2))}
    return "Normalization", config


def activating(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, "Activation", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "PReLU")
    if kind == "Activation":
        return kind, {"activation": chosen(draw, *ACTIVATIONS)}
    if kind == "ReLU":
        config = {"negative_slope": chosen(draw, 0.0, 0.2), "threshold": chosen(draw, 0.0, 0.5)}
        return kind, {**config, "max_value": chosen(draw, None, 1.5, 6.0)}
    if kind == "PReLU":
        return kind, {"shared_axes": chosen(draw, None, list(range(1, len(shape) - 1)) or None, [len(shape) - 1])}
    if kind == "Softmax":
        return kind, {"axis": int(chosen(draw, -1, *range(1, len(shape))))}
    return kind, chosen(draw, {}, {"negative_slope" if kind == "LeakyReLU" else "alpha": 0.4})


def moving(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, "Flatten", "Reshape", "Permute")
    if kind == "Flatten":
        return kind, _format(draw, shape)
    if kind == "Permute":
        return kind, {"dims": [int(axis) + 1 for axis in draw.permutation(len(shape) - 1)]}
    count = int(np.prod(shape[1:]))
    first = int(chosen(draw, *[size for size in range(1, count + 1) if count % size == 0]))
    return kind, {"target_shape": chosen(draw, [first, count // first], [first, -1], [count], [1, 1, count])}


def dense(draw: Draw, shape: Shape) -> tuple[str, Config]:
    config = {"units": int(draw.integers(1, 6)), "use_bias": bool(draw.integers(2)), "activation": _activation(draw)}
    if len(shape) == 3 and draw.integers(3) == 0:
        config["bias_axes"] = chosen(draw, "d", "cd") if config.pop("use_bias") else None
        return "EinsumDense", {**config, "equation": "abx,xcd->abcd", "output_shape": [None, config.pop("units"), 2]}
    return "Dense", config


def scaling(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, "Rescaling", "Dropout", "GaussianNoise", _DROPPED.get(_axes(shape), "AlphaDropout"))
    if kind == "Rescaling":
        vector = [float(value) for value in draw.normal(size=shape[-1] or 1)]
        return kind, {"scale": chosen(draw, 0.5, vector), "offset": chosen(draw, 0.0, -1.0, vector)}
    ordered = {"data_format": "channels_last"} if kind in ("SpatialDropout2D", "SpatialDropout3D") else {}
    return kind, {"stddev" if kind == "GaussianNoise" else "rate": 0.3, **ordered}


def repeating(draw: Draw, shape: Shape) -> tuple[str, Config]:
    return "RepeatVector", {"n": int(draw.integers(1, 5))}


def each_step(draw: Draw, shape: Shape) -> tuple[str, Config]:
    inner = (shape[0], *shape[2:])
    return "TimeDistributed", {"layer": list(chosen(draw, *_fitting(inner, wrapped=True))(draw, inner))}


Family = Callable[[Draw, Shape], tuple[str, Config]]


def _fitting(shape: Shape, wrapped: bool = False) -> list[Family]:
    """The families of layers that take such an input."""
    rank = len(shape)
    found: list[Family] = [activating, dense, scaling, normalising]
    if rank == 2 and not wrapped:
        found.append(repeating)
    if not wrapped:
        found.append(statistics)
    if None not in shape[1:]:
        found.append(moving)
    if 3 <= rank <= 5:
        found += [
            convolution,
            convolution,
            convolution,
            transposed,
            pooling,
            pooling,
            global_pooling,
            enlarging,
            bordering,
        ]
    if rank in (3, 4):
        found += [depthwise, depthwise]
    if rank == 4:
        found.append(resampling)
    if rank == 3 and not wrapped:
        found += [recurrent, both_ways, attention]
    if rank in (4, 5) and not wrapped and None not in shape[1:]:
        found.append(of_images)
    if rank >= 3 and not wrapped and shape[1] is not None:
        found.append(each_step)
    return found


_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot")


def _layer(keras: Any, kind: str, config: Config) -> Any:
    if kind in ("Bidirectional", "TimeDistributed"):
        config = {**config, "layer": _layer(keras, *config["layer"])}
    return getattr(keras.layers, kind.replace("Grouped", "Group"))(**config)


def _joined(keras: Any, draw: Draw, x: Any, note: list[Any]) -> Any:
    """x and what another layer makes of it, merged."""
    kind = chosen(draw, *_MERGES)
    other = keras.layers.Activation("tanh")(x)
    config: Config = {}
    if kind == "Concatenate":
        config["axis"] = int(chosen(draw, -1, *range(1, len(x.shape))))
    if kind == "Dot":
        config = {"axes": int(chosen(draw, *range(1, len(x.shape)))), "normalize": bool(draw.integers(2))}
    note.append([kind, config])
    many = [x, other, other] if kind in ("Add", "Multiply", "Average", "Maximum") and draw.integers(2) else [x, other]
    return getattr(keras.layers, kind)(**config)(many)


def _computed(keras: Any, draw: Draw, x: Any, note: list[Any]) -> Any:
    """Arithmetic between layers."""
    which = int(draw.integers(6))
    note.append(["operation", which])
    if which == 0:
        return x * 2.0 + 0.5
    if which == 1:
        return keras.ops.mean(x, axis=list(range(1, len(x.shape) - 1)) or [1], keepdims=True)
    if which == 2:
        return x[:, : max(1, (x.shape[1] or 2) - 1)]
    if which == 3:
        return 1.0 / (1.0 + keras.ops.square(x))
    if which == 4:
        return keras.ops.concatenate([x, -x], axis=-1)
    return keras.ops.relu(x) - keras.ops.sigmoid(x)


def _chain(keras: Any, draw: Draw, x: Any, note: list[Any]) -> Any:
    for _ in range(draw.integers(1, 4)):
        what = draw.integers(12)
        if what == 0:
            x = _joined(keras, draw, x, note)
        elif what == 1:
            x = _computed(keras, draw, x, note)
        else:
            kind, config = chosen(draw, *_fitting(tuple(x.shape)))(draw, tuple(x.shape))
            note.append([kind, config])
            layer = _layer(keras, kind, config)
            if "Attention" in kind:
                x = attend(layer, kind, draw, x, note)
                continue
            x = layer(x)
            if draw.integers(10) == 0 and tuple(x.shape) == tuple(layer.input.shape):
                note.append("again")
                x = layer(x)
    return x


def _network(keras: Any, draw: Draw, note: list[Any]) -> Any:
    if draw.integers(8) == 0:
        inputs, x = sequence(keras, draw, note)
        return keras.Model(inputs, _chain(keras, draw, x, note))
    axes = int(chosen(draw, 0, 1, 1, 2, 2, 2, 2, 3))
    shape = [*_ints(draw, axes, 3, 7 if axes == 3 else 9), int(draw.integers(1, 7))]
    if axes == 2 and draw.integers(6) == 0:
        shape[:2] = [None, None]
    note.append(shape)
    inputs = keras.Input(shape)
    if draw.integers(8):
        return keras.Model(inputs, _chain(keras, draw, inputs, note))
    note.append("nested")
    inner = keras.Model(inputs, _chain(keras, draw, inputs, note), name="inner")
    outer = keras.Input(shape)
    return keras.Model(outer, _chain(keras, draw, inner(outer), note))


def write_case(keras: Any, seed: int, number: int, folder: Path) -> str | None:
    """Draw, build, save and run one model; what Keras itself refused of the draw, or None."""
    draw = np.random.default_rng([seed, number])
    keras.utils.clear_session()
    note: list[Any] = []
    try:
        network = _network(keras, draw, note)
        reason = write_model(keras, network, draw, folder / f"{number}.npz", note)
    except Exception as error:  # as many kinds as there are layers
        return f"{type(error).__name__}: {error}"
    if reason is None and number % 5 == 0:
        network.save_weights(folder / f"{number}.weights.h5")
        (folder / f"{number}.json").write_text(network.to_json())
    return reason


def main(seed: str, count: str, folder: str) -> int:
    """The networks of keras_architectures and cases 0 to COUNT - 1; those that Keras refuses leave no file."""
    import logging
    import warnings

    os.environ["KERAS_BACKEND"] = "torch"
    warnings.simplefilter("ignore")
    logging.disable()
    import keras
    import torch
    from onnxray.importers.keras.keras_process import correct_keras

    torch.set_num_threads(1)
    correct_keras()
    for build in NETWORKS:  # always with the same weights: some round, and Keras itself must not stand on an edge
        reason = write_model(keras, build(keras), np.random.default_rng(0), Path(folder) / build.__name__, [])
        assert reason is None, build.__name__
    reasons: dict[str, int] = {}
    for number in range(int(count)):
        reason = write_case(keras, int(seed), number, Path(folder))
        if reason is not None:
            reasons[reason[:100]] = reasons.get(reason[:100], 0) + 1
    (Path(folder) / "refused.json").write_text(json.dumps(reasons))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
