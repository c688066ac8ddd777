"""Random PaddlePaddle programs that compute sizes and constants, or move by them; see paddle_cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tiny_paddle

if TYPE_CHECKING:
    from paddle_cases import Case


def resized_like(case: Case) -> None:
    """To the sides of another image, which `shape` and `slice` tell."""
    image, other = case.image(side=4), case.feed(case.numbers(1, 1, 8, 8), "y")
    case.step("shape", {"Input": "y"}, {"Out": np.array(other.shape, np.int32)})
    case.steps.append(tiny_paddle.step("slice", {"Input": "Out0"}, {"Out": "sides"}, axes=[0], starts=[2], ends=[4]))
    said = {"out_h": -1, "out_w": -1, "align_corners": False, "align_mode": 1, "data_layout": "NCHW"}
    names = {"X": "x", "OutSize": "sides"}
    case.steps.append(tiny_paddle.step("nearest_interp_v2", names, {"Out": "large"}, interp_method="nearest", **said))
    rows, columns = (np.arange(8) * side // 8 for side in image.shape[2:])
    case.expected["large"] = image[:, :, rows][:, :, :, columns]


def half_of_the_channels(case: Case) -> None:
    """How many there are, divided and multiplied, says where a slice ends."""
    image = case.image(channels=2 * case.integer(1, 3))
    case.steps += [
        tiny_paddle.step("shape", {"Input": "x"}, {"Out": "sizes"}),
        tiny_paddle.step("slice", {"Input": "sizes"}, {"Out": "all"}, axes=[0], starts=[1], ends=[2]),
        tiny_paddle.step("fill_constant", {}, {"Out": "two"}, shape=[1], value=2.0, dtype=2),
        tiny_paddle.step("elementwise_floordiv", {"X": "all", "Y": "two"}, {"Out": "half"}, axis=-1),
        tiny_paddle.step("cast", {"X": "half"}, {"Out": "long"}, in_dtype=2, out_dtype=3),
    ]
    result = image[:, : image.shape[1] // 2]
    names = {"Input": "x", "EndsTensor": "long"}
    case.step("slice", names, {"Out": result}, axes=[1], starts=[0], ends=[-1], infer_flags=[-1])


def written_out(case: Case) -> None:
    """Numbers that the program holds, added to what is fed."""
    value, kind = case.feed(case.numbers(case.integer(1, 3), 4)), case.integer(0, 3)
    held = case.numbers(4)
    steps: list[tuple[str, dict[str, str], dict[str, Any], np.ndarray]] = [
        ("assign_value", {}, {"shape": [4], "dtype": 5, "fp32_values": held.tolist()}, held),
        ("fill_constant", {}, {"shape": [1, 4], "dtype": 5, "value": 1.5}, np.full((1, 4), 1.5)),
        ("fill_any_like", {"X": "x"}, {"value": 2.5, "dtype": -1}, np.full(value.shape, 2.5)),
        ("fill_zeros_like", {"X": "x"}, {}, np.zeros(value.shape)),
    ]
    operator, inputs, said, added = steps[kind]
    case.steps.append(tiny_paddle.step(operator, inputs, {"Out": "held"}, **said))
    case.step("elementwise_add", {"X": "x", "Y": "held"}, {"Out": value + added}, axis=-1)


def counted(case: Case) -> None:
    """Numbers from one to another, which pick entries."""
    image = case.image(channels=5)
    for name, number in (("from", 0), ("to", 5), ("by", 2)):
        said = {"shape": [1], "value": float(number), "dtype": 3}
        case.steps.append(tiny_paddle.step("fill_constant", {}, {"Out": name}, **said))
    case.steps.append(tiny_paddle.step("range", {"Start": "from", "End": "to", "Step": "by"}, {"Out": "places"}))
    case.step("index_select", {"X": "x", "Index": "places"}, {"Out": image[:, ::2]}, dim=1)


def looked_up(case: Case) -> None:
    """Rows of a table, places of a tensor."""
    if case.chance(0.5):
        table = case.store(case.numbers(6, 3))
        places = case.feed(case.generator.integers(0, 6, (2, 4)))
        case.step("lookup_table_v2", {"W": "w", "Ids": "x"}, {"Out": table[places]}, padding_idx=-1)
        return
    image = case.image(channels=3)
    places = case.store(np.array([[0, 2], [0, 1]]), "i")
    case.step("gather_nd", {"X": "x", "Index": "i"}, {"Out": image[[0, 0], [2, 1]]})


def grown(case: Case) -> None:
    """To the shape of another, and in parts again."""
    value, other = case.feed(case.numbers(1, 3)), case.feed(case.numbers(case.integer(2, 4), 3), "y")
    shape = other.shape
    result = np.broadcast_to(value, shape)
    case.step("expand_as_v2", {"X": "x", "Y": "y"}, {"Out": result}, target_shape=list(shape))
    names = {"X": "y"}
    case.step("unbind", names, {"Out": [other[:, at] for at in range(3)]}, axis=1)
    case.step("scale", names, {"Out": 3 * other - 1}, scale=3.0, bias=-1.0, bias_after_scale=True)


SIZES: dict[str, Callable[[Case], None]] = {
    each.__name__: each for each in (resized_like, half_of_the_channels, written_out, counted, looked_up, grown)
}
