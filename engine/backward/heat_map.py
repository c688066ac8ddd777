"""heat_map: a network and an explanation of its answer as one ONNX model, which runs wherever onnxruntime does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from ...importers.errors import InputError
from ...importers.opset import STANDARD
from ..images import image_input
from ..methods.feature_maps import FeatureMap, feature_map, image_size
from ..methods.options import check_choice
from ..model import Model
from ..structure.classifier import Classifier
from ..targets import ClassScore
from ..targets.classes import classifier_in
from .build import Rule, backward_pass
from .network import joined, prepared
from .values import Known, known
from .writer import Writer

TARGET, HEAT_MAP, EXPLAINED = "target", "heatmap", "explained"
_TOP = -1  # as target: the class that the network puts first


@dataclass(frozen=True)
class _Pass:
    """Writes a heat map behind one network."""

    model: Model  # prepared
    known: Known
    classifier: Classifier
    layer: str | None
    write: Writer
    seed: str  # the gradient of the logits: 1 for the class that is explained

    @property
    def image(self) -> str:
        return image_input(self.model)[0]

    def gradient(self, tensor: str, rule: Rule = "gradient") -> str:
        begin = {self.classifier.logits or self.classifier.output: self.seed}
        return backward_pass(self.known, begin, [tensor], rule, self.write).gradients[tensor]

    def planes(self, tensor: str) -> str:
        """Of the input, channels first."""
        return self.write("Transpose", tensor, perm=[0, 3, 1, 2]) if self.model.spec.layout == "NHWC" else tensor

    def sum_of_channels(self, tensor: str) -> str:  # [N, C, H, W] -> [N, H, W]
        return self.write("ReduceSum", tensor, self.write.ints([1]), keepdims=0)

    def largest_channel(self, tensor: str) -> str:  # [N, C, H, W] -> [N, H, W]
        values, _ = self.write.several("TopK", 2, tensor, self.write.ints([1]), axis=1)
        return self.write("Squeeze", values, self.write.ints([1]))

    def brightening(self, gradient: str) -> str:
        """Along one more grey level in every channel."""
        scale = np.asarray(self.model.spec.scale, np.float32).reshape(1, -1, 1, 1)
        return self.sum_of_channels(self.write("Mul", gradient, self.write.constant(scale)))

    def image_gradient(self, rule: Rule = "gradient") -> str:
        return self.planes(self.gradient(self.image, rule))

    def class_activation(self) -> str:  # [N, 1, H, W]
        """Grad-CAM, enlarged to the image's size."""
        at = feature_map(self.model, self.layer, ClassScore(0))
        features, gradients = (_planes(self.write, at, name) for name in (at.tensor, self.gradient(at.tensor)))
        write = self.write
        places = write.number(float(at.places.height * at.places.width))
        weights = write("Div", write("ReduceSum", gradients, write.ints([2, 3]), keepdims=1), places)
        summed = write("ReduceSum", write("Mul", weights, features), write.ints([1]), keepdims=1)
        images = write("Slice", write("Shape", summed), write.ints([0]), write.ints([1]))
        size = write("Concat", images, write.ints([1, *image_size(self.model)]), axis=0)
        return write("Resize", write("Relu", summed), "", "", size, mode="linear")


def _planes(write: Writer, at: FeatureMap, tensor: str) -> str:  # [N, C, h, w]
    places = at.places
    if places.layout == "channels first":
        return tensor
    if places.layout == "tokens":
        if places.extra:
            end = write.ints([np.iinfo(np.int64).max])
            tensor = write("Slice", tensor, write.ints([places.extra]), end, write.ints([1]))
        tensor = write("Reshape", tensor, write.ints([0, places.height, places.width, -1]))
    return write("Transpose", tensor, perm=[0, 3, 1, 2])


_Maker: TypeAlias = Callable[[_Pass], str]  # writes [N, H, W]

_MAKERS: dict[str, _Maker] = {
    "saliency": lambda run: run.largest_channel(run.write("Abs", run.image_gradient())),
    "input_x_gradient": lambda run: run.sum_of_channels(run.write("Mul", run.planes(run.image), run.image_gradient())),
    "guided_backprop": lambda run: run.brightening(run.image_gradient("guided")),
    "deconvnet": lambda run: run.brightening(run.image_gradient("deconvnet")),
    "grad_cam": lambda run: run.write("Squeeze", run.class_activation(), run.write.ints([1])),
    "guided_grad_cam": lambda run: run.brightening(
        run.write("Mul", run.image_gradient("guided"), run.class_activation())
    ),
}
EXPORTED = tuple(_MAKERS)  # methods that can be exported


def heat_map_model(
    model: Model, method: str = "grad_cam", *, target: int | None = None, layer: str | None = None
) -> onnx.ModelProto:
    """The network with a method's heat map as another output: for classifiers, by ONNX's own operators alone.

    Inputs: the image, as the network takes it, of the size that the model is loaded for and any number of them where
    the network takes any; and `target`, int64, a class or one an image, which need not be given: `target`, or the class
    that the network puts first, is what it stands for then. Outputs: the network's classes as they were; `heatmap`
    [N, H, W], in the units of the method of that name; and `explained` [N], the class it is of.
    Raises InputError when there is no such method, the network is no classifier, or an operator has no backward pass.
    """
    check_choice("--export of --method", method, EXPORTED)
    if layer is not None and method not in ("grad_cam", "guided_grad_cam"):
        raise InputError(f"{method} has no layer")
    ready = prepared(model)
    classifier = classifier_in(ready)
    if target is not None and not 0 <= target < classifier.classes:
        raise InputError(f"the network has no class {target}, its classes are 0 to {classifier.classes - 1}")
    write = Writer({*ready.graph.types, *ready.graph.initializers, TARGET, HEAT_MAP, EXPLAINED})
    explained, seed = _seed(ready, classifier, write)
    heat = _MAKERS[method](_Pass(ready, known(ready), classifier, layer, write, seed))
    for name, made in ((HEAT_MAP, heat), (EXPLAINED, explained)):
        write.nodes.append(helper.make_node("Identity", [made], [name]))
    write.constants.append(helper.make_tensor(TARGET, TensorProto.INT64, [1], [_TOP if target is None else target]))
    proto = joined(
        ready, write, [_declared(TARGET, TensorProto.INT64, ["targets"])], _outputs(ready, classifier), method
    )
    _check(proto)
    return proto


def _seed(model: Model, classifier: Classifier, write: Writer) -> tuple[str, str]:
    """The class that is explained, [N], and the gradient of its logit, as large as the logits."""
    logits = classifier.logits or classifier.output
    shape = model.graph.shape(logits) or ()
    rows = write("Reshape", logits, write.ints([-1, classifier.classes]))
    best = write("ArgMax", rows, axis=1, keepdims=0)
    none = write.constant(np.array(0, np.int64))
    chosen = write("Where", write("Less", TARGET, none), best, TARGET)
    ends = write.constant(np.array([0, 1], np.float32))
    one = write("OneHot", chosen, write.ints([classifier.classes]), ends, axis=1)
    return chosen, write("Reshape", one, write.ints([-1, *[size or 1 for size in shape[1:]]]))


def _outputs(model: Model, classifier: Classifier) -> list[onnx.ValueInfoProto]:
    number = "N" if model.session().batching.fixed is None else model.session().batching.fixed
    shape = model.graph.shape(classifier.output) or ()
    return [
        _declared(classifier.output, TensorProto.FLOAT, [number, *shape[1:]]),
        _declared(HEAT_MAP, TensorProto.FLOAT, [number, *image_size(model)]),
        _declared(EXPLAINED, TensorProto.INT64, [number]),
    ]


def _declared(name: str, dtype: int, shape: list[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _check(proto: onnx.ModelProto) -> None:
    foreign = {f"{node.domain}.{node.op_type}" for node in proto.graph.node if node.domain not in STANDARD}
    if foreign:
        raise InputError(f"the network uses operators that are not ONNX's own: {', '.join(sorted(foreign))}")
    onnx.checker.check_model(proto)
