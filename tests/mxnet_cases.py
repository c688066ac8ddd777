"""Random networks of one MXNet operator each, with random options, sizes and weights: those that compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mxnet_movement_cases import MOVEMENTS, flag, pick
from tiny_mxnet import Net


def draw(seed: int) -> tuple[Net, str]:
    """A network, and its family."""
    net = Net(seed)
    family = FAMILIES[seed % len(FAMILIES)]
    family(net, net.random)
    return net, family.__name__


def _image(net: Net, random: np.random.Generator, channels: int | None = None, least: int = 5) -> tuple[Any, list[int]]:
    shape = [int(random.integers(1, 3)), channels or int(random.integers(1, 7))]
    shape += [int(side) for side in random.integers(least, 13, 2)]
    return net.input("data", tuple(shape)), shape


def _pair(random: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    return int(random.integers(low, high)), int(random.integers(low, high))


def _any_shape(net: Net, random: np.random.Generator, low: int = 1, name: str = "data") -> tuple[Any, list[int]]:
    shape = [int(side) for side in random.integers(1, 6, int(random.integers(low, 5)))]
    return net.input(name, tuple(shape)), shape


def convolution(net: Net, random: np.random.Generator) -> None:
    """Grouped and dilated."""
    group = pick(random, (1, 1, 2, 3))
    data, shape = _image(net, random, group * int(random.integers(1, 4)))
    count, kernel = group * int(random.integers(1, 4)), _pair(random, 1, 4)
    weights = [net.weight("c_weight", count, shape[1] // group, *kernel)]
    no_bias = flag(random)
    weights += [] if no_bias else [net.weight("c_bias", count)]
    options: dict[str, Any] = {"pad": _pair(random, 0, 3)} if flag(random) else {}
    options |= {"stride": _pair(random, 1, 3)} if flag(random) else {}
    options |= {"dilate": pick(random, ((1, 1), (2, 2), (1, 2)))} if flag(random) else {}
    options |= {"kernel": kernel, "num_filter": count, "num_group": group, "no_bias": no_bias}
    net.node("Convolution", "c", data, *weights, **options)


def convolution_of_rows(net: Net, random: np.random.Generator) -> None:
    """One spatial axis, numbers as Python 2 wrote them; or three."""
    if flag(random):
        data, weight = net.input("data", (1, 2, 4, 6, 5)), net.weight("c_weight", 2, 2, 2, 3, 1)
        window = {"kernel": (2, 3, 1), "stride": (1, 2, 1), "pad": (1, 0, 0)}
        net.node("Convolution", "c", data, weight, num_filter=2, no_bias=True, **window)
        return
    data = net.input("data", (2, 3, int(random.integers(6, 12))))
    weights = [net.weight("c_weight", 4, 3, 3), net.weight("c_bias", 4)]
    rows = {"kernel": "(3,)", "pad": "(1L,)", "stride": f"({random.integers(1, 3)},)"}
    net.node("Convolution", "c", data, *weights, num_filter=4, **rows)


def deconvolution(net: Net, random: np.random.Generator) -> None:
    """With a padding, with more at the end, for a shape."""
    group = pick(random, (1, 1, 2))
    data, shape = _image(net, random, group * int(random.integers(1, 3)))
    out, kernel, stride = int(random.integers(1, 4)), _pair(random, 2, 5), _pair(random, 1, 4)
    options: dict[str, Any] = {"num_filter": out * group, "num_group": group, "kernel": kernel, "stride": stride}
    weights = [net.weight("d_weight", shape[1], out, *kernel)]
    kind = pick(random, ("plain", "pad", "adj", "target"))
    if kind == "target":
        whole = [step * (side - 1) + reach for side, step, reach in zip(shape[2:], stride, kernel, strict=True)]
        options["target_shape"] = tuple(side - int(random.integers(0, 3)) for side in whole)
    elif kind != "plain":
        options["pad"] = tuple(int(random.integers(0, side)) for side in kernel)
    if kind == "adj":
        options["adj"] = tuple(int(random.integers(0, side)) for side in stride)
    if flag(random):
        weights.append(net.weight("d_bias", out * group))
        options["no_bias"] = False
    net.node("Deconvolution", "d", data, *weights, **options)


def fully_connected(net: Net, random: np.random.Generator) -> None:
    """Of all, or of the last axis."""
    data, shape = _any_shape(net, random, 2)
    flatten = flag(random)
    width = int(np.prod(shape[1:])) if flatten else shape[-1]
    no_bias = flag(random)
    weights = [net.weight("f_weight", 4, width), *([] if no_bias else [net.weight("f_bias", 4)])]
    options = {} if flatten and flag(random) else {"flatten": flatten}
    net.node("FullyConnected", "f", data, *weights, num_hidden=4, no_bias=no_bias, **options)


def pooling(net: Net, random: np.random.Generator) -> None:
    """Windows that end where the image does, and that do not."""
    data, _ = _image(net, random)
    options: dict[str, Any] = {"pool_type": pick(random, ("max", "max", "avg", "avg", "sum", "lp"))}
    options |= {"p_value": pick(random, (1, 2))} if options["pool_type"] == "lp" else {}
    if random.random() < 0.2:
        options["global_pool"] = True
        options |= {"kernel": (1, 1)} if flag(random) else {}
    else:
        kernel = _pair(random, 1, 5)
        options |= {"kernel": kernel, "pooling_convention": pick(random, ("valid", "full"))}
        options |= {"stride": _pair(random, 1, 4)} if random.random() < 0.8 else {}
        options |= {"pad": tuple(int(random.integers(0, side)) for side in kernel)} if flag(random) else {}
        options |= {"count_include_pad": flag(random)} if flag(random) else {}
    net.node("Pooling", "p", data, **options)


def pooling_of_rows(net: Net, random: np.random.Generator) -> None:
    """One spatial axis."""
    data = net.input("data", (2, 3, int(random.integers(6, 12))))
    kernel = int(random.integers(1, 5))
    pad = int(random.integers(0, kernel // 2 + 1))
    window = {"kernel": f"({kernel},)", "pad": f"({pad},)", "stride": f"({random.integers(1, 4)},)"}
    kinds = {"pool_type": pick(random, ("max", "avg")), "pooling_convention": pick(random, ("valid", "full"))}
    net.node("Pooling", "p", data, **window, **kinds)


ACTIVATIONS = ("relu", "sigmoid", "tanh", "softrelu", "softsign", "log_sigmoid")
LEAKY = ("leaky", "elu", "prelu", "rrelu", "selu", "gelu")


def activation(net: Net, random: np.random.Generator) -> None:
    """All kinds."""
    data, shape = _any_shape(net, random, 2)
    kind = pick(random, (*ACTIVATIONS, *LEAKY, "clip", "hard_sigmoid"))
    if kind in ACTIVATIONS:
        net.node("Activation", "a", data, act_type=kind)
    elif kind == "clip":
        net.node("clip", "a", data, a_min=-1, a_max=1.5)
    elif kind == "hard_sigmoid":
        net.node("hard_sigmoid", "a", data, **({"alpha": 0.3, "beta": 0.4} if flag(random) else {}))
    else:
        slopes = [net.weight("a_gamma", pick(random, (1, shape[1])))] if kind == "prelu" else []
        net.node("LeakyReLU", "a", data, *slopes, act_type=kind, **({"slope": 0.1} if flag(random) else {}))


def batch_norm(net: Net, random: np.random.Generator) -> None:
    """On any number of axes."""
    data, shape = _any_shape(net, random, 2)
    count = shape[1]
    learned = [net.weight("b_gamma", count), net.weight("b_beta", count)]
    states = [net.parameter("b_moving_mean", random.normal(size=count), "aux")]
    states += [net.parameter("b_moving_var", random.uniform(0.3, 2, count), "aux")]
    given = {"fix_gamma": flag(random), "eps": 0.01, "use_global_stats": True}
    options = {key: value for key, value in given.items() if flag(random)}
    net.node("BatchNorm", "b", data, *learned, *states, **options)


def normalisation(net: Net, random: np.random.Generator) -> None:
    """Each kind by another statistic."""
    kind = pick(random, ("instance", "layer", "l2", "lrn", "group"))
    data, shape = _image(net, random, 4 if kind == "group" else None)
    if kind == "instance":
        learned = [net.weight("n_gamma", shape[1]), net.weight("n_beta", shape[1])]
        net.node("InstanceNorm", "n", data, *learned, **({"eps": 0.01} if flag(random) else {}))
    elif kind == "layer":
        axis = pick(random, (-1, 1, 2, 3))
        learned = [net.weight("n_gamma", shape[axis]), net.weight("n_beta", shape[axis])]
        net.node("LayerNorm", "n", data, *learned, axis=axis)
    elif kind == "l2":
        net.node("L2Normalization", "n", data, mode=pick(random, ("instance", "channel", "spatial")))
    elif kind == "group":
        groups = pick(random, (1, 2, 4))
        learned = [net.weight("n_gamma", groups), net.weight("n_beta", groups)]
        net.node("GroupNorm", "n", data, *learned, num_groups=groups)
    else:
        net.node("LRN", "n", data, nsize=pick(random, (1, 3, 5)), alpha=0.1, **({"knorm": 1} if flag(random) else {}))


def softmax(net: Net, random: np.random.Generator) -> None:
    """Over each axis that one may mean."""
    data, shape = _any_shape(net, random, 2)
    kind = pick(random, ("SoftmaxOutput", "SoftmaxActivation", "softmax", "log_softmax", "LogisticRegressionOutput"))
    if kind == "SoftmaxOutput":
        modes: list[dict[str, Any]] = [{}, {"multi_output": True}, {"preserve_shape": True}]
        label = net.parameter("s_label", np.zeros(1))
        mode = pick(random, modes)
        label_shape = {0: shape[:1], 1: [shape[0], *shape[2:]], 2: shape[:-1]}[modes.index(mode)]
        net.parameters["arg:s_label"] = np.zeros(label_shape, np.float32)
        net.node(kind, "s", data, label, **mode)
    elif kind == "LogisticRegressionOutput":
        net.parameters["arg:s_label"] = np.zeros(shape, np.float32)
        net.node(kind, "s", data, net.variable("s_label"))
    elif kind == "SoftmaxActivation":
        net.node(kind, "s", data, mode=pick(random, ("instance", "channel")))
    else:
        net.node(kind, "s", data, axis=pick(random, (-1, 0, 1)), **({"temperature": 2.5} if flag(random) else {}))


SAME_SHAPE = ("elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_maximum", "_minimum", "_greater_equal")
BROADCAST = (
    *("add", "sub", "mul", "div", "maximum", "minimum", "greater", "lesser_equal", "equal", "not_equal"),
    *("logical_and", "logical_or", "logical_xor", "power"),
)


def two(net: Net, random: np.random.Generator) -> None:
    """Of one shape, or with sides of 1."""
    first, shape = _any_shape(net, random, 2)
    if flag(random):
        second = net.input("other", tuple(shape))
        net.node(pick(random, (*SAME_SHAPE, "_lesser", "add_n")), "t", first, second)
    else:
        second = net.input("other", tuple(pick(random, (1, side)) for side in shape))
        name = pick(random, BROADCAST)
        net.node(f"broadcast_{name}", "t", net.node("exp", "e", first) if name == "power" else first, second)


SCALARS = (
    *("plus", "minus", "rminus", "mul", "div", "rdiv", "maximum", "minimum"),
    *("greater", "lesser_equal", "not_equal", "rpower"),
)


def with_number(net: Net, random: np.random.Generator) -> None:
    """Either first."""
    data, _ = _any_shape(net, random)
    name = pick(random, SCALARS)
    net.node(f"_{name}_scalar", "n", data, scalar=pick(random, (0.5, 2, 3 if name == "rpower" else -1.5)))


ANYWHERE = (
    *("relu", "softsign", "exp", "abs", "negative", "floor", "ceil", "sign", "erf", "sin", "cos", "arctan", "sinh"),
    *("cosh", "tanh", "arcsinh", "square", "cbrt", "fix", "trunc", "round", "logical_not", "_contrib_div_sqrt_dim"),
)
BETWEEN_0_AND_1 = (
    *("log", "sqrt", "reciprocal", "tan", "arcsin", "arccos", "arctanh", "rsqrt", "log2", "log10", "log1p", "expm1"),
    *("degrees", "radians", "_copy", "BlockGrad"),
)


def unary(net: Net, random: np.random.Generator) -> None:
    """Each number on its own."""
    data, _ = _any_shape(net, random)
    name = pick(random, (*ANYWHERE, *BETWEEN_0_AND_1))
    net.node(name, "u", data if name in ANYWHERE else net.node("sigmoid", "inside", data))


def reduction(net: Net, random: np.random.Generator) -> None:
    """Over some axes or all others."""
    data, _ = _any_shape(net, random, 3)
    name = pick(random, ("sum", "mean", "max", "min", "prod", "norm", "argmax", "argmin", "argmax_channel"))
    axis = pick(random, (1, -1, 0, 2))
    if name == "argmax_channel":
        net.node(name, "r", net.node("Flatten", "flat", data))
    elif name.startswith("arg"):
        net.node(name, "r", data, axis=axis, keepdims=flag(random))
    elif name == "norm":
        net.node(name, "r", data, axis=axis, ord=pick(random, (1, 2)), keepdims=flag(random))
    else:
        axes = pick(random, (axis, (1, 2), "()", (0, -1)))
        options = {"exclude": True} if axes != "()" and flag(random) else {}
        net.node(name, "r", data, axis=axes, keepdims=flag(random), **options)


def resampling(net: Net, random: np.random.Generator) -> None:
    """Up and down."""
    data, shape = _image(net, random, least=3)
    kind = pick(random, ("nearest", "several", "bilinear", "resize", "scale", "odd_scale", "to", "adaptive"))
    if kind == "nearest":
        net.node("UpSampling", "u", data, scale=pick(random, (1, 2, 3)), sample_type="nearest", num_args=1)
    elif kind == "several":
        other = net.input("other", (shape[0], shape[1], shape[2] * 2, shape[3] * 2))
        mode = pick(random, ("concat", "sum"))
        net.node("UpSampling", "u", data, other, scale=4, sample_type="nearest", num_args=2, multi_input_mode=mode)
    elif kind == "bilinear":
        scale = pick(random, (2, 3, 4))
        side = 2 * scale - scale % 2
        weight = net.weight("u_weight", shape[1], 1, side, side)
        net.node("UpSampling", "u", data, weight, scale=scale, sample_type="bilinear", num_args=2, num_filter=shape[1])
    elif kind == "adaptive":
        size = pick(random, (1, 2, 3, (2, 3)))
        net.node("_contrib_AdaptiveAvgPooling2D", "u", data, output_size=size)
    else:
        corners = {} if flag(random) else {"align_corners": flag(random)}
        how: dict[str, Any] = {"height": int(random.integers(1, 15)), "width": int(random.integers(1, 15))}
        if kind != "resize":
            how = {"scale_height": 1.7, "scale_width": 0.6}
        if kind == "odd_scale":
            how |= {"mode": kind}
        elif kind == "to":
            how = {"mode": pick(random, ("to_even_down", "to_even_up", "to_odd_down", "to_odd_up"))}
        net.node("_contrib_BilinearResize2D", "u", data, **how, **corners)


def matrices(net: Net, random: np.random.Generator) -> None:
    """Turned or not."""
    turned = (flag(random), flag(random))
    batch = (2,) if flag(random) else ()
    sides = [(3, 4)[:: -1 if turned[0] else 1], (4, 5)[:: -1 if turned[1] else 1]]
    first, second = (net.input(name, (*batch, *side)) for name, side in zip(("data", "other"), sides, strict=True))
    name, options = ("batch_dot" if batch else "dot"), {}
    if flag(random):
        name, options = "_linalg_gemm2", {"alpha": 0.5}
    net.node(name, "m", first, second, transpose_a=turned[0], transpose_b=turned[1], **options)


def detection(net: Net, random: np.random.Generator) -> None:
    """Prior boxes of a small image, and what a detector would say of them."""
    data = net.input("data", (1, 3, 3, 4))
    sizes, ratios = pick(random, ((0.2, 0.3), (0.4,))), pick(random, ((1, 2, 0.5), (1,), (2, 3)))
    options: dict[str, Any] = {"clip": flag(random)} if flag(random) else {}
    options |= {"steps": (0.3, 0.2), "offsets": (0.4, 0.6)} if flag(random) else {}
    prior = net.node("_contrib_MultiBoxPrior", "prior", data, sizes=sizes, ratios=ratios, **options)
    if random.random() < 0.2:
        return
    count, images = 12 * (len(sizes) + len(ratios) - 1), pick(random, (1, 2))
    classes = pick(random, (2, 4))
    scores = net.node("softmax", "scores", net.input("logits", (images, classes, count)), axis=1)
    offsets = net.input("offsets", (images, count * 4))
    options = {"force_suppress": flag(random), "nms_threshold": pick(random, (0.3, 0.5, 0.7, 0, 1))}
    options |= {"threshold": pick(random, (0.3, 0.6))} if flag(random) else {}
    options |= {"nms_topk": pick(random, (5, 400))} if flag(random) else {}
    options |= {"variances": (0.2, 0.1, 0.3, 0.1), "clip": False} if flag(random) else {}
    net.node("_contrib_MultiBoxDetection", "found", scores, offsets, prior, **options)


COMPUTING: tuple[Callable[[Net, np.random.Generator], None], ...] = (
    *(convolution, convolution_of_rows, deconvolution, fully_connected, pooling, pooling_of_rows, activation),
    *(batch_norm, normalisation, softmax, two, with_number, unary, reduction, resampling, matrices, detection),
)
FAMILIES = (*COMPUTING, *MOVEMENTS)
