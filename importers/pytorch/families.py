"""Which family of networks the names and shapes in a state dict look like: a hint on how to go on, never more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod

from .torchvision_sizes import BY_KERNELS

WRAPPERS = ("module.", "_orig_mod.")  # prefixes that DataParallel and torch.compile put before every name

_FAMILIES: tuple[tuple[str, str], ...] = (  # a name that must be there -> what has it
    (r"encoder\.layers\.encoder_layer_0\.", "a Vision Transformer of torchvision"),
    (r"blocks\.0\.attn\.qkv\.weight", "a Vision Transformer of timm"),
    (r"(features\.1|layers\.0\.blocks)\.0\.attn\.relative_position_bias_table", "a Swin Transformer"),
    (r"features\.denseblock1\.denselayer1\.", "a DenseNet of torchvision"),
    (r"features\.\d+\.squeeze\.weight", "a SqueezeNet of torchvision"),
    (r"Mixed_5b\.", "an Inception v3 of torchvision"),
    (r"inception3a\.branch1\.", "a GoogLeNet of torchvision"),
    (r"stage2\.0\.branch2\.", "a ShuffleNet v2 of torchvision"),
    (r"_blocks\.0\._depthwise_conv\.weight", "an EfficientNet of efficientnet_pytorch"),
    (r"features\.\d+\.0\.block\.\d\.fc1\.weight", "an EfficientNet or MobileNet v3 of torchvision"),
    (r"features\.1\.conv\.0\.0\.weight", "a MobileNet v2 of torchvision"),
    (r"features\.\d+\.block\.0\.0\.weight", "a MobileNet v3 of torchvision"),
    (r"features\.\d+\.\d+\.layer_scale", "a ConvNeXt of torchvision"),
    (r"backbone\.body\.layer1\.", "a detector of torchvision"),
    (r"backbone\.layer1\.0\.conv1\.weight", "a segmentation network of torchvision"),
    (r"model\.0\.conv\.weight", "a YOLO of Ultralytics"),
    (r"(inc|down1|up1)\.\w*conv", "a U-Net"),
)
_DEPTHS: Mapping[tuple[tuple[int, ...], int], int] = {  # blocks of the four stages, and convolutions in a block
    ((2, 2, 2, 2), 2): 18,
    ((3, 4, 6, 3), 2): 34,
    ((3, 4, 6, 3), 3): 50,
    ((3, 4, 23, 3), 3): 101,
    ((3, 8, 36, 3), 3): 152,
}
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.conv(\d)\.weight")
_PLAIN = re.compile(r"features\.\d+\.(weight|bias)|classifier\.\d+\.(weight|bias)")
_VGG_BY_CONVOLUTIONS = {8: "vgg11", 10: "vgg13", 13: "vgg16", 16: "vgg19"}


def guess_family(tensors: Mapping[str, tuple[int, ...]]) -> str:
    """The family, or nothing when the names and the shapes of the floating-point tensors are those of none."""
    shapes = {_bare(name): shape for name, shape in tensors.items()}
    named = _residual(shapes) or _plain(shapes) or next((text for mark, text in _FAMILIES if _has(shapes, mark)), "")
    sized = _sized(shapes)
    if not sized or named == sized:
        return named
    if named.endswith(" of torchvision") or named.startswith("torchvision"):
        return sized
    return f"{named}, with the shapes of {sized}" if named else f"a network with the shapes of {sized}"


def _bare(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _sized(shapes: Mapping[str, tuple[int, ...]]) -> str:
    kernels = [shape for shape in shapes.values() if len(shape) > 1]
    classes = next((at for at in reversed(range(len(kernels))) if len(kernels[at]) == 2), None)
    if classes is not None:
        del kernels[classes]
    known = BY_KERNELS.get((len(kernels), sum(map(prod, kernels))))
    return f"torchvision.models:{known}" if known else ""


def _has(shapes: Mapping[str, tuple[int, ...]], mark: str) -> bool:
    pattern = re.compile(mark)
    return any(pattern.match(name) for name in shapes)


def _residual(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """ResNets are told apart by how many blocks their stages have, and wide and grouped ones by the first of them."""
    found = [tuple(map(int, match.groups())) for match in map(_BLOCK.fullmatch, shapes) if match]
    if (1, 0, 1) not in found:
        return ""
    stages = max(stage for stage, _, _ in found)
    blocks = tuple(1 + max(block for stage, block, _ in found if stage == number) for number in range(1, stages + 1))
    convolutions = max(number for _, _, number in found)
    depth = _DEPTHS.get((blocks, convolutions))
    if stages == 3:
        return f"a ResNet-{2 + convolutions * sum(blocks)} for small images"
    if depth is None:
        return "a ResNet"
    usual = shapes.get("layer1.0.conv2.weight", ())[:2] == (64, 64)
    return f"torchvision.models:resnet{depth}" if usual else f"a wide or grouped ResNet-{depth}"


def _plain(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """AlexNet and VGG: numbered convolutions, then numbered dense layers."""
    if not all(map(_PLAIN.fullmatch, shapes)) or "classifier.6.weight" not in shapes:
        return ""
    convolutions = sum(name.startswith("features") and len(shape) == 4 for name, shape in shapes.items())
    name = "alexnet" if convolutions == 5 else _VGG_BY_CONVOLUTIONS.get(convolutions)
    return f"torchvision.models:{name}" if name else ""
