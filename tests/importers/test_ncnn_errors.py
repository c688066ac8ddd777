"""NCNN files that are damaged, do not belong together or go beyond what is translated: one line each."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnxray.importers import load
from onnxray.importers.errors import InputError
from tiny_ncnn import Row, binary, given, noise, raw, tagged, text, write

WEIGHTS = tagged(noise(4, 3, 3, 3)) + raw(noise(4))
CONV = Row("Convolution", "conv", ["data"], ["conv"], {0: 4, 1: 3, 4: 1, 5: 1, 6: 108}, WEIGHTS)
NETWORK = [given("data", 3, 8, 10), CONV, Row("ReLU", "relu", ["conv"], ["out"])]


def refused(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_truncated_weights_say_what_was_expected(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    content = (tmp_path / "net.bin").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "net.bin").write_bytes(content[:length])
        if length:
            assert f"the file has {length}; it is truncated" in refused(path)
    assert "layer conv (Convolution) expects 16 bytes of weights at byte 436, the file has 448" in refused(path)


def test_weights_of_another_network_are_too_many_or_too_few(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes() + bytes(8))
    assert "expected 452 bytes of weights for the layers of the .param, found 460; do the two files" in refused(path)


def test_unknown_layers_are_named_all_at_once(tmp_path: Path) -> None:
    kinds = ["LSTM", "YoloV5Focus", "LSTM"]
    odd = [Row(kind, f"odd{place}", ["data"], [f"x{place}"]) for place, kind in enumerate(kinds)]
    message = refused(write(tmp_path, [NETWORK[0], *odd]))
    assert "cannot translate: LSTM (2), YoloV5Focus (1); nothing was written" in message
    assert "cannot translate: LSTM (2), custom744 (1)" in refused(write(tmp_path, [NETWORK[0], *odd], as_binary=True))


def test_files_of_the_wrong_kind(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    other = tmp_path / "other.param"
    other.write_text(text(NETWORK))
    assert "found two networks (.param)" in refused(path, companion=other)
    (tmp_path / "half.bin").write_bytes(tagged(noise(4), "half"))
    assert "name its .param with --companion" in refused(tmp_path / "half.bin")
    assert "found two files of weights (.bin)" in refused(tmp_path / "half.bin", companion=tmp_path / "net.bin")
    (tmp_path / "net.bin").unlink()
    (tmp_path / "half.bin").unlink()
    assert "expected a .bin with the weights, but none lies beside it" in refused(path)
    assert "names no file" in refused(path, companion=tmp_path / "none.bin")


def test_a_wrong_magic_number_is_no_network(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    path.write_text(path.read_text().replace("7767517", "7767518"))
    assert "unknown content" in refused(path)


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "no counts": (lambda text: text.split("\n")[0] + "\n", "expected the counts of layers and blobs in line 2"),
    "fewer layers": (lambda text: text.rsplit("ReLU", 1)[0], "it announces 3 layers, and has 2"),
    "no names": (lambda text: text.replace("relu 1 1 conv out", "relu 9 9"), "names fewer blobs than it counts"),
    "no line": (lambda text: text.replace("relu 1 1 conv out", ""), "expected a layer in line 5"),
    "huge counts": (lambda text: text.replace("relu 1 1", f"relu 1 {10**30}"), "expected a layer in line 5"),
    "no number": (lambda text: text.replace("0=4", "0=4x"), "expected a number in line 4, found '4x'"),
    "no such number": (lambda text: text.replace("0=4", "0=99999999999"), "expected a number in line 4"),
    "words": (lambda text: text.replace("0=4", 'ab 0="four"'), "expected numbers as parameter 0, found 'four'"),
    "unmade": (lambda text: text.replace("1 1 conv out", "1 1 cone out"), "reads cone, which no layer before it makes"),
    "made twice": (lambda text: text.replace("1 1 conv out", "1 1 conv conv"), "makes conv, which is there already"),
    "no input": (lambda text: text.replace("Input ", "Noop "), "reads or makes nothing"),
    "two inputs": (lambda text: text.replace("data 0 1 data", "data 0 2 data more"), "expected one input, found 2"),
    "negative sizes": (lambda text: text.replace("0=10", "0=-10"), "expected sizes from 1"),
    "other channels": (lambda text: text.replace("2=3", "2=5"), "its weights are for 3 channels, its input has 5"),
    "odd weights": (lambda text: text.replace("6=108", "6=109"), "109 weights do not make 4 filters"),
    "no window": (lambda text: text.replace("1=3", "1=0"), "expected a window of sides and steps from 1"),
    "odd padding": (lambda text: text.replace("4=1", "4=-7"), "is not known"),
    "dynamic": (lambda text: text.replace("4=1", "19=1"), "its weights come from another layer"),
    "odd activation": (lambda text: text.replace("4=1", "9=77"), "activation 77 is not known"),
    "no parameters": (lambda text: text.replace("4=1", "9=3"), "expected 2 parameters of its activation, found 0"),
    "no numbers": (lambda text: text.replace("4=1", "18=1e39"), "expected a number in line 4, found '1e39'"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_text(tmp_path: Path, damage: str) -> None:
    change, reason = DAMAGES[damage]
    path = write(tmp_path, NETWORK)
    path.write_text(change(path.read_text()))
    assert reason in refused(path)


def test_binary_networks_cut_anywhere(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK, as_binary=True)
    content = path.read_bytes()
    for length in range(8, len(content)):
        path.write_bytes(content[:length])
        assert "the .param is damaged: it ends early" in refused(path)


def test_claims_beyond_the_file_are_not_believed(tmp_path: Path) -> None:
    """2^60 weights, 2^31 layers, blobs, words."""
    vast = Row("InnerProduct", "fc", ["data"], ["fc"], {0: 2**30, 2: 2**30})
    path = write(tmp_path, [NETWORK[0], vast])
    (tmp_path / "net.bin").write_bytes(bytes(64))
    assert "expects 4294967296 bytes of weights at byte 4, the file has 64" in refused(path)
    constant = Row("MemoryData", "m", [], ["m"], dict.fromkeys((0, 1, 11, 2), 2**15))
    path = write(tmp_path, [constant])
    (tmp_path / "net.bin").write_bytes(bytes(64))
    assert f"expects {2**62} bytes of weights at byte 0" in refused(path)
    path = write(tmp_path, NETWORK, as_binary=True)
    content = bytearray(binary(NETWORK))
    for place in range(4, len(content), 4):
        changed = bytes(content[:place]) + struct.pack("<i", 2**31 - 1) + bytes(content[place + 4 :])
        path.write_bytes(changed)
        try:
            load(path)
        except InputError as error:
            assert "\n" not in str(error)


def test_boxes_without_bound_are_refused(tmp_path: Path) -> None:
    boxes = Row("PriorBox", "p", ["data", "data"], ["p"], {0: [4.0], 9: -233, 10: -233})
    rows = [given("data", 3, 10**5, 10**5), boxes]
    path = write(tmp_path, rows)
    assert "expected fewer boxes than 100000x100000" in refused(path)


ODD: dict[str, tuple[Row, str]] = {
    "int8 without scales": (
        Row("InnerProduct", "l", ["data"], ["o"], {0: 2, 2: 480}, tagged(np.ones((2, 240)), "int8")),
        "its weights are int8, and it has no scales for them",
    ),
    "a result that stays int8": (
        Row("Convolution", "l", ["data"], ["o"], {0: 2, 1: 1, 6: 6, 8: 101}, tagged(np.ones((2, 3)), "int8")),
        "its result stays int8 for the next layer",
    ),
    "scales of 0": (
        Row("InnerProduct", "l", ["data"], ["o"], {0: 2, 2: 480, 8: 2},
            tagged(np.ones((2, 240)), "int8") + raw(np.zeros(3))),
        "expected scales above 0",
    ),
    "an old Softmax": (Row("Softmax", "l", ["data"], ["o"], {0: 1}), "got its axis wrong"),
    "an old Reduction": (Row("Reduction", "l", ["data"], ["o"], {3: [1]}), "counted axes otherwise"),
    "an axis too many": (Row("Concat", "l", ["data"], ["o"], {0: 3}), "axis 3 is outside its input of 3 dimensions"),
    "a shape that does not fit": (Row("Reshape", "l", ["data"], ["o"], {0: 7, 1: -1}), "cannot take the shape"),
    "a shape of nothing": (Row("Reshape", "l", ["data"], ["o"], {6: "-(3,5)"}), "cannot make"),
    "sizes that no one can work out": (Row("Reshape", "l", ["data"], ["o"], {6: "//(1,0)"}), "cannot work out"),
    "a size of the batch": (Row("Reshape", "l", ["data"], ["o"], {6: "0n,-1"}), "its sizes depend on the batch"),
    "an odd permutation": (Row("Permute", "l", ["data"], ["o"], {0: 6}), "order 6 is not known"),
    "parts that do not fit": (Row("Slice", "l", ["data"], ["o", "p"], {0: [2, 9]}), "cannot make parts of"),
    "a pooling of padding alone": (
        Row("Pooling", "l", ["data"], ["o"], {0: 1, 1: 2, 3: 2}), "averages nothing where its padding [2, 2, 2, 2]"),
    "groups that do not fit": (Row("ShuffleChannel", "l", ["data"], ["o"], {0: 2}), "cannot make 2 groups of 3"),
    "quantised products": (Row("Gemm", "l", ["data"], ["o"], {18: 406}), "its matrices are quantised"),
    "a padding a channel": (Row("Padding", "l", ["data"], ["o"], {6: 3}), "pads each channel with its own number"),
    "maps of other channels": (
        Row("YoloDetectionOutput", "l", ["data"], ["o"], {0: 4, 1: 1, 4: [1.0, 1.0]}), "expected maps of 9 channels"),
    "anchors that are missing": (
        Row("YoloDetectionOutput", "l", ["data"], ["o"], {0: 4}), "expected 5 anchors, found 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_translated_is_refused_by_name(tmp_path: Path, name: str) -> None:
    row, reason = ODD[name]
    path = write(tmp_path, [NETWORK[0], row])
    message = refused(path)
    assert f"layer l ({row.type})" in message
    assert reason in message


def test_nothing_comes_after_boxes(tmp_path: Path) -> None:
    end = Row("DetectionOutput", "end", ["data"], ["boxes"])
    path = write(tmp_path, [NETWORK[0], end, Row("ReLU", "relu", ["boxes"], ["out"])])
    assert "reads boxes, boxes that NCNN decodes; they have to come last" in refused(path)
