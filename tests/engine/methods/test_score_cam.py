"""Score-CAM against its equations image by image and channel by channel, and against pytorch-grad-cam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cam_peers import CLASS, PICTURES, inputs, peer, peer_map, tiny, values
from gradient_peers import RELATIVE, relative
from onnxray.engine.methods import forward
from onnxray.engine.methods.feature_maps import enlarged
from onnxray.engine.methods.score_cam import score_cam
from onnxray.importers.errors import InputError
from tolerances import assert_close


def replica(target: int) -> np.ndarray:  # [5, 4, 4]
    """Algorithm 1, one forward pass a channel."""
    model = tiny()
    (features,) = values(model, "maps")
    found = []
    for image, planes in zip(inputs(model), features, strict=True):
        weights = []
        for plane in planes:
            mask = enlarged(plane[None], (8, 8))[0]
            mask = (mask - mask.min()) / (mask.max() - mask.min()) if np.ptp(mask) else 0 * mask
            weights.append(np.exp(model.session().run((image * mask)[None], ["logits"])["logits"][0, target]))
        found.append(np.maximum(sum(w * plane for w, plane in zip(weights, planes, strict=True)) / sum(weights), 0))
    return np.stack(found)


@pytest.mark.parametrize("target", [0, 2])
def test_the_algorithm_in_loops(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = score_cam(tiny(), PICTURES, target=target)
    assert found.layer == "maps" and found.maps.max() > 0
    assert_close(found.raw, replica(target).astype(np.float32))  # type: ignore[arg-type]  # it is none of several sizes
    monkeypatch.setattr(forward, "_AT_ONCE", 1)
    assert_close(score_cam(tiny(), PICTURES, target=target).maps, found.maps)


@pytest.mark.parametrize("name", ["resnet18"])
def test_against_pytorch_grad_cam(
    name: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It enlarges channels with their corners at the image's corners, ours to the places' centres, where they were
    computed; the paper says bilinear and no more. So it is given ours."""
    monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", lambda size: torch.nn.Upsample(size, mode="bilinear"))
    peers = peer(name, tmp_path_factory.getbasetemp(), count=1)
    expected = peer_map("ScoreCAM", name, peers)
    assert relative(score_cam(peers.model, peers.pictures, target=CLASS).raw, expected) <= RELATIVE


def test_batches_give_what_single_images_give() -> None:
    model = tiny()
    single = [score_cam(model, PICTURES[i : i + 1]).maps for i in range(len(PICTURES))]
    assert_close(score_cam(model, PICTURES).maps, np.concatenate(single))


def test_a_layer_that_is_no_map() -> None:
    with pytest.raises(InputError, match=r"expected a feature map \[N, C, H, W\] .*, flat is \[1, 4\]"):
        score_cam(tiny(), PICTURES, layer="flat")
