"""Darknet networks: the shared one and small ones against OpenCV's reader; files that do not fit are refused."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
import tiny_darknet
from onnxray.importers.certificate import certify
from onnxray.importers.heads import read_heads
from onnxray.importers.sniff import recognise
from tiny_darknet import HEADER, cfg, conv, loaded, section, write

FASTEST = "models/darknet/yolo-fastest-1.1"


def sizes(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


def test_yolo_fastest_is_certified(shared: Callable[[str], Path]) -> None:
    path = shared(FASTEST) / "yolo-fastest-1.1.weights"
    model = onnxray.load(path)
    assert [sizes(value) for value in model.proto.graph.output] == [["batch", 255, 10, 10], ["batch", 255, 20, 20]]
    assert (model.spec.size, model.spec.channel_order, model.spec.scale) == ((320, 320), "RGB", (1 / 255,))
    assert model.labels[:3] == ("person", "bicycle", "car") and len(model.labels) == 80
    certificate = certify(path, None, model.proto, per_layer=True)
    assert certificate.verified and len(certificate.inner) > 100


# What OpenCV reads, too: a name a network.
NETWORKS: dict[str, str] = {
    "activations": "".join(conv(4, activation=name) for name in ("leaky", "relu", "logistic", "swish", "mish", "tanh")),
    "strides": conv(4, 3, stride=2) + conv(6, 5, pad=0, padding=1) + conv(4, 1) + conv(4, 3, batch_normalize=0),
    "groups": conv(6, 1) + conv(6, 3, groups=6) + conv(4, 3, groups=2, activation="linear"),
    "pooling": conv(4) + section("maxpool", size=2, stride=2) + section("maxpool", size=2, stride=1)
    + section("maxpool", size=5, stride=1) + section("maxpool", size=3, stride=2) + section("avgpool"),
    "routes": conv(4) + conv(6) + section("route", layers=[-1, 0]) + section("route", layers=-1, groups=2, group_id=1)
    + conv(3) + section("upsample", stride=2) + conv(4),
    "shortcuts": conv(4) + conv(4) + section("shortcut", **{"from": -2}, activation="linear")
    + section("dropout", probability=0.5) + section("shortcut", **{"from": 0}, activation="leaky") + conv(2),
    "reorg": conv(8) + section("reorg", stride=2) + conv(4),
    "squeeze and excite": conv(4) + section("avgpool") + conv(4, 1, "logistic")
    + section("scale_channels", **{"from": -3}) + conv(4, activation="logistic") + section("sam", **{"from": -2}),
    "classifier": conv(4, stride=4) + section("connected", output=7, activation="relu")
    + section("dropout") + section("connected", output=5, activation="linear") + section("softmax", groups=1)
    + section("cost"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks_are_certified(name: str, tmp_path: Path) -> None:
    path, _ = write(tmp_path, cfg(NETWORKS[name], (3, 16, 24)))
    certificate = certify(path, None, onnxray.load(path).proto, per_layer=True)
    assert certificate.verified, list(certificate.verdict())
    assert len(certificate.inner) + 1 >= 2


def test_it_is_told_by_content(tmp_path: Path) -> None:
    path, weights = write(tmp_path, "# a network\n\n; of mine\n" + cfg(conv(4)))
    assert recognise(path) == recognise(weights) == "darknet"
    weights.rename(tmp_path / "photo.jpg")
    path.rename(tmp_path / "text.onnx")
    assert recognise(tmp_path / "photo.jpg") == recognise(tmp_path / "text.onnx") == "darknet"


def test_names_and_batch(tmp_path: Path) -> None:
    graph = loaded(tmp_path, cfg(conv(4) + conv(2, activation="linear", batch_normalize=0))).graph
    assert [node.name for node in graph.node] == [
        "convolutional_0/conv", "convolutional_0/norm", "convolutional_0", "convolutional_1",
    ]  # fmt: skip
    assert sizes(graph.input[0]) == ["batch", 3, 16, 16] and sizes(graph.output[0]) == ["batch", 2, 16, 16]


def test_another_size(tmp_path: Path) -> None:
    path, _ = write(tmp_path, cfg(conv(4, stride=2)))
    model = onnxray.load(path, size=(32, 24))
    assert sizes(model.proto.graph.output[0]) == ["batch", 4, 16, 12] and model.spec.size == (32, 24)


def test_heads_are_described(tmp_path: Path) -> None:
    head = section("yolo", mask=[1, 2], anchors=[1, 2, 3, 4, "5.5", 6], num=3, classes=3, scale_x_y=1.05)
    proto = loaded(tmp_path, cfg(conv(16, activation="linear") + head))
    (found,) = read_heads(proto)
    assert (found.kind, found.tensors, found.classes) == ("yolo", ("convolutional_0",), 3)
    assert found.options["anchors"] == [[3, 4], [5.5, 6]] and found.options["scale_x_y"] == 1.05
    assert [value.name for value in proto.graph.output] == ["convolutional_0"]


# --- weights ---


@pytest.mark.parametrize("header", [struct.pack("<4i", 0, 1, 0, 64), HEADER, struct.pack("<3iq", 0, 2, 0, 1 << 40)])
def test_versions_of_the_weights(header: bytes, tmp_path: Path) -> None:
    path, weights = write(tmp_path, cfg(conv(4)), header=header)
    proto = onnxray.load(path).proto
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    numbers = np.frombuffer(weights.read_bytes()[len(header) :], "<f4")
    assert np.array_equal(stored["convolutional_0/bias"], numbers[:4])
    assert np.array_equal(stored["convolutional_0/weight"].ravel(), numbers[16:])


def test_matrices_stored_the_other_way_round(tmp_path: Path) -> None:
    header = struct.pack("<3iq", 0, 1002, 0, 64)
    path, weights = write(tmp_path, cfg(section("connected", output=2, activation="linear"), (1, 2, 2)), header=header)
    assert recognise(weights) == "darknet"
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnxray.load(path).proto.graph.initializer}
    numbers = np.frombuffer(weights.read_bytes()[len(header) :], "<f4")
    assert np.array_equal(stored["connected_0/weight"], numbers[2:].reshape(4, 2).T)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(onnxray.InputError) as caught:
        onnxray.load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_truncated_weights_say_how_many_bytes_are_missing(tmp_path: Path) -> None:
    path, weights = write(tmp_path, cfg(conv(4) + conv(5)))
    content = weights.read_bytes()
    weights.write_bytes(content[:-6])
    assert f"expected {len(content)} bytes or more, found {len(content) - 6}" in refusal(path)
    weights.write_bytes(content + b"more")
    assert f"take {len(content)} bytes, the file has {len(content) + 4}" in refusal(path)
    weights.write_bytes(content[:10])
    assert "found 10" in refusal(path)


def test_weights_of_a_backbone(tmp_path: Path) -> None:
    path, weights = write(tmp_path, cfg(conv(4) + section("maxpool", size=2, stride=2) + conv(5)))
    content = weights.read_bytes()
    weights.write_bytes(content[: len(HEADER) + 4 * (4 * 4 + 4 * 27)])
    assert "first_layers 2 takes the network so far" in refusal(path)
    model = onnxray.load(path, first_layers="2")
    assert [value.name for value in model.proto.graph.output] == ["maxpool_1"]
    certificate = certify(path, None, model.proto, options={"first_layers": "2"})
    assert certificate.verified and "the first 2 layers" in certificate.reads
    assert "from 1 to 3, found '4'" in refusal(path, first_layers="4")


def test_unknown_layers_are_named_all_at_once(tmp_path: Path) -> None:
    path, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    weights.write_bytes(HEADER)
    path.write_text(cfg(section("crnn") + conv(4, xnor=1) + section("lstm") + section("crnn")))
    assert "[crnn] (layer 0, 3); [convolutional] with xnor=1 (layer 1); [lstm] (layer 2)" in refusal(path)


BAD: dict[str, tuple[str, str]] = {
    "no image": ("[net]\nwidth=4\n[convolutional]\n", "[net] expects channels, height, width above 0, found 0, 0, 4"),
    "no layers": (cfg(""), "found nothing but [net]"),
    "no section": ("width=4\n[net]\n", "unknown content"),
    "no equals": (cfg("[convolutional]\nfilters 3\n"), "expected [section] or key=value in line 7"),
    "no number": (cfg(conv(4, stride="two")), "stride expects a whole number, found 'two'"),
    "no group": (cfg(conv(4, groups=2)), "3 input and 4 output channels do not divide into 2 groups"),
    "activation": (cfg(conv(4, activation="leeky")), "did you mean leaky"),
    "route ahead": (cfg(conv(4) + section("route", layers=[2])), "numbers of earlier layers, found '2'"),
    "anchors": (cfg(conv(8) + section("yolo", num=1, classes=3, anchors=[1])), "expected 2 anchors"),
    "channels": (cfg(conv(9) + section("yolo", num=1, classes=3)), "1 boxes of 3 classes take 8 channels, found 9"),
    "boxes read": (cfg(conv(8) + section("yolo", num=1, classes=3) + conv(2)), "reads the boxes of layer 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_cfgs_are_refused(name: str, tmp_path: Path) -> None:
    text, reason = BAD[name]
    (tmp_path / "net.cfg").write_text(text)
    (tmp_path / "net.weights").write_bytes(HEADER + bytes(1 << 14))
    assert reason in refusal(tmp_path / "net.cfg")


def test_the_other_file_is_found_or_asked_for(tmp_path: Path) -> None:
    path, weights = write(tmp_path, cfg(conv(4)))
    last = weights.rename(tmp_path / "net_final.weights")
    assert onnxray.load(path).source["sha256"].keys() == {"net.cfg", "net_final.weights"}
    assert onnxray.load(last).proto.graph.node
    (tmp_path / "net_1000.weights").write_bytes(last.read_bytes())
    assert "several lie beside it: net_1000.weights, net_final.weights; name it with --companion" in refusal(path)
    assert onnxray.load(path, companion=last).proto.graph.node
    assert "found two cfgs" in refusal(path, companion=path)
    path.unlink()
    assert "none lies beside it" in refusal(last)


def test_every_refused_option_is_refused(tmp_path: Path) -> None:
    for kind, options in tiny_darknet.refused_options().items():
        for option in options:
            (tmp_path / "net.cfg").write_text(cfg(section(kind, **{option: 1})))
            (tmp_path / "net.weights").write_bytes(HEADER)
            assert f"[{kind}] with {option}=1 (layer 0)" in refusal(tmp_path / "net.cfg")


HOSTILE: dict[str, str] = {
    "line breaks": "\n" * 60_000 + "x",
    "comments": "#\n" * 30_000 + "[nets]",
    "sections": cfg("[dropout]\n" * 20_000 + "[crnn]\n"),
    "numbers": cfg(conv(2**31 - 1, 2**31 - 1)),
    "digits": cfg(conv(4, stride="9" * 100_000)),
    "sizes": cfg(section("upsample", stride=2**30) * 4),
    "shrunk": cfg(section("maxpool", size=2, stride=2, padding=0) * 6),
    "windows": cfg(section("local", size=2**20, stride=1)),
    "names": cfg(conv(4, activation="x" * 100_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_cfgs_are_refused_at_once(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text(HOSTILE[name])
    (tmp_path / "net.weights").write_bytes(HEADER + bytes(1 << 14))
    start = time.process_time()
    assert len(refusal(tmp_path / "net.cfg")) < 700
    assert time.process_time() - start < 5


def test_what_opencv_gets_wrong_or_lacks_is_left_out(tmp_path: Path) -> None:
    layers = conv(4) + conv(6, stride=2) + section("shortcut", **{"from": 0}) + conv(3)
    path, _ = write(tmp_path, cfg(layers))
    certificate = certify(path, None, onnxray.load(path).proto, per_layer=True)
    assert "the first 2 layers" in certificate.reads and not certificate.failed
    assert {row.name for row in certificate.inner} == {"convolutional_0", "convolutional_1"}
    assert certificate.missing == ("convolutional_3",) and not certificate.verified
    for layers in (section("avgpool") + section("softmax", temperature=3), conv(4) + section("softmax")):
        path, _ = write(tmp_path, cfg(layers))
        assert certify(path, None, onnxray.load(path).proto).missing == ("softmax_1",)
    path, _ = write(tmp_path, cfg(section("local", filters=2, size=3, stride=1)))
    assert (
        "OpenCV does not know this network's first layer, [local]" in certify(path, None, onnxray.load(path).proto).note
    )


def test_names_beside_the_cfg_are_labels_where_they_are_as_many(tmp_path: Path) -> None:
    head = section("yolo", num=1, classes=3, anchors=[1, 2])
    path, _ = write(tmp_path, cfg(conv(8, activation="linear") + head))
    (tmp_path / "my.names").write_text("cat\ndog\nhen\n")
    model = onnxray.load(path)
    assert model.labels == ("cat", "dog", "hen") and model.spec.origin["labels"] == "my.names beside it"
    assert model.spec.resize == "stretch"
    (tmp_path / "my.names").write_text("cat\ndog\n")
    assert onnxray.load(path).labels == ()
    (tmp_path / "my.names").write_bytes(b"\xff\xfe\0")
    assert onnxray.load(path).labels == ()
