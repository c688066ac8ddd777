"""Darknet: a cfg and its weights together."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import Target, main

PARTS = ("net.cfg", "net.weights")


def seeds() -> Iterator[bytes]:
    """Random networks of every layer; each kind of head; a cfg without its weights."""
    from darknet_cases import draw
    from mutations import packed
    from tiny_darknet import cfg, conv, section, write

    head = section("yolo", mask=[0, 1], anchors=[1, 2, 3, 4], num=2, classes=3, scale_x_y=1.1, new_coords=1)
    heads = [
        conv(16, activation="linear") + head + section("route", layers=[0]) + conv(4),
        conv(8) + section("region", num=1, classes=3, anchors=[1, 2], softmax=1),
        section("connected", output=72) + section("detection", side=3, num=1, classes=3, coords=4, sqrt=1),
        conv(4) + conv(4, share_index=0),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cfgs = []
        for seed in range(60):
            (folder / str(seed)).mkdir()
            cfgs.append(draw(seed).write(folder / str(seed)))
        for number, layers in enumerate(heads):
            cfgs.append(write(folder, cfg(layers, (4, 8, 8)), name=f"net{number}")[0])
        for path in cfgs:
            files = (path, path.with_suffix(".weights"))
            yield packed([(part, file.read_bytes()) for part, file in zip(PARTS, files, strict=True)])
        yield files[0].read_bytes()


def words() -> Sequence[str]:
    """Every layer type, activation and option that is asked for."""
    from darknet_cases import DRAWN
    from onnxray.importers.darknet.layers import layer_functions
    from onnxray.importers.darknet.layers.activation import ACTIVATIONS

    types = [f"[{kind}]" for kind in (*layer_functions(), "net", "crnn")]
    options = "filters size stride stride_x stride_y pad padding dilation groups group_id batch_normalize flipped from "
    options += "layers activation share_index mask anchors num classes coords side scale temperature reverse output "
    options += "crop_height crop_width noadjust scale_wh width height channels softmax sqrt new_coords"
    return [*types, *ACTIVATIONS, *options.split(), *DRAWN, "linear", "=", "\n", ",", "#", "-1"]


TARGET = Target("darknet", PARTS[0], seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)
