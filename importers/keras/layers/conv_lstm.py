"""ConvLSTM1D to 3D: an LSTM whose products are convolutions (Shi et al. 2015), step by step."""

from __future__ import annotations

from dataclasses import dataclass

from ..layer_writer import LayerWriter
from .activation import activation_function, described
from .windows import window

_MOST_STEPS = 512  # each is a dozen nodes


@dataclass(frozen=True)
class _Cell:
    """What all steps share."""

    kernel: str
    bias: list[str]
    recurrent: str
    window: dict[str, object]  # of the convolution of the input; that of the state is "same"
    sides: int  # axes of the images


def conv_lstm(layer: LayerWriter) -> None:
    """x [N, T, *sides, C]; gates i, f, c, o; the state's convolution keeps its sides."""
    if layer.mask() is not None or layer.flag("stateful") or len(layer.inputs) > 1 or layer.kwargs.get("initial_state"):
        raise layer.error("masks, stateful and initial states are not supported")
    steps, *_ = layer.sizes(layer.shape()[1:])
    if steps > _MOST_STEPS:
        raise layer.error(f"more than {_MOST_STEPS} steps are not supported")
    images = _images(layer, steps)
    cell = _cell(layer, images[0])
    hidden = memory = ""
    made = []
    for number, image in enumerate(reversed(images) if layer.flag("go_backwards") else images):
        hidden, memory = _step(layer, cell, f"step_{number}", image, hidden, memory)
        made.append(hidden)
    _emit(layer, made if layer.flag("return_sequences") else [hidden], cell.sides)
    if layer.flag("return_state"):
        for state in (hidden, memory):
            layer.first = layer.channels_last
            layer.emit("Identity", [state])


def _images(layer: LayerWriter, steps: int) -> list[str]:
    """The steps of the input, each [N, C, *sides]."""
    x, rank = layer.source(), len(layer.shape())
    if layer.channels_last:
        x = layer.add("channels_first", "Transpose", [x], perm=[0, 1, rank - 1, *range(2, rank - 1)])
    names = [layer.graph.temporary(f"{layer.name}/image_{number}") for number in range(steps)]
    layer.graph.node("Split", [x, layer.ints("single", [1] * steps)], names, name=f"{layer.name}/images", axis=1)
    axis = layer.ints("time", [1])
    return [layer.add(f"image_{number}_alone", "Squeeze", [name, axis]) for number, name in enumerate(names)]


def _cell(layer: LayerWriter, image: str) -> _Cell:
    axes = len(layer.graph.shape(image)) - 2
    kernel, recurrent = layer.array("kernel"), layer.array("recurrent_kernel")
    if kernel.ndim != axes + 2 or recurrent.ndim != axes + 2 or recurrent.shape[-1] != 4 * recurrent.shape[-2]:
        raise layer.error(f"its weights {list(kernel.shape)} and {list(recurrent.shape)} do not fit each other")
    turned = (axes + 1, axes, *range(axes))
    strides, dilations = layer.per_axis("strides", axes, 1), layer.per_axis("dilation_rate", axes, 1)
    return _Cell(
        layer.weight("kernel", lambda: kernel.transpose(turned)),
        [layer.weight("bias", lambda: layer.array("bias"))] if layer.has("bias") else [],
        layer.weight("recurrent_kernel", lambda: recurrent.transpose(turned)),
        window(layer, layer.graph.shape(image)[2:], kernel.shape[:axes], strides, dilations),
        axes,
    )


def _step(layer: LayerWriter, cell: _Cell, role: str, image: str, hidden: str, memory: str) -> tuple[str, str]:
    """(hidden, memory) after one more image; both are "" at the beginning, for zeros."""
    gates = layer.add(f"{role}/input", "Conv", [image, cell.kernel, *cell.bias], **cell.window)
    if hidden:
        sides = layer.array("recurrent_kernel").shape[: cell.sides]
        pads = [(side - 1) // 2 for side in sides] + [side // 2 for side in sides]
        state = layer.add(f"{role}/state", "Conv", [hidden, cell.recurrent], kernel_shape=list(sides), pads=pads)
        gates = layer.add(f"{role}/gates", "Add", [gates, state])
    names = [layer.graph.temporary(f"{layer.name}/{role}/{gate}") for gate in "ifco"]
    layer.graph.node("Split", [gates], names, name=f"{layer.name}/{role}/split", axis=1)
    i, f, o = (_bent(layer, f"{role}/{gate}", names["ifco".index(gate)], "recurrent_activation") for gate in "ifo")
    c = _bent(layer, f"{role}/new", names[2], "activation")
    added = layer.add(f"{role}/added", "Mul", [i, c])
    if memory:
        added = layer.add(f"{role}/memory", "Add", [layer.add(f"{role}/kept", "Mul", [f, memory]), added])
    return layer.add(f"{role}/hidden", "Mul", [o, _bent(layer, f"{role}/out", added, "activation")]), added


def _bent(layer: LayerWriter, role: str, x: str, option: str) -> str:
    """x through one of the layer's activations."""
    given = layer.option(option, "tanh" if option == "activation" else "hard_sigmoid")
    name, config = described(given)
    function = activation_function(given)
    if function is None or name in ("softmax", "log_softmax", "glu"):
        raise layer.error(f"the activation {name} is not supported")
    inner = layer.part(f"{role}/{name}")
    inner.first = layer.channels_last
    function(inner, x, config)
    return str(inner.results[0])


def _emit(layer: LayerWriter, images: list[str], sides: int) -> None:
    """The result: one image, or all of them as [N, T, *sides, C]."""
    layer.first = layer.channels_last
    if not layer.flag("return_sequences"):
        layer.emit("Identity", images)
        return
    axis = layer.ints("time", [1])
    wide = [layer.add(f"image_{number}", "Unsqueeze", [image, axis]) for number, image in enumerate(images)]
    layer.first = False
    if not layer.channels_last:
        layer.emit("Concat", wide, axis=1)
        return
    joined = layer.add("joined", "Concat", wide, axis=1)
    layer.emit("Transpose", [joined], perm=[0, 1, *range(3, 3 + sides), 2])


LAYERS = {f"ConvLSTM{axes}D": conv_lstm for axes in (1, 2, 3)}
