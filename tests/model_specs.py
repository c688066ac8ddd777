"""Preprocessing of every real ONNX and Caffe model of the shared collection: what `onnxray.load` must be told.

The figures come from each model's origin and were measured again (docs/input.md has the table).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

IMAGENET_LABELS = "data/imagenet_sample_256/classes.txt"
CIFAR_LABELS = "data/cifar10/classes.txt"
_MEAN_STD = {"mean": (127.5,) * 3, "scale": (1 / 127.5,) * 3, "resize": "stretch"}  # (x / 255 - 0.5) / 0.5
_FACES = {"mean": (127.0,), "scale": (1 / 128,), "channel_order": "RGB", "resize": "stretch"}

# Path below the shared folder -> keywords of `onnxray.load`. `labels_file` and `companion` are paths below it too
# (`arguments` turns them into what load takes).
MODEL_SPECS: dict[str, dict[str, Any]] = {
    "models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel": {
        "companion": "models/caffe/cifar10_quick/cifar10_quick_deploy.prototxt",
        "mean": (125.3, 123.0, 113.9),  # the training set's mean colour stands in for its mean image
        "channel_order": "RGB",
        "resize": "stretch",
        "labels_file": CIFAR_LABELS,
    },
    "models/caffe/lenet_mnist/lenet_iter_10000.caffemodel": {
        "companion": "models/caffe/lenet_mnist/lenet_deploy.prototxt",
        "mean": (0.0,),
        "scale": (1 / 256,),
        "channel_order": "GREY",
        "resize": "stretch",
        "labels": tuple("0123456789"),
    },
    "models/caffe/ultraface_rfb320/RFB-320.caffemodel": {
        "companion": "models/caffe/ultraface_rfb320/RFB-320.prototxt",
        **_FACES,
    },
    "models/derived/resnet20_cifar10.onnx": {
        "mean": (123.675, 116.28, 103.53),
        "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375),
        "channel_order": "RGB",
        "resize": "stretch",
        "labels_file": CIFAR_LABELS,
    },
    "models/derived/squeezenet1.1.onnx": {
        "mean": (104.0, 117.0, 123.0),
        "scale": (1.0,),
        "channel_order": "BGR",
        "size": (227, 227),
        "resize": "stretch",  # as Caffe's tools warp: 66 % top-1 on the 500 dev images, 58 % with the centre crop
        "labels_file": IMAGENET_LABELS,
    },
    "models/derived/vgg16_trunk_hed.onnx": {
        "mean": (103.939, 116.779, 123.68),
        "scale": (1.0,),
        "channel_order": "BGR",
        "size": (224, 224),
    },
    "models/onnx/ppocr_v2_cls/ch_ppocr_mobile_v2.0_cls_infer.onnx": {
        **_MEAN_STD,
        "channel_order": "BGR",
        "size": (48, 192),
        "labels": ("0", "180"),
    },
    "models/onnx/ppocr_v4_rec_svtr/ch_PP-OCRv4_rec_infer.onnx": {
        **_MEAN_STD,
        "channel_order": "BGR",
        "size": (48, 320),
    },
    "models/onnx/ppseg_lite_portrait/ppseg_lite_portrait_398x224_with_softmax_fixed.onnx": {
        **_MEAN_STD,
        "channel_order": "RGB",
    },
    "models/onnx/prisma_portrait_unet/prisma_nchw.onnx": {
        "mean": (0.0,),
        "scale": (1 / 255,),
        "channel_order": "RGB",
        "resize": "stretch",
    },
    "models/onnx/sinet_portrait/SINet_Softmax.onnx": {
        "mean": (102.89, 111.25, 126.91),
        "scale": (1 / 62.93 / 255, 1 / 62.82 / 255, 1 / 66.36 / 255),
        "channel_order": "BGR",
        "resize": "stretch",
    },
    "models/onnx/ultraface_rfb320/version-RFB-320.onnx": _FACES,
}


def arguments(shared: Callable[[str], Path], name: str) -> dict[str, Any]:
    """Keywords for `onnxray.load(shared(name), …)`, with the paths among them found."""
    from onnxray.importers.labels import read_labels

    keywords = dict(MODEL_SPECS[name])
    if "companion" in keywords:
        keywords["companion"] = shared(keywords["companion"])
    if "labels_file" in keywords:
        keywords["labels"] = read_labels(shared(keywords.pop("labels_file")))
    return keywords


def load_model(shared: Callable[[str], Path], name: str) -> Any:
    """The `onnxray.Model` of one key of MODEL_SPECS, read with its true preprocessing."""
    import onnxray

    return onnxray.load(shared(name), **arguments(shared, name))
