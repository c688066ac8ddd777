"""Layer types and their configurations as today's Keras calls them, whatever version wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]

_FAMILIES = ("1D", "2D", "3D")
_OLD_TYPES = {  # with "1D", "2D", "3D" after them
    "Convolution": "Conv",
    "AtrousConvolution": "Conv",
    "SeparableConvolution": "SeparableConv",
    "DepthwiseConvolution": "DepthwiseConv",
    "MaxPool": "MaxPooling",
    "AvgPool": "AveragePooling",
    "GlobalMaxPool": "GlobalMaxPooling",
    "GlobalAvgPool": "GlobalAveragePooling",
}
TYPES = {
    **{old + axes: new + axes for old, new in _OLD_TYPES.items() for axes in _FAMILIES},
    **{f"Deconvolution{axes}": f"Conv{axes}Transpose" for axes in _FAMILIES},
    **{f"Convolution{axes}Transpose": f"Conv{axes}Transpose" for axes in _FAMILIES},
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "Model": "Functional",
}
_OLD_NAMES = {  # of Keras 1, where the name has one meaning in all layers
    "nb_filter": "filters",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "atrous_rate": "dilation_rate",
    "inner_activation": "recurrent_activation",
    "filter_length": "kernel_size",
    "pool_length": "pool_size",
    "length": "size",
    "p": "rate",
}
_OLD_FORMATS = {"tf": "channels_last", "th": "channels_first", "default": "channels_last"}
_OLD_MERGES = {
    "sum": "Add",
    "mul": "Multiply",
    "ave": "Average",
    "max": "Maximum",
    "concat": "Concatenate",
    "dot": "Dot",
    "cos": "Dot",
}
_TYPED = ("Cast", "ConvertToTensor", "OnesLike", "ZerosLike")  # operations that have a type, as layers do
_EXPORTED = {"GroupQueryAttention": "GroupedQueryAttention"}  # where a class has another name than Keras exports it by
_OURS = ("keras", "tf_keras", "tensorflow", "builtins")  # packages whose layers are those of this table


def layer_type(entry: Mapping[str, Any]) -> str:
    """The type of a layer as written: "Conv2D"; an operation is "ops.Add", what somebody registered "package>Name"."""
    name, module = str(entry["class_name"]), str(entry.get("module") or "keras")
    name = _EXPORTED.get(name, name)
    registered = str(entry.get("registered_name") or "")
    if ">" in registered:
        return registered
    if "module" in entry and entry["module"] is None:
        return f"own class {name}"  # of the program that wrote the file
    if module.partition(".")[0] not in _OURS:
        return f"{module}.{name}"
    return f"ops.{name}" if ".ops" in module or _is_bare_operation(entry) else name


def _is_bare_operation(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of Keras 3's `.h5`, which names no modules, is an operation: it has no options of a layer."""
    nodes, config = entry.get("inbound_nodes"), entry.get("config")
    of_keras_3 = isinstance(nodes, list) and any(isinstance(node, Mapping) for node in nodes)
    if not of_keras_3 or not isinstance(config, Mapping):
        return False
    return entry["class_name"] in _TYPED or (not {"trainable", "layers"} & config.keys() and not config.get("dtype"))


def upgraded(kind: str, config: Config) -> tuple[str, Config]:
    """A layer's type and configuration in today's words."""
    config = {_OLD_NAMES.get(name, name): _plain(value) for name, value in config.items()}
    if config.get("data_format") in _OLD_FORMATS:
        config["data_format"] = _OLD_FORMATS[config["data_format"]]
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if names[0] in config:
            config["kernel_size"] = [config.pop(name) for name in names]
    if kind == "Merge":
        kind = _OLD_MERGES.get(str(config.get("mode")), kind)
        config = {**config, "axis": config.get("concat_axis", -1), "axes": config.get("dot_axes", -1)}
        config["normalize"] = config.get("mode") == "cos"
    kind = TYPES.get(kind, kind)
    if kind == "RNN" and isinstance(config.get("cell"), Mapping):
        kind, config = _of_cell(config)
    if "output_dim" in config and kind != "Embedding":
        config["units"] = config.pop("output_dim")
    return kind, config


def _of_cell(config: Config) -> tuple[str, Config]:
    """RNN(LSTMCell(…)) as the LSTM that it is; of another cell it is of no type that is known."""
    cell = config["cell"]
    name = str(cell.get("class_name"))
    if name not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        return f"RNN of {name}", config
    return name.removesuffix("Cell"), {**cell.get("config", {}), **config}


def _plain(value: Any) -> Any:
    """A number or a list that some versions wrap up as an array of NumPy."""
    if isinstance(value, Mapping) and "ndarray" in str(value.get("type", value.get("class_name"))):
        return value.get("value", value.get("config"))
    return value


def major_version(version: str) -> int:
    """1, 2 or 3; files that do not say are of Keras 1."""
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 1
