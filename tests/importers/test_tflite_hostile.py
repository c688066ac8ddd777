"""TensorFlow Lite files that are damaged, hostile, or hold what is not supported: refused in one line."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxray
import pytest
import tflite_writer
from onnxray.importers.errors import InputError
from onnxray.importers.tflite import read
from onnxray.importers.tflite.schema import OPERATORS, TYPES
from tflite_cases import FAMILIES, draw
from tflite_writer import Op, T, constant, model
from tiny_tflite import IMAGE, loaded, one, quantised, refusal, small, written


def test_all_unknown_operators_are_named_at_once(tmp_path: Path) -> None:
    tensors = {name: T([1, 4]) for name in "abcde"}
    operators = [
        Op("CUSTOM PosenetDecoderOp", ["a"], ["b"]),
        Op("LSTM", ["b"], ["c"]),
        Op("CUSTOM MaxPoolWithArgmax", ["c"], ["d"]),
        Op("LSTM", ["d"], ["e"]),
    ]
    said = refusal(tmp_path, model(tensors, operators, ["a"], ["e"]))
    for name in ("CUSTOM PosenetDecoderOp (1)", "LSTM (2)", "CUSTOM MaxPoolWithArgmax (1)"):
        assert name in said


def test_all_unsupported_tensors_are_named_at_once(tmp_path: Path) -> None:
    tensors = {
        "a": T([4], more={"sparsity": {"traversal_order": [0]}}),
        "b": T([4], more={"is_variable": True}),
        "c": T([4], more={"type": TYPES.index("STRING"), "buffer": 1}),
        "d": constant([1.0]),
    }
    said = refusal(tmp_path, model(tensors, [Op("ADD", ["a", "b"], ["c"], "Add")], ["a"], ["c"]))
    assert "a (stored sparse)" in said and "b (keeps its value" in said


FIVE_SCALES = constant(np.ones((2, 3)), "int8", scale=[1.0] * 5, zero_point=[0])
# What is changed in the file -> what must be said.
DAMAGES: dict[str, Callable[[], bytes]] = {
    "version 3": lambda: small(version=2),
    "refers to buffer 77": lambda: _patched("weights", {"buffer": 77}),
    "should fill": lambda: _patched("weights", {"shape": [4, 3, 3, 1 << 30]}),
    "5 scales": lambda: one("FULLY_CONNECTED", {"x": T([1, 3]), "w": FIVE_SCALES}, T([1, 2]), "FullyConnected"),
    "holds no network": lambda: small(subgraphs=[]),
    "cut off": lambda: small()[:600],
    "refers to tensor 99": lambda: _rewired([99]),
    "nothing makes": lambda: _rewired([3]),
    "--shape": lambda: _patched("image", {"shape": [1, -1, 5, 3]}),
    "expected at most 16 bits": lambda: one("QUANTIZE", {"x": T([2])}, T([2], "int32", scale=[2.0], zero_point=[0])),
    "options of another operator": lambda: one("MAX_POOL_2D", {"x": T(IMAGE)}, T(IMAGE), "Softmax", beta=1.0),
    "expected positive numbers": lambda: one("MAX_POOL_2D", {"x": T(IMAGE)}, T(IMAGE), "Pool2D", stride_h=0),
    "does not fit into": lambda: one("RESHAPE", {"x": T([6]), "to": constant([4, 2], "int32")}, T([4, 2])),
    "to which shape": lambda: one("RESHAPE", {"x": T([6])}, T([6])),
    "is no order of": lambda: one("TRANSPOSE", {"x": T([6]), "to": constant([7], "int32")}, T([6])),
    "too large": lambda: one("FILL", {"to": constant([1 << 30, 8], "int32"), "x": T([])}, T([1, 1])),
    "expected a constant": lambda: one("RESHAPE", {"x": T([6]), "to": T([2], "int32")}, T([4, 2])),
    "is missing": lambda: model({"x": T([1]), "out": T([1])}, [Op("ADD", ["x", ""], ["out"])], ["x"], ["out"]),
}  # fmt: skip


def _patched(name: str, fields: dict[str, Any]) -> bytes:
    """`small` with fields of one tensor replaced."""
    with pytest.MonkeyPatch.context() as patch:
        fields_of = tflite_writer._tensor_fields

        def changed(tensor: T) -> dict[str, Any]:
            is_it = {"weights": tensor.data is not None and tensor.data.ndim == 4, "image": list(tensor.shape) == IMAGE}
            return {**fields_of(tensor), **(fields if is_it[name] else {})}

        patch.setattr(tflite_writer, "_tensor_fields", changed)
        return small()


def _rewired(outputs: list[int]) -> bytes:
    """A network whose only operator makes tensor 2, with these outputs."""
    tensor = {"shape": [2], "type": 0, "buffer": 0}
    graph = {
        "tensors": [{**tensor, "name": name} for name in "abcd"],
        "inputs": [0],
        "outputs": outputs,
        "operators": [{"opcode_index": 0, "inputs": [0], "outputs": [2]}],
    }
    code = {"old_code": OPERATORS.index("RELU"), "code": OPERATORS.index("RELU")}
    fields = {"version": 3, "operator_codes": [code], "subgraphs": [graph], "buffers": [{}]}
    return tflite_writer.encode("Model", fields, b"TFL3")


@pytest.mark.parametrize("says", DAMAGES)
def test_damage_is_told_in_one_line(tmp_path: Path, says: str) -> None:
    assert says in refusal(tmp_path, DAMAGES[says]())


@pytest.mark.parametrize("numbers", [([5, 6], [0, 0]), ([-(1 << 31), 6], [-1, 1])])
@pytest.mark.parametrize("kind", ["DIV", "FLOOR_DIV", "FLOOR_MOD"])
def test_constants_that_stop_a_processor_do_not_stop_the_reader(tmp_path: Path, kind: str, numbers: Any) -> None:
    a, b = (constant(values, "int32") for values in numbers)
    tensors = {"x": T([2], "int32"), "a": a, "b": b, "c": T([2], "int32"), "y": T([2], "int32")}
    operators = [Op(kind, ["a", "b"], ["c"]), Op("ADD", ["x", "c"], ["y"], "Add")]
    assert loaded(tmp_path, model(tensors, operators, ["x"], ["y"])).graph.node


@pytest.mark.parametrize(
    ("inputs", "outputs", "says"),
    [
        ("cc", "bc", "reads c before it is made"),
        ("ab", "bb", "makes b, which is there"),
        ("ab", "ba", "makes a, which"),
    ],
)
def test_circles_are_refused(tmp_path: Path, inputs: str, outputs: str, says: str) -> None:
    """Two casts: each row says what they read and what they make."""
    operators = [Op("CAST", [source], [made], "Cast") for source, made in zip(inputs, outputs, strict=True)]
    content = model({name: T([1, 2, 2, 1]) for name in "abc"}, operators, ["a"], [outputs[-1]])
    assert says in refusal(tmp_path, content)


@pytest.mark.parametrize("kind", ["STRIDED_SLICE", "ARG_MAX", "MIRROR_PAD"])
def test_huge_sizes_cost_nothing(tmp_path: Path, kind: str) -> None:
    """Half a kilobyte that says an input has two thousand million numbers."""
    size = (1 << 31) - 1
    inputs = {"x": T([size]), "a": constant([1], "int32"), "b": constant([-1], "int32"), "c": constant([1], "int32")}
    if kind == "ARG_MAX":
        inputs = {"x": T([size, 1]), "a": constant(1, "int32")}
    if kind == "MIRROR_PAD":
        inputs = {"x": T([size]), "a": constant([[1, 1]], "int32")}
    table, options = {
        "STRIDED_SLICE": ("StridedSlice", {}),
        "ARG_MAX": ("ArgMax", {"output_type": 4}),
        "MIRROR_PAD": ("MirrorPad", {"mode": 1}),
    }[kind]
    path = written(tmp_path, one(kind, inputs, T([1], "int64" if kind == "ARG_MAX" else "float32"), table, **options))
    start = time.process_time()
    if kind == "MIRROR_PAD":
        with pytest.raises(InputError, match="cannot be mirrored"):
            read(path, None)
    else:
        assert read(path, None).graph.node
    assert time.process_time() - start < 2


def test_an_input_named_twice_is_refused(tmp_path: Path) -> None:
    operators = [Op("RELU", ["a"], ["b"])]
    for inputs, outputs in (("aa", "b"), ("a", "bb")):
        content = model({"a": T([2]), "b": T([2])}, operators, list(inputs), list(outputs))
        assert "twice" in refusal(tmp_path, content)


def test_a_companion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no second half"):
        onnxray.load(written(tmp_path, small()), companion=tmp_path / "other")


def test_every_cut_off_file_is_refused(tmp_path: Path) -> None:
    content = small()
    for length in range(8, len(content) - 4, 7):
        refusal(tmp_path, content[:length])


def test_a_small_file_cannot_unfold_to_a_large_one(tmp_path: Path) -> None:
    """Two thousand times the same subgraph, which has two thousand times the same tensor."""
    count = 2000
    tensor = struct.pack("<2HI", 4, 4, 0)[:4] + struct.pack("<i", 4)  # a table without fields
    tensors = _same(count, 4) + tensor
    graph = struct.pack("<4H", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)  # its tensors lie right behind it
    root = struct.pack("<6H", 10, 12, 4, 0, 8, 0) + struct.pack("<iII", 12, 3, 4)
    content = struct.pack("<I", 20) + b"TFL3" + root + _same(count, 8) + graph + tensors
    assert "again and again" in refusal(tmp_path, content)


def _same(count: int, behind: int) -> bytes:
    """A vector of offsets to one table, so many bytes behind it (its list of fields comes first)."""
    return struct.pack("<I", count) + b"".join(struct.pack("<I", 4 * (count - at) + behind) for at in range(count))


def test_noise_in_the_file_never_gets_through(tmp_path: Path) -> None:
    """Bytes changed at random: the network is read, or refused in one line."""
    noise = random.Random(0)
    path = tmp_path / "model.tflite"
    refused = 0
    for seed in range(60):
        content = bytearray(draw(seed, FAMILIES)[0].bytes() if seed % 3 else quantised())
        for _ in range(5):
            changed = bytearray(content)
            for _ in range(noise.choice((1, 1, 3))):
                at = noise.randrange(len(changed) - 4)
                changed[at : at + 4] = noise.choice((bytes(4), b"\xff" * 4, noise.randbytes(4), struct.pack("<I", at)))
            path.write_bytes(changed)
            try:
                read(path, None)
            except InputError:
                refused += 1
    assert 100 < refused < 300
