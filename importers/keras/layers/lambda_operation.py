"""TensorFlow's functions between layers: tf.keras notes `x + y` as a layer TFOpLambda that names the function."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from .operation import OPERATIONS

# The function's name, without "tf." -> the operation of Keras 3 that does the same.
FUNCTIONS = {
    "__operators__.add": "Add",
    "__operators__.getitem": "GetItem",
    "clip_by_value": "Clip",
    "concat": "Concatenate",
    "expand_dims": "ExpandDims",
    "math.abs": "Absolute",
    "math.add": "Add",
    "math.ceil": "Ceil",
    "math.cos": "Cos",
    "math.divide": "Divide",
    "math.erf": "Erf",
    "math.exp": "Exp",
    "math.floor": "Floor",
    "math.log": "Log",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.multiply": "Multiply",
    "math.negative": "Negative",
    "math.pow": "Power",
    "math.reciprocal": "Reciprocal",
    "math.reduce_max": "Max",
    "math.reduce_mean": "Mean",
    "math.reduce_min": "Min",
    "math.reduce_prod": "Prod",
    "math.reduce_sum": "Sum",
    "math.rsqrt": "Rsqrt",
    "math.sigmoid": "Sigmoid",
    "math.sign": "Sign",
    "math.sin": "Sin",
    "math.softplus": "Softplus",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.subtract": "Subtract",
    "math.tanh": "Tanh",
    "math.truediv": "TrueDivide",
    "linalg.matmul": "Matmul",
    "nn.elu": "Elu",
    "nn.leaky_relu": "LeakyRelu",
    "nn.log_softmax": "LogSoftmax",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.selu": "Selu",
    "nn.sigmoid": "Sigmoid",
    "nn.silu": "Silu",
    "nn.softmax": "Softmax",
    "nn.softplus": "Softplus",
    "nn.softsign": "Softsign",
    "nn.swish": "Silu",
    "nn.tanh": "Tanh",
    "reshape": "Reshape",
    "squeeze": "Squeeze",
    "stack": "Stack",
    "transpose": "Transpose",
}


def lambda_operation(layer: LayerWriter) -> None:
    """The function that the configuration names."""
    layer.kwargs.pop("name", None)
    OPERATIONS[FUNCTIONS[layer.option("function")]](layer)


LAYERS = {"TFOpLambda": lambda_operation, "SlicingOpLambda": lambda_operation}
