"""Older files: `layers { type: CONVOLUTION }` (2013-14), before it the nested `layers { layer { type: "conv" } }`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .reader import Layer, arrays, without_blobs
from .wire_schema import message_class

# word in the text -> (number on the wire, today's type). Numbers are BVLC's; words without one come from forks.
_OLD_TYPES: dict[str, tuple[int | None, str]] = {
    "ABSVAL": (35, "AbsVal"),
    "ACCURACY": (1, "Accuracy"),
    "ARGMAX": (30, "ArgMax"),
    "BNLL": (2, "BNLL"),
    "BN": (None, "BN"),
    "CONCAT": (3, "Concat"),
    "CONTRASTIVE_LOSS": (37, "ContrastiveLoss"),
    "CONVOLUTION": (4, "Convolution"),
    "CROP": (None, "Crop"),
    "DATA": (5, "Data"),
    "DECONVOLUTION": (39, "Deconvolution"),
    "DENSE_IMAGE_DATA": (None, "DenseImageData"),
    "DROPOUT": (6, "Dropout"),
    "DUMMY_DATA": (32, "DummyData"),
    "ELTWISE": (25, "Eltwise"),
    "EUCLIDEAN_LOSS": (7, "EuclideanLoss"),
    "EXP": (38, "Exp"),
    "FLATTEN": (8, "Flatten"),
    "HDF5_DATA": (9, "HDF5Data"),
    "HDF5_OUTPUT": (10, "HDF5Output"),
    "HINGE_LOSS": (28, "HingeLoss"),
    "IM2COL": (11, "Im2col"),
    "IMAGE_DATA": (12, "ImageData"),
    "INFOGAIN_LOSS": (13, "InfogainLoss"),
    "INNER_PRODUCT": (14, "InnerProduct"),
    "INTERP": (None, "Interp"),
    "LRN": (15, "LRN"),
    "MEMORY_DATA": (29, "MemoryData"),
    "MULTINOMIAL_LOGISTIC_LOSS": (16, "MultinomialLogisticLoss"),
    "MVN": (34, "MVN"),
    "POOLING": (17, "Pooling"),
    "POWER": (26, "Power"),
    "PRELU": (None, "PReLU"),
    "RELU": (18, "ReLU"),
    "RESHAPE": (None, "Reshape"),
    "ROI_POOLING": (None, "ROIPooling"),
    "SIGMOID": (19, "Sigmoid"),
    "SIGMOID_CROSS_ENTROPY_LOSS": (27, "SigmoidCrossEntropyLoss"),
    "SILENCE": (36, "Silence"),
    "SLICE": (33, "Slice"),
    "SOFTMAX": (20, "Softmax"),
    "SOFTMAX_LOSS": (21, "SoftmaxWithLoss"),
    "SPLIT": (22, "Split"),
    "TANH": (23, "TanH"),
    "THRESHOLD": (31, "Threshold"),
    "TILE": (None, "Tile"),
    "UNPOOLING": (None, "Unpooling"),
    "UPSAMPLE": (None, "Upsample"),
    "WINDOW_DATA": (24, "WindowData"),
}
_BY_NUMBER = {number: name for number, name in _OLD_TYPES.values() if number is not None}

_OLDEST_TYPES = {
    "accuracy": "Accuracy",
    "bnll": "BNLL",
    "concat": "Concat",
    "conv": "Convolution",
    "data": "Data",
    "dropout": "Dropout",
    "euclidean_loss": "EuclideanLoss",
    "flatten": "Flatten",
    "hdf5_data": "HDF5Data",
    "hdf5_output": "HDF5Output",
    "im2col": "Im2col",
    "images": "ImageData",
    "infogain_loss": "InfogainLoss",
    "innerproduct": "InnerProduct",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MultinomialLogisticLoss",
    "pool": "Pooling",
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "softmax_loss": "SoftmaxWithLoss",
    "split": "Split",
    "tanh": "TanH",
    "window_data": "WindowData",
}

# type -> parameter message -> its field: the oldest form's name for it
_OLDEST_PARAMS: dict[str, dict[str, str]] = {
    "Convolution": {
        "num_output": "num_output",
        "bias_term": "biasterm",
        "pad": "pad",
        "kernel_size": "kernelsize",
        "group": "group",
        "stride": "stride",
        "weight_filler": "weight_filler",
        "bias_filler": "bias_filler",
    },
    "InnerProduct": {
        "num_output": "num_output",
        "bias_term": "biasterm",
        "weight_filler": "weight_filler",
        "bias_filler": "bias_filler",
    },
    "Pooling": {"pool": "pool", "pad": "pad", "kernel_size": "kernelsize", "stride": "stride"},
    "LRN": {"local_size": "local_size", "alpha": "alpha", "beta": "beta", "k": "k"},
    "Dropout": {"dropout_ratio": "dropout_ratio"},
    "Concat": {"concat_dim": "concat_dim"},
    "ImageData": {"new_height": "new_height", "new_width": "new_width", "batch_size": "batchsize"},
    "Data": {"batch_size": "batchsize"},
    "WindowData": {"batch_size": "batchsize"},
}
_PARAM_FIELDS = {
    "Convolution": "convolution_param",
    "InnerProduct": "inner_product_param",
    "Pooling": "pooling_param",
    "LRN": "lrn_param",
    "Dropout": "dropout_param",
    "Concat": "concat_param",
    "ImageData": "image_data_param",
    "Data": "data_param",
    "WindowData": "window_data_param",
}
_OLDEST_TRANSFORM = {"scale": "scale", "mean_file": "meanfile", "crop_size": "cropsize", "mirror": "mirror"}


def upgraded(entries: Sequence[Any]) -> list[Layer]:
    """The layers of a net written with `layers {}`."""
    layers = [_from_oldest(entry) if entry.HasField("layer") else _from_old(entry) for entry in entries]
    return _merge_padding(layers)


def _from_old(entry: Any) -> Layer:
    if entry.HasField("type"):
        kind = _OLD_TYPES.get(entry.type, (None, entry.type))[1]
    else:
        kind = _BY_NUMBER.get(entry.type_number, f"number {entry.type_number}")
    blobs = arrays(entry.name, entry.blobs)
    return Layer(entry.name, kind, list(entry.bottom), list(entry.top), without_blobs(entry), blobs, list(entry.param))


def _from_oldest(entry: Any) -> Layer:
    old = entry.layer
    kind = _OLDEST_TYPES.get(old.type, old.type)
    message = message_class("Layer")(name=old.name, type=kind)
    message.include.extend(entry.include)
    message.exclude.extend(entry.exclude)
    if kind in _PARAM_FIELDS:
        _copy_fields(getattr(message, _PARAM_FIELDS[kind]), old, _OLDEST_PARAMS[kind])
    if kind in ("Data", "ImageData", "WindowData"):
        _copy_fields(message.transform_param, old, _OLDEST_TRANSFORM)
    if kind == "padding":
        message.convolution_param.pad.append(old.pad)
    return Layer(old.name, kind, list(entry.bottom), list(entry.top), message, arrays(old.name, old.blobs))


def _copy_fields(target: Any, source: Any, names: dict[str, str]) -> None:
    target.SetInParent()
    for new, old in names.items():
        if not source.HasField(old):
            continue
        value = getattr(source, old)
        present = getattr(target, new)
        if hasattr(present, "append"):
            present.append(value)
        elif hasattr(present, "CopyFrom"):
            present.CopyFrom(value)
        else:
            setattr(target, new, value)


def _merge_padding(layers: list[Layer]) -> list[Layer]:
    """The oldest form pads in a layer of its own; today's does it in the convolution or pooling that follows."""
    padding = {layer.tops[0]: layer for layer in layers if layer.type == "padding" and layer.tops and layer.bottoms}
    for layer in layers:
        source = padding.get(layer.bottoms[0]) if layer.bottoms else None
        if source is None or layer.type not in ("Convolution", "Pooling"):
            continue
        pad = source.param("convolution_param").pad[0]
        layer.bottoms[0] = source.bottoms[0]
        if layer.type == "Convolution":
            del layer.message.convolution_param.pad[:]
            layer.message.convolution_param.pad.append(pad)
        else:
            layer.message.pooling_param.pad = pad
    return [layer for layer in layers if layer.type != "padding"]
