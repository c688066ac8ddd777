"""The methods: one file, one function, one result. A method's file and function have its name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attribution import Attribution

# Which pixels decide: method -> its title on pictures.
ATTRIBUTIONS: dict[str, str] = {
    "saliency": "Saliency",
    "input_x_gradient": "Input × gradient",
    "guided_backprop": "Guided backprop",
    "deconvnet": "Deconvnet",
    "smooth_grad": "SmoothGrad",
    "integrated_gradients": "Integrated gradients",
    "expected_gradients": "Expected gradients",
    "deep_lift": "DeepLIFT",
    "lrp": "LRP",
    "cam": "CAM",
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "layer_cam": "LayerCAM",
    "eigen_cam": "Eigen-CAM",
    "score_cam": "Score-CAM",
    "recipro_cam": "Recipro-CAM",
    "guided_grad_cam": "Guided Grad-CAM",
    "rise": "RISE",
    "occlusion": "Occlusion",
    "segmentation": "Segmentation",
}


def attribution_method(name: str) -> Callable[..., Attribution]:
    """The function of one of ATTRIBUTIONS."""
    function: Any = getattr(import_module(f".{name}", __name__), name)
    return function
