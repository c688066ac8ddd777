"""What arrays a layer of each type has, in the order in which every Keras stores them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .network import Layer
from .upgrade import Config


@dataclass(frozen=True)
class Role:
    """One array of a layer."""

    name: str  # "kernel"; of a part of the layer "query/kernel"
    place: str = ""  # the part of the layer under which Keras 3 files it
    trained: bool = True  # else it comes after all that are
    optional: bool = False  # not in every version's files


def _named(*names: str) -> Callable[[Config], list[Role]]:
    return lambda config: [Role(name) for name in names]


def _with_bias(*names: str) -> Callable[[Config], list[Role]]:
    def roles(config: Config) -> list[Role]:
        return [Role(name) for name in (*names, *["bias"] * bool(config.get("use_bias", True)))]

    return roles


def _affine(config: Config) -> list[Role]:
    given = {"gamma": config.get("scale", True), "beta": config.get("center", True)}
    return [Role(name) for name, there in given.items() if there]


def _batch_normalization(config: Config) -> list[Role]:
    return [*_affine(config), Role("moving_mean", trained=False), Role("moving_variance", trained=False)]


def _normalization(config: Config) -> list[Role]:
    if config.get("mean") is not None:
        return []
    moments = [Role(name, trained=False) for name in ("mean", "variance")]
    return [*moments, Role("count", trained=False, optional=True)]


def _attention(config: Config) -> list[Role]:
    weight = [Role("concat_score_weight")] if config.get("score_mode") == "concat" else []
    return [Role("scale")] * bool(config.get("use_scale")) + weight


def _additive_attention(config: Config) -> list[Role]:
    return [Role("scale")] * bool(config.get("use_scale", True))


def _multi_head_attention(config: Config) -> list[Role]:
    names = ("kernel", "bias")[: 1 + bool(config.get("use_bias", True))]
    parts = ("query", "key", "value", "output")
    return [Role(f"{part}/{name}", f"{part}_dense") for part in parts for name in names]


def _einsum_dense(config: Config) -> list[Role]:
    return [Role("kernel"), *[Role("bias")] * bool(config.get("bias_axes"))]


def _recurrent(config: Config) -> list[Role]:
    names = ("kernel", "recurrent_kernel", *["bias"] * bool(config.get("use_bias", True)))
    return [Role(name, "cell") for name in names]


def _layer_normalization(config: Config) -> list[Role]:
    return [Role("gamma")] if config.get("rms_scaling") else _affine(config)


# Keras 3 notes the wrapped layer's kernel a second time, as the wrapper's own.
_SPECTRAL = [Role("kernel", optional=True), Role("vector_u", trained=False)]
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_ROLES: dict[str, Callable[[Config], list[Role]]] = {
    **dict.fromkeys((*_CONVOLUTIONS, "DepthwiseConv1D", "DepthwiseConv2D", "Dense"), _with_bias("kernel")),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _with_bias("depthwise_kernel", "pointwise_kernel")),
    "GroupNormalization": _affine,
    "LayerNormalization": _layer_normalization,
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _recurrent),
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "EinsumDense": _einsum_dense,
    "LayerScale": _named("gamma"),
    **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _with_bias("kernel")),
    "RMSNormalization": _named("scale"),
    "PReLU": _named("alpha"),
    "Embedding": _named("embeddings"),
    "AdditiveAttention": _additive_attention,
    "Attention": _attention,
    **dict.fromkeys(("GroupedQueryAttention", "MultiHeadAttention"), _multi_head_attention),
}
_OLD_GATES = {"LSTM": "icfo", "GRU": "zrh"}  # Keras 1 stores the matrices of each gate on their own


def layer_roles(layer: Layer, count: int | None = None) -> list[Role]:
    """The arrays of a layer and of what it wraps; `count`: how many the file has, which tells old forms."""
    if layer.wrapped:
        return _stored(_wrapper_roles(layer), count)
    gates = _OLD_GATES.get(layer.type, "")
    if gates and count == 3 * len(gates):
        return [Role(f"{name}_{gate}") for gate in gates for name in ("kernel", "recurrent_kernel", "bias")]
    roles = _ROLES[layer.type](layer.config) if layer.type in _ROLES else []
    return _stored(roles, count)


def _wrapper_roles(layer: Layer) -> list[Role]:
    places = ("forward_layer", "backward_layer") if len(layer.wrapped) > 1 else ("layer",)
    inner = [
        replace(role, name=f"{number}/{role.name}", place=f"{place}/{role.place}".strip("/"))
        for number, (place, part) in enumerate(zip(places, layer.wrapped, strict=True))
        for role in layer_roles(part)
    ]
    return inner + (_SPECTRAL if layer.type == "SpectralNormalization" else [])


def _stored(roles: list[Role], count: int | None) -> list[Role]:
    """Those roles that a file of so many arrays has: all, or all that are in every version's files."""
    needed = [role for role in roles if not role.optional]
    return needed if count == len(needed) else roles


def trained_first(roles: Sequence[tuple[Layer, Role]]) -> list[tuple[Layer, Role]]:
    """The order of a whole model's arrays: what is trained, then what is not; frozen layers count as not trained."""

    def is_trained(entry: tuple[Layer, Role]) -> bool:
        layer, role = entry
        return role.trained and bool(layer.config.get("trainable", True))

    return [entry for entry in roles if is_trained(entry)] + [entry for entry in roles if not is_trained(entry)]
