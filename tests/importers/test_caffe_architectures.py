"""Whole architectures, narrow but with every layer type and connection of the originals, against OpenCV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_caffe
from caffe_networks import NETWORKS, conv, dense, ssd_head
from onnxray.importers import caffe
from tiny_caffe import layer


@pytest.mark.parametrize("name", NETWORKS)
def test_every_blob_is_opencv_s(name: str, tmp_path: Path) -> None:
    layers, side, top = NETWORKS[name]
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(layers, (1, 3, side, side)))
    proto = caffe.read(text, binary)
    assert [value.name for value in proto.graph.output] == [top]
    image = tiny_caffe.noise((1, 3, side, side), spread=1)
    written = text.read_text()
    writers = {node.output[0]: node.name for node in proto.graph.node if f'name: "{node.name}" type' in written}
    theirs = tiny_caffe.opencv(text, binary, {"data": image}, list(writers.values()))
    ours = tiny_caffe.blobs(proto, {"data": image}, list(writers))
    assert len(ours) >= layers.count("layer {")
    for (blob, found), [expected, *_] in zip(ours.items(), theirs, strict=True):
        atol = 2e-5 * max(float(np.ptp(expected)), 1e-6)
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=0, atol=atol, err_msg=blob)


@pytest.mark.parametrize("code", ["CENTER_SIZE", "CORNER"])
@pytest.mark.parametrize("share_location", [True, False])
def test_ssd_detections(share_location: bool, code: str, tmp_path: Path) -> None:
    """The same rows in the same order: by image, class and falling score."""
    text, binary = tiny_caffe.write(tmp_path, tiny_caffe.deploy(ssd_head(share_location, code), (1, 3, 64, 80)))
    image = tiny_caffe.noise((1, 3, 64, 80), spread=1)
    [[expected]] = tiny_caffe.opencv(text, binary, {"data": image}, ["found"])
    proto = caffe.read(text, binary)
    found = tiny_caffe.run(proto, {"data": image})["found"]
    assert found.shape == expected.shape
    assert found.shape[2] == 25
    rows, wanted = (array[0, 0][np.lexsort((-array[0, 0, :, 2], array[0, 0, :, 1]))] for array in (found, expected))
    np.testing.assert_array_equal(found[0, 0], rows)  # already in Caffe's order
    np.testing.assert_allclose(rows, wanted, rtol=0, atol=1e-4)


def test_ssd_detections_of_several_images(tmp_path: Path) -> None:
    """Each image keeps its own best 25, as if it were alone."""
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(ssd_head(True, "CENTER_SIZE"), (1, 3, 64, 80)))
    images = tiny_caffe.noise((3, 3, 64, 80), spread=1)
    together = tiny_caffe.run(proto, {"data": images})["found"][0, 0]
    for index in range(3):
        alone = tiny_caffe.run(proto, {"data": images[index : index + 1]})["found"][0, 0]
        mine = together[together[:, 0] == index]
        np.testing.assert_allclose(mine[:, 1:], alone[:, 1:], rtol=0, atol=1e-5)


def test_ssd_without_a_detection(tmp_path: Path) -> None:
    """No row at all, where Caffe writes one of -1."""
    head = ssd_head(True, "CENTER_SIZE").replace("confidence_threshold: 0.2", "confidence_threshold: 0.999")
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy(head, (1, 3, 64, 80)))
    assert tiny_caffe.run(proto, {"data": np.zeros((1, 3, 64, 80), np.float32)})["found"].shape == (1, 1, 0, 7)


def test_fast_rcnn(tmp_path: Path) -> None:
    """Features, regions pooled, two heads (Girshick 2015)."""
    net = "\n".join(
        [
            'input: "data" input_shape { dim: 1 dim: 3 dim: 64 dim: 80 }',
            'input: "rois" input_shape { dim: 3 dim: 5 dim: 1 dim: 1 }',
            conv("data", "conv1", 8, 3, "stride: 4"),
            layer("ROIPooling", "conv1,rois", "pool5", roi_pooling_param="pooled_h: 6 pooled_w: 6 spatial_scale: 0.25"),
            dense("pool5", "fc6", 16),
            layer("ReLU", "fc6", "fc6", name="relu6"),
            dense("fc6", "cls_score", 5),
            dense("fc6", "bbox_pred", 20),
            layer("Softmax", "cls_score", "cls_prob"),
        ]
    )
    text, binary = tiny_caffe.write(tmp_path, net)
    rois = np.array([[0, 0, 0, 79, 63], [0, 10, 8, 33, 40], [0, 50, 3, 61, 60]], np.float32).reshape(3, 5, 1, 1)
    feeds = {"data": tiny_caffe.noise((1, 3, 64, 80), spread=1), "rois": rois}
    found = tiny_caffe.run(caffe.read(text, binary), feeds)
    expected = tiny_caffe.opencv(text, binary, feeds, ["bbox_pred", "cls_prob"])
    for name, [array] in zip(("bbox_pred", "cls_prob"), expected, strict=True):
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5 * np.ptp(array))


def test_segnet_runs_backwards_through_its_own_masks(tmp_path: Path) -> None:
    """SegNet (Badrinarayanan et al. 2015) with two levels; OpenCV has no Upsample, so: what must hold of the output.

    Every number of the decoder sits where the encoder's maximum was, all others are zero.
    """
    parts, bottom = [], "data"
    for level in (1, 2):
        parts += [
            conv(bottom, f"conv{level}", 4, relu=False),
            layer("BN", f"conv{level}", f"conv{level}", name=f"bn{level}", bn_param="bn_mode: INFERENCE"),
            layer("ReLU", f"conv{level}", f"conv{level}", name=f"relu{level}"),
            layer(
                "Pooling",
                f"conv{level}",
                f"pool{level},mask{level}",
                name=f"pool{level}",
                pooling_param="pool: MAX kernel_size: 2 stride: 2",
            ),
        ]
        bottom = f"pool{level}"
    parts += [
        layer("Upsample", "pool2,mask2", "up2", upsample_param="scale: 2 upsample_w: 12 upsample_h: 11"),
        conv("up2", "decoded2", 4, relu=False),
        layer("Upsample", "decoded2,mask1", "up1", upsample_param="scale: 2 upsample_w: 24 upsample_h: 22"),
        layer("Softmax", "up1", "prob"),
    ]
    proto = tiny_caffe.convert(tmp_path, tiny_caffe.deploy("\n".join(parts), (1, 3, 22, 24)))
    assert [value.name for value in proto.graph.output] == ["prob"]
    image = tiny_caffe.noise((2, 3, 22, 24))
    names = ["conv1", "pool1", "conv2", "pool2", "up2", "decoded2", "up1"]
    blobs = tiny_caffe.blobs(proto, {"data": image}, names)
    for encoded, pooled, decoded, small in (("conv2", "pool2", "up2", "pool2"), ("conv1", "pool1", "up1", "decoded2")):
        for n, c, y, x in np.ndindex(blobs[pooled].shape):
            window = (n, c, slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
            place = blobs[encoded][window].argmax()
            values = blobs[decoded][window].ravel()
            assert values[place] == blobs[small][n, c, y, x]
            assert not np.delete(values, place).any()
