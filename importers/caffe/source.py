"""Source: a Caffe model opened: the network at test time with its weights, and the files it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .companion import find_pair
from .inference_net import InferenceNet, inference_net
from .layers import layer_functions
from .reader import Layer, Net, read_caffemodel, read_prototxt
from .weights import attach_weights


@dataclass
class Source:
    """What an import starts from."""

    prototxt: Path | None  # None: rebuilt from the caffemodel
    caffemodel: Path
    net: InferenceNet
    trained: Net  # the caffemodel as written

    @property
    def graph_file(self) -> Path:
        """The file that the network's structure was read from."""
        return self.prototxt or self.caffemodel


def open_source(path: Path, companion: Path | None) -> Source:
    """Find, read and join the two files of a Caffe model.

    Raises InputError when that is not possible.
    """
    prototxt, caffemodel = find_pair(path, companion)
    trained = read_caffemodel(caffemodel)
    if prototxt is None:
        _check_carries_net(caffemodel, trained.layers)
        _check_unambiguous(caffemodel, trained.layers)
        net = inference_net(trained)
        check_types(net)
        return Source(None, caffemodel, net, trained)
    written = read_prototxt(prototxt)
    if not written.layers:
        raise InputError(f"{prototxt}: expected a network, found no layers (is it a solver's file?)")
    net = inference_net(written)
    check_types(net)
    attach_weights(net.layers, trained.layers, caffemodel.name)
    return Source(prototxt, caffemodel, net, trained)


def _check_carries_net(caffemodel: Path, layers: list[Layer]) -> None:
    """Weights alone are not a network: some tools write caffemodels without the layers' connections or parameters."""
    connected = any(layer.bottoms for layer in layers)
    described = all(
        layer.param("convolution_param").num_output or layer.param("inner_product_param").num_output
        for layer in layers
        if layer.type in ("Convolution", "InnerProduct", "Deconvolution")
    )
    if not (connected and described):
        raise InputError(
            f"{caffemodel}: holds only weights and no prototxt lies beside it; name the prototxt with --companion"
        )


# Types of forks, which disagree about the number of the parameters' field: absent here means unknown, not default.
_FORK_PARAMS = {
    "BN": "bn_param",
    "DetectionOutput": "detection_output_param",
    "Interp": "interp_param",
    "Permute": "permute_param",
    "PriorBox": "prior_box_param",
    "PSROIPooling": "psroi_pooling_param",
    "ROIPooling": "roi_pooling_param",
    "ShuffleChannel": "shuffle_channel_param",
    "Unpooling": "unpooling_param",
    "Upsample": "upsample_param",
}


def _check_unambiguous(caffemodel: Path, layers: list[Layer]) -> None:
    """Raise InputError when the binary form alone does not say what a layer does; the prototxt's names would."""
    for layer in layers:
        field = _FORK_PARAMS.get(layer.type)
        lost = field is not None and not (_has(layer, field) and layer.param(field).ListFields())
        if lost or layer.param("pooling_param").HasField("either_rounding"):
            raise InputError(
                f"{caffemodel}: what layer {layer.name} ({layer.type}) does depends on the Caffe fork that wrote the "
                "file; name its prototxt with --companion"
            )


def _has(layer: Layer, field: str) -> bool:
    return field in layer.message.DESCRIPTOR.fields_by_name and layer.message.HasField(field)


def check_types(net: InferenceNet) -> None:
    """Raise InputError when layer types are not known; all of them are named, with their layers."""
    known = layer_functions()
    unknown: dict[str, list[str]] = {}
    for layer in net.layers:
        if layer.type not in known:
            unknown.setdefault(_type_with_module(layer), []).append(layer.name)
    if unknown:
        listed = "; ".join(f"{kind} (layer {', '.join(names)})" for kind, names in unknown.items())
        raise InputError(f"layer types that onnxray cannot translate: {listed}")
    if not net.layers:
        raise InputError("the network has no layers left at test time (are all of them for the TRAIN phase?)")


def _type_with_module(layer: Layer) -> str:
    """Python layers are told apart by the code they call."""
    if layer.type != "Python":
        return layer.type
    param = layer.param("python_param")
    return f"Python {param.module}.{param.layer}"
