"""Whole Keras networks as they are built in practice, and how a network is written with what it computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from keras_sequences import ROWS, values_for


def write_model(keras: Any, network: Any, draw: np.random.Generator, path: Path, note: Any) -> str | None:
    """Random weights, then PATH.keras, PATH.h5 and PATH.npz with inputs and outputs; else why not."""
    for weight in network.weights:
        value = draw.normal(0, 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    values = [values_for(x, draw) for x in network.inputs]
    results = network(values if len(values) > 1 else values[0], training=False)
    results = [keras.ops.convert_to_numpy(result) for result in (results if isinstance(results, list) else [results])]
    if any(not result.size or not np.isfinite(result).all() or np.abs(result).max() > 1e6 for result in results):
        return "empty or endless"
    if any(0 < np.abs(result).max() < 1e-6 for result in results):
        return "nothing but rounding"
    network.save(path.with_suffix(".keras"))
    network.save(path.with_suffix(".h5"))
    stored = {f"value_{index}": value for index, value in enumerate(values)}
    stored |= {f"result_{index}": result for index, result in enumerate(results)}
    np.savez(path.with_suffix(".npz"), note=json.dumps(note), **stored)  # type: ignore[arg-type]
    return None


def sequence_to_sequence(keras: Any) -> Any:
    """States of one LSTM begin another."""
    layers = keras.layers
    source, target = keras.Input((5, 3)), keras.Input((4, 2))
    _, hidden, cell = layers.LSTM(6, return_state=True)(source)
    steps = layers.LSTM(6, return_sequences=True)(target, initial_state=[hidden, cell])
    scores = layers.TimeDistributed(layers.Dense(3, activation="softmax"))(steps)
    steps, last = layers.GRU(3, return_sequences=True, return_state=True, go_backwards=True)(scores)
    return keras.Model([source, target], [scores, hidden, steps, last])


def translation(keras: Any) -> Any:
    """Words to words, both with gaps: an encoder in both directions, whose states begin the decoder, and attention."""
    layers = keras.layers
    source, target = keras.Input((6,), dtype="int32"), keras.Input((5,), dtype="int32")
    words, answers = (layers.Embedding(ROWS, 4, mask_zero=True)(each) for each in (source, target))
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, return_state=True))
    encoded, *states = both(words)
    hidden, cell = layers.Concatenate()(states[0::2]), layers.Concatenate()(states[1::2])
    steps = layers.LSTM(6, return_sequences=True)(answers, initial_state=[hidden, cell])
    seen = layers.Attention()([layers.Dense(3)(steps), layers.Dense(3)(encoded)])
    # Keras takes the masks off what this reads, so nothing else may.
    heads = layers.MultiHeadAttention(2, 3)(layers.Dense(3)(steps), layers.Dense(3)(encoded), use_causal_mask=True)
    joined = layers.LayerNormalization()(layers.Concatenate()([steps, seen, heads]))
    turned = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode=None)(joined, initial_state=None)
    both = layers.Concatenate(axis=1)([layers.Dense(2)(joined), layers.Add()(turned)])
    return keras.Model([source, target], [layers.GlobalAveragePooling1D()(both), layers.SimpleRNN(3)(both)])


def images_resized(keras: Any) -> Any:
    """Every way to another size, from a side that is longer and one that is shorter."""
    layers = keras.layers
    image = keras.Input((9, 14, 3))
    ways: list[dict[str, Any]] = [
        {"antialias": True},
        {"crop_to_aspect_ratio": True},
        {"pad_to_aspect_ratio": True, "fill_value": 0.5, "antialias": True},
        {"crop_to_aspect_ratio": True, "interpolation": "nearest", "antialias": True},
    ]
    return keras.Model(image, [layers.Resizing(6, 17, **way)(image) for way in ways])


def seldom_layers(keras: Any) -> Any:
    """What the random networks do not draw: wrapped kernels, cells, equations."""
    layers = keras.layers
    image, steps = keras.Input((8, 8, 3)), keras.Input((5, 4))
    spectral = layers.SpectralNormalization(layers.Conv2D(4, 3, activation="relu"))(image)
    dense = layers.SpectralNormalization(layers.Dense(3))(layers.Flatten()(spectral))
    cells = [layers.RNN(cell, return_sequences=True)(steps) for cell in (layers.LSTMCell(3), layers.GRUCell(3))]
    heads = layers.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")(steps)
    back = layers.EinsumDense("abde,dec->abc", output_shape=(None, 4), activation="relu")(heads)
    scaled = layers.LayerNormalization(rms_scaling=True)(layers.RMSNormalization()(back))
    return keras.Model([image, steps], [spectral, dense, *cells, scaled])


def arithmetic(keras: Any) -> Any:
    """Operations between layers, one after the other."""
    layers, ops = keras.layers, keras.ops
    image = keras.Input((6, 5, 4))
    x = ops.clip(layers.Conv2D(4, 3, padding="same")(image), -1.5, 1.0)
    bent = [ops.elu(x), ops.selu(x), ops.leaky_relu(x), ops.softplus(x), ops.softsign(x), ops.hard_sigmoid(x)]
    bent += [ops.hard_silu(x), ops.log_softmax(x), ops.erf(x), ops.sin(x), ops.cos(x)]
    whole = [ops.floor(x), ops.ceil(x), ops.round(3 * x), ops.sign(x)]
    turned = ops.rsqrt(1.0 + ops.square(x)) + ops.reciprocal(2.0 + ops.abs(x))
    picked = ops.where(ops.logical_and(x > 0.1, ops.logical_not(x >= 0.9)), x, -1.0) * ops.cast(x < 0.5, "float32")
    total = ops.prod(ops.concatenate([x + 1.0, turned], axis=1), axis=[1, 2])
    beside = ops.stack([total, ops.max(x, axis=(1, 2)), ops.cast(3 * total, "int32") * 1.0], axis=1)
    return keras.Model(image, [layers.Add()(bent + whole), picked, beside])


def attentions(keras: Any) -> Any:
    """Query, value and key by position and by name."""
    layers = keras.layers
    query, value = keras.Input((5, 4)), keras.Input((6, 4))
    plain = layers.Attention(use_scale=True)([query, value])
    heads = layers.MultiHeadAttention(2, 3)(query, value, key=value)
    named = layers.MultiHeadAttention(2, 3)(query=query, value=value)
    return keras.Model([query, value], [plain, heads, named])


def siamese(keras: Any) -> Any:
    """One tower, a Sequential, on two images."""
    layers = keras.layers
    inside = [
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(5),
    ]
    tower = keras.Sequential(inside)
    left, right = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    apart = keras.ops.abs(layers.Subtract()([tower(left), tower(right)]))
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(apart))


def vision_transformer(keras: Any) -> Any:
    """Patches, two blocks of attention, sums written with `+`."""
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, 4)(image))
    for _ in range(2):
        normal = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(normal, normal)])
        x = x + layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def u_net(keras: Any) -> Any:
    """Down, up and across; a softmax at every pixel."""
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    wide = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    deep = layers.Conv2D(8, 3, padding="same")(layers.MaxPooling2D()(wide))
    deep = layers.ReLU()(layers.BatchNormalization()(deep))
    up = layers.Conv2DTranspose(4, 2, strides=2, padding="same")(deep)
    return keras.Model(image, layers.Conv2D(2, 1, activation="softmax")(layers.Concatenate()([up, wide])))


def squeeze_and_excite(keras: Any) -> Any:
    """Channels weighed by what they hold altogether."""
    layers = keras.layers
    image = keras.Input((8, 8, 6))
    share = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(image))
    share = layers.Dense(6, activation="sigmoid")(layers.Dense(2, activation="relu")(share))
    return keras.Model(image, layers.Multiply()([image, share]))


def shuffled_channels(keras: Any) -> Any:
    """Reshape and Permute in the middle of a convolutional network."""
    layers = keras.layers
    image = keras.Input((8, 8, 6))
    x = layers.Permute((1, 2, 4, 3))(layers.Reshape((8, 8, 2, 3))(image))
    return keras.Model(image, layers.DepthwiseConv2D(3, padding="same")(layers.Reshape((8, 8, 6))(x)))


def video(keras: Any) -> Any:
    """A model at each step of a sequence, then both directions of it."""
    layers = keras.layers
    frames = keras.Input((3, 8, 8, 2))
    network = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()])
    return keras.Model(frames, layers.Bidirectional(layers.GRU(3))(layers.TimeDistributed(network)(frames)))


NETWORKS: tuple[Callable[[Any], Any], ...] = (
    sequence_to_sequence,
    translation,
    images_resized,
    seldom_layers,
    arithmetic,
    attentions,
    siamese,
    vision_transformer,
    u_net,
    squeeze_and_excite,
    shuffled_channels,
    video,
)
