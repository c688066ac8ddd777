"""onnxray: any trained vision model file in; pictures, tables and numbers that explain it out.

>>> import onnxray
>>> model = onnxray.load("squeezenet.onnx")
>>> model.summary().total_macs
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine.backward.heat_map import heat_map_model as heat_map_model
    from .engine.backward.projections import projections as projections
    from .engine.checkup.checkup import checkup as checkup
    from .engine.gradient.certificate import certify as certify
    from .engine.methods.activations import activations as activations
    from .engine.methods.cam import cam as cam
    from .engine.methods.deconvnet import deconvnet as deconvnet
    from .engine.methods.deep_lift import deep_lift as deep_lift
    from .engine.methods.detect import detect as detect
    from .engine.methods.eigen_cam import eigen_cam as eigen_cam
    from .engine.methods.expected_gradients import expected_gradients as expected_gradients
    from .engine.methods.grad_cam import grad_cam as grad_cam
    from .engine.methods.grad_cam_plus_plus import grad_cam_plus_plus as grad_cam_plus_plus
    from .engine.methods.guided_backprop import guided_backprop as guided_backprop
    from .engine.methods.guided_grad_cam import guided_grad_cam as guided_grad_cam
    from .engine.methods.input_x_gradient import input_x_gradient as input_x_gradient
    from .engine.methods.integrated_gradients import integrated_gradients as integrated_gradients
    from .engine.methods.layer_cam import layer_cam as layer_cam
    from .engine.methods.lrp import lrp as lrp
    from .engine.methods.occlusion import occlusion as occlusion
    from .engine.methods.occlusion_plan import occlusion_plan as occlusion_plan
    from .engine.methods.predict import predict as predict
    from .engine.methods.recipro_cam import recipro_cam as recipro_cam
    from .engine.methods.rise import rise as rise
    from .engine.methods.saliency import saliency as saliency
    from .engine.methods.score_cam import score_cam as score_cam
    from .engine.methods.segmentation import segmentation as segmentation
    from .engine.methods.smooth_grad import smooth_grad as smooth_grad
    from .engine.metrics.check import sanity_check as sanity_check
    from .engine.metrics.completeness import completeness as completeness
    from .engine.metrics.infidelity import infidelity as infidelity
    from .engine.metrics.insertion_deletion import insertion_deletion as insertion_deletion
    from .engine.metrics.max_sensitivity import max_sensitivity as max_sensitivity
    from .engine.metrics.pointing_game import pointing_game as pointing_game
    from .engine.metrics.randomisation import randomisation as randomisation
    from .engine.metrics.sensitivity_n import sensitivity_n as sensitivity_n
    from .engine.model import Model as Model
    from .engine.model import load as load
    from .engine.session import Session as Session
    from .engine.structure.drawing.draw import draw as draw
    from .engine.targets import Box as Box
    from .engine.targets import Channel as Channel
    from .engine.targets import ClassProbability as ClassProbability
    from .engine.targets import ClassScore as ClassScore
    from .engine.targets import Function as Function
    from .engine.targets import Layer as Layer
    from .engine.targets import Mask as Mask
    from .engine.targets import Neuron as Neuron
    from .importers.errors import InputError as InputError
    from .importers.input_spec import InputSpec as InputSpec
    from .importers.support import formats as formats

# onnxruntime (1.31) reports each process and session to its maker unless this says no, before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Public name -> module that defines it. Resolved on first use, so that `import onnxray` stays instant and
# brings in neither torch nor onnxruntime.
_PUBLIC = {
    "load": ".engine.model",
    "Model": ".engine.model",
    "Session": ".engine.session",
    "certify": ".engine.gradient.certificate",
    "draw": ".engine.structure.drawing.draw",
    "predict": ".engine.methods.predict",
    "detect": ".engine.methods.detect",
    "activations": ".engine.methods.activations",
    "saliency": ".engine.methods.saliency",
    "input_x_gradient": ".engine.methods.input_x_gradient",
    "guided_backprop": ".engine.methods.guided_backprop",
    "deconvnet": ".engine.methods.deconvnet",
    "smooth_grad": ".engine.methods.smooth_grad",
    "integrated_gradients": ".engine.methods.integrated_gradients",
    "expected_gradients": ".engine.methods.expected_gradients",
    "deep_lift": ".engine.methods.deep_lift",
    "lrp": ".engine.methods.lrp",
    "cam": ".engine.methods.cam",
    "grad_cam": ".engine.methods.grad_cam",
    "grad_cam_plus_plus": ".engine.methods.grad_cam_plus_plus",
    "layer_cam": ".engine.methods.layer_cam",
    "eigen_cam": ".engine.methods.eigen_cam",
    "score_cam": ".engine.methods.score_cam",
    "recipro_cam": ".engine.methods.recipro_cam",
    "guided_grad_cam": ".engine.methods.guided_grad_cam",
    "rise": ".engine.methods.rise",
    "occlusion": ".engine.methods.occlusion",
    "occlusion_plan": ".engine.methods.occlusion_plan",
    "segmentation": ".engine.methods.segmentation",
    "insertion_deletion": ".engine.metrics.insertion_deletion",
    "sensitivity_n": ".engine.metrics.sensitivity_n",
    "infidelity": ".engine.metrics.infidelity",
    "max_sensitivity": ".engine.metrics.max_sensitivity",
    "completeness": ".engine.metrics.completeness",
    "randomisation": ".engine.metrics.randomisation",
    "pointing_game": ".engine.metrics.pointing_game",
    "sanity_check": ".engine.metrics.check",
    "checkup": ".engine.checkup.checkup",
    "heat_map_model": ".engine.backward.heat_map",
    "projections": ".engine.backward.projections",
    "Box": ".engine.targets",
    "Channel": ".engine.targets",
    "ClassProbability": ".engine.targets",
    "ClassScore": ".engine.targets",
    "Function": ".engine.targets",
    "Layer": ".engine.targets",
    "Mask": ".engine.targets",
    "Neuron": ".engine.targets",
    "InputSpec": ".importers.input_spec",
    "formats": ".importers.support",
    "InputError": ".importers.errors",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("onnxray")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
