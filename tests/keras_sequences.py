"""Random layers of sequences: recurrent ones, attention, and the masks that they read."""

from __future__ import annotations

from typing import Any

import numpy as np

Config = dict[str, Any]
Draw = np.random.Generator
Shape = tuple[Any, ...]  # with the batch
ROWS = 9  # of an Embedding


def chosen(draw: Draw, *values: Any) -> Any:
    """One of them."""
    return values[draw.integers(len(values))]


def recurrent(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, "LSTM", "GRU", "SimpleRNN")
    config: Config = {"units": int(draw.integers(1, 5)), "use_bias": bool(draw.integers(4))}
    config |= {"return_sequences": bool(draw.integers(2)), "go_backwards": bool(draw.integers(4) == 0)}
    config["zero_output_for_mask"] = config["return_sequences"] and bool(draw.integers(3) == 0)
    config["activation"] = chosen(draw, "tanh", "tanh", "relu", "sigmoid", "softsign")
    if kind != "SimpleRNN":
        config["recurrent_activation"] = chosen(draw, "sigmoid", "sigmoid", "hard_sigmoid")
    if kind == "GRU":
        config["reset_after"] = bool(draw.integers(2))
    return kind, config


def of_images(draw: Draw, shape: Shape) -> tuple[str, Config]:
    axes = len(shape) - 3
    config: Config = {"filters": int(draw.integers(1, 4)), "kernel_size": [int(n) for n in draw.integers(1, 4, axes)]}
    config |= {"padding": chosen(draw, "valid", "same"), "use_bias": bool(draw.integers(2))}
    config |= {"return_sequences": bool(draw.integers(2)), "go_backwards": bool(draw.integers(4) == 0)}
    config |= {"strides": int(chosen(draw, 1, 1, 2)), "activation": chosen(draw, "tanh", "relu")}
    config["data_format"] = chosen(draw, *["channels_last"] * 4, "channels_first")
    return f"ConvLSTM{axes}D", {**config, "recurrent_activation": chosen(draw, "sigmoid", "hard_sigmoid")}


def both_ways(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind, config = recurrent(draw, shape)
    config["go_backwards"] = False
    return "Bidirectional", {
        "layer": [kind, config],
        "merge_mode": chosen(draw, "concat", "sum", "mul", "ave"),
    }


def attention(draw: Draw, shape: Shape) -> tuple[str, Config]:
    kind = chosen(draw, *["MultiHeadAttention"] * 2, "Attention", "AdditiveAttention", "GroupedQueryAttention")
    if kind == "AdditiveAttention":
        return kind, {"use_scale": bool(draw.integers(2))}
    if kind == "Attention":
        return kind, {"use_scale": bool(draw.integers(2)), "score_mode": chosen(draw, "dot", "concat")}
    if kind == "GroupedQueryAttention":
        shared = int(draw.integers(1, 3))
        sizes = {"head_dim": int(draw.integers(1, 5)), "num_query_heads": 2 * shared, "num_key_value_heads": shared}
        return kind, {**sizes, "use_bias": bool(draw.integers(2))}
    config = {"num_heads": int(draw.integers(1, 4)), "key_dim": int(draw.integers(1, 5))}
    return kind, {**config, "use_bias": bool(draw.integers(2)), "value_dim": chosen(draw, None, 3)}


def attend(layer: Any, kind: str, draw: Draw, x: Any, note: list[Any]) -> Any:
    """x attending to itself, to what comes before perhaps."""
    words = {"use_causal_mask": True} if draw.integers(3) == 0 else {}
    note.append(words)
    return layer(x, x, **words) if kind[:5] in ("Multi", "Group") else layer([x, x], **words)


def sequence(keras: Any, draw: Draw, note: list[Any]) -> tuple[Any, Any]:
    """(input, sequence) of which some steps perhaps do not count; `write_model` gives such inputs."""
    steps = int(draw.integers(3, 8))
    kind = chosen(draw, "Embedding", "Masking")
    note.append([kind, steps])
    if kind == "Masking":
        inputs = keras.Input((steps, int(draw.integers(1, 5))))
        return inputs, keras.layers.Masking()(inputs)
    inputs = keras.Input((steps,), dtype="int32")
    rows = keras.layers.Embedding(ROWS, int(draw.integers(2, 6)), mask_zero=bool(draw.integers(4)))
    return inputs, rows(inputs)


def values_for(tensor: Any, draw: Draw) -> np.ndarray:
    """Noise; of whole numbers 0 often; of a sequence some steps nothing but 0."""
    shape = (2, *[size or 7 for size in tensor.shape[1:]])
    if "int" in tensor.dtype:
        return (draw.integers(0, ROWS, shape) * draw.integers(0, 3, shape).clip(0, 1)).astype(np.int32)
    value = draw.normal(size=shape).astype(np.float32)
    if len(shape) == 3:
        value *= draw.integers(0, 4, (*shape[:2], 1)) > 0
    return value
