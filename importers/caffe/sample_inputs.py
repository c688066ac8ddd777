"""Inputs for a comparison: noise where an image goes, boxes where regions go."""

from __future__ import annotations

import numpy as np
import onnx

from ..input_spec import InputSpec, read_input_spec
from ..provenance import SEED
from ..sample_inputs import pixels
from .inference_net import InferenceNet

_ASSUMED_SIDE = 224  # pixels


def sample_inputs(proto: onnx.ModelProto, net: InferenceNet) -> dict[str, np.ndarray]:
    """One seeded value for each graph input: noise as an image would arrive; boxes and sizes where these are read."""
    generator = np.random.default_rng(SEED)
    spec = read_input_spec(proto) or InputSpec()
    boxes = region_inputs(net)
    shapes = {value.name: _shape(value, net, boxes) for value in proto.graph.input}
    assumed = (1, 3, _ASSUMED_SIDE, _ASSUMED_SIDE)
    image = next((shape for name, shape in shapes.items() if len(shape) == 4 and name not in boxes), assumed)
    samples = {}
    for name, shape in shapes.items():
        if name in boxes:
            samples[name] = _regions(generator, shape, image)
        elif len(shape) == 2 and shape[1] == 3:  # im_info: height, width and scale of the image
            samples[name] = np.tile(np.array([image[2], image[3], 1], np.float32), (shape[0], 1))
        else:
            samples[name] = pixels(generator, shape, spec if len(shape) == 4 else InputSpec()).astype(np.float32)
    return samples


def region_inputs(net: InferenceNet) -> set[str]:
    """Inputs that hold regions [image, x1, y1, x2, y2]."""
    return {layer.bottoms[1] for layer in net.layers if layer.type in ("ROIPooling", "PSROIPooling")} & set(net.inputs)


def _shape(value: onnx.ValueInfoProto, net: InferenceNet, boxes: set[str]) -> tuple[int, ...]:
    """Fixed sizes as they are; a dynamic batch is 1, regions are as many as the prototxt has."""
    declared = net.inputs.get(value.name, ())
    assumed = {0: declared[0] if declared and value.name in boxes else 1, 2: _ASSUMED_SIDE, 3: _ASSUMED_SIDE}
    return tuple(dim.dim_value or assumed.get(axis, 1) for axis, dim in enumerate(value.type.tensor_type.shape.dim))


def _regions(generator: np.random.Generator, shape: tuple[int, ...], image: tuple[int, ...]) -> np.ndarray:
    corners = np.sort(generator.uniform(0, 1, (shape[0], 2, 2)), axis=1)  # (first, second) x (x, y)
    boxes = (corners * [image[3] - 1, image[2] - 1]).reshape(shape[0], 4)
    return np.hstack([np.zeros((shape[0], 1)), boxes]).reshape(shape).astype(np.float32)
