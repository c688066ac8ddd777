"""torchvision's architectures and our own small ones, with seeded weights as a trained network has them, as ONNX files
by either of torch's exporters.

`python tests/torchvision_networks.py FOLDER [NAME …]` writes the files.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import small_networks
import torch
from torch import Tensor, nn

EXPORTERS = ("dynamo", "legacy")
_IMAGES = 4  # that batch normalisation's statistics come from


@dataclass(frozen=True)
class Architecture:
    """How one network is made, and what goes in.

    `size`: the smallest that leaves the graph as it is at full size (padding to whole windows, fixed pools …).
    `exporters`: those of torch that can write it.
    """

    make: Callable[[Any], nn.Module]  # gets torchvision.models
    size: int
    exporters: tuple[str, ...] = EXPORTERS


class Detector(nn.Module):
    """A torchvision detector for one image in a batch: [1, 3, H, W] -> boxes [n, 4], scores [n], labels [n]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.model([image[0]])[0]
        return found["boxes"], found["scores"], found["labels"]


def _ssdlite(models: Any) -> nn.Module:
    few = {"detections_per_img": 20, "topk_candidates": 40, "num_classes": 11}
    return Detector(models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, **few))


def _fasterrcnn(models: Any) -> nn.Module:
    few = {"rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 30, "box_detections_per_img": 20, "num_classes": 11}
    scores = {"rpn_score_thresh": 0.0, "box_score_thresh": 0.05}
    make = models.detection.fasterrcnn_mobilenet_v3_large_320_fpn
    return Detector(make(weights=None, weights_backbone=None, min_size=160, max_size=320, **few, **scores))


_HEADS = {"weights": None, "weights_backbone": None}
ARCHITECTURES: dict[str, Architecture] = {
    "alexnet": Architecture(lambda models: models.alexnet(), 224),  # its adaptive pool is none at 224
    "vgg16": Architecture(lambda models: models.vgg16(), 224),  # so is this one's
    "googlenet": Architecture(lambda models: models.googlenet(init_weights=False, aux_logits=False), 64),
    "inception_v3": Architecture(lambda models: models.inception_v3(init_weights=False, aux_logits=False), 96),
    "resnet18": Architecture(lambda models: models.resnet18(), 96),
    "resnet50": Architecture(lambda models: models.resnet50(), 64),
    "densenet121": Architecture(lambda models: models.densenet121(), 64),
    "squeezenet1_1": Architecture(lambda models: models.squeezenet1_1(), 96),
    "mobilenet_v2": Architecture(lambda models: models.mobilenet_v2(), 96),
    "mobilenet_v3_small": Architecture(lambda models: models.mobilenet_v3_small(), 96),
    "shufflenet_v2": Architecture(lambda models: models.shufflenet_v2_x1_0(), 96),
    "efficientnet_b0": Architecture(lambda models: models.efficientnet_b0(), 64),
    "mnasnet": Architecture(lambda models: models.mnasnet1_0(), 64),
    "regnet_y_400mf": Architecture(lambda models: models.regnet_y_400mf(), 64),
    "convnext_tiny": Architecture(lambda models: models.convnext_tiny(), 96),
    "vit_b_16": Architecture(lambda models: models.vit_b_16(image_size=96), 96),
    "vit_s_16": Architecture(lambda models: models.VisionTransformer(96, 16, 4, 6, 384, 1536), 96),  # of four blocks
    "swin_t": Architecture(lambda models: models.swin_t(), 224),  # smaller maps have no shifted windows
    "maxvit_t": Architecture(lambda models: models.maxvit_t(), 224),  # windows of 7 must fit every stage
    "fcn_resnet50": Architecture(lambda models: models.segmentation.fcn_resnet50(**_HEADS), 64),
    "deeplabv3_mobilenet": Architecture(lambda models: models.segmentation.deeplabv3_mobilenet_v3_large(**_HEADS), 64),
    "lraspp": Architecture(lambda models: models.segmentation.lraspp_mobilenet_v3_large(**_HEADS), 96),
    "ssdlite": Architecture(_ssdlite, 320, ("legacy",)),  # torch.export stops at non-maximum suppression's sizes
    "fasterrcnn_mobilenet_320": Architecture(_fasterrcnn, 160, ("legacy",)),
    "zfnet": Architecture(lambda _: small_networks.ZFNet(), 96),
    "segnet": Architecture(lambda _: small_networks.SegNet(), 64, ("dynamo",)),  # legacy: no max_unpool2d
    "deconvnet": Architecture(lambda _: small_networks.DeconvNet(), 64, ("dynamo",)),
    "unet": Architecture(lambda _: small_networks.UNet(), 64),
    "hourglass": Architecture(lambda _: small_networks.StackedHourglass(), 64),
}
EXPORTS = [(name, exporter) for name, entry in ARCHITECTURES.items() for exporter in entry.exporters]


# -- networks and images ---


@lru_cache(maxsize=1)
def network(name: str) -> nn.Module:
    """The network, the same at every call: in evaluation mode, parameters frozen; not to be changed."""
    make = ARCHITECTURES[name].make
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on initial values that are replaced anyway
        torch.manual_seed(0)
        module = make(torchvision_models()).eval().requires_grad_(False)
        _randomise(module)
        _settle(module, images(name, _IMAGES))
    return module


def images(name: str, count: int = 1, seed: int = 1) -> Tensor:
    """Seeded images [count, 3, H, W] as preprocessing leaves them, coarse and fine structure; detectors': in 0..1."""
    size, generator = ARCHITECTURES[name].size, torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, size // 8, size // 8, generator=generator)
    fine = torch.randn(count, 3, size, size, generator=generator)
    made = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") + fine / 2
    return made.sigmoid() if name in ("ssdlite", "fasterrcnn_mobilenet_320") else made


def flat(value: Any) -> list[Tensor]:
    """A network's outputs in order, whatever holds them."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in (value.values() if isinstance(value, dict) else value) for tensor in flat(part)]


def _randomise(module: nn.Module) -> None:
    """No parameter is zero or one, as in a trained network: so nothing can be shared, folded away or hidden by it."""
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.ndim > 1:
                kind = "relu" if parameter.ndim == 4 else "linear"
                nn.init.kaiming_normal_(parameter, nonlinearity=kind)
            elif name == "weight":  # of normalisations
                nn.init.uniform_(parameter, 0.5, 1.5)
            else:
                nn.init.normal_(parameter, std=0.1)
    for name, parameter in module.named_parameters():
        if "bbox_pred" in name or "regression_head" in name:
            parameter *= 0.1  # a trained detector's boxes are near their anchors


def _settle(module: nn.Module, batch: Tensor) -> None:
    """Batch normalisation's statistics are those of the images."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    for layer in layers:
        layer.train().momentum = 1.0
    with torch.no_grad():
        if isinstance(module, Detector):
            module.model(list(batch))
        else:
            module(batch)
    for layer in layers:
        layer.eval()


# -- export ---


def export(module: nn.Module, image: Tensor, exporter: str, path: Path, any_batch: bool = False) -> Path:
    """Write the module as ONNX at the exporter's own opset version. `any_batch`: for batches of any size."""
    dynamo = exporter == "dynamo"
    options: dict[str, Any] = {"input_names": ["image"], "dynamo": dynamo, "verbose": False, "external_data": False}
    if any_batch and dynamo:
        image = image.expand(2, *image.shape[1:]).contiguous()  # a batch of one would be taken for a constant
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif any_batch:
        options["dynamic_axes"] = {"image": {0: "batch"}}
    with warnings.catch_warnings(), _slow_attention():
        warnings.simplefilter("ignore")  # tracers' warnings about control flow, deprecations
        torch.onnx.export(module, (image,), path, **options)
    return path


def exported(name: str, exporter: str, folder: Path, any_batch: bool = False) -> Path:
    """The file of one architecture in `folder`, made at the first call."""
    path = folder / f"{name}.{exporter}{'.any_batch' if any_batch else ''}.onnx"
    if not path.exists():
        original = deepcopy(network(name))  # torch's older exporter changes weights in place
        export(original, images(name), exporter, path, any_batch)
    return path


@contextmanager
def _slow_attention() -> Iterator[None]:
    """The fused attention layer has no symbolic function in the legacy exporter."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


# -- torchvision beside a torch that its C++ operators were not compiled for ---


@cache
def torchvision_models() -> Any:
    """`torchvision.models`. PyPI's torchvision has no CPU build; where its operators do not load, ours stand in."""
    import sys

    try:
        import torchvision
    except RuntimeError:  # "operator torchvision::nms does not exist"
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _define_operators()
        import torchvision

        boxes, regions = (sys.modules[f"torchvision.ops.{name}"] for name in ("boxes", "roi_align"))
        boxes._assert_has_ops = regions._assert_has_ops = _has_operators
        regions._has_ops = lambda: True
    return torchvision.models


@cache
def _define_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.impl("nms", _nms, "CPU")
    library.impl("roi_align", _roi_align, "CompositeImplicitAutograd")
    return library


def _has_operators() -> None:
    """In place of torchvision's check: all is there."""


def _nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression."""
    from torchvision.ops import box_iou

    overlaps = box_iou(boxes, boxes) > iou_threshold
    kept: list[int] = []
    for box in scores.sort(descending=True, stable=True).indices.tolist():
        if not overlaps[box, kept].any():
            kept.append(box)
    return torch.tensor(kept, dtype=torch.int64)


def _roi_align(
    x: Tensor, rois: Tensor, spatial_scale: float, height: int, width: int, sampling_ratio: int, aligned: bool
) -> Tensor:
    """As the C++ operator has it, and differentiable in the boxes too. (torchvision's own slow version clamps samples
    to the map where this one has zeros.)"""
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0)
    (left, top, right, bottom), batch = corners.T, rois[:, 0].long()
    rows = _samples(top, bottom, height, sampling_ratio, aligned, x.shape[2])
    columns = _samples(left, right, width, sampling_ratio, aligned, x.shape[3])
    return torch.einsum("kph,kchw,kqw->kcpq", rows, x[batch], columns)


def _samples(start: Tensor, end: Tensor, bins: int, ratio: int, aligned: bool, size: int) -> Tensor:
    """How much of each of `size` pixels is in each of the bins from `start` to `end`, linearly interpolated."""
    length = end - start if aligned else (end - start).clamp(min=1)
    places = start[:, None] + (torch.arange(bins * ratio) + 0.5) / (bins * ratio) * length[:, None]
    inside = (places >= -1) & (places <= size)
    apart = (places.clamp(0, size - 1)[..., None] - torch.arange(size)).abs()
    return ((1 - apart).clamp(min=0) * inside[..., None]).unflatten(1, (bins, ratio)).mean(2)


def main() -> None:
    """Write the files, and say what it took."""
    import sys
    import time

    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    for name, exporter in EXPORTS:
        if not names or name in names:
            start = time.perf_counter()
            size = exported(name, exporter, folder).stat().st_size
            print(f"{name:26s}{exporter:8s}{time.perf_counter() - start:6.1f} s {size / 1e6:8.1f} MB", flush=True)


if __name__ == "__main__":
    main()
