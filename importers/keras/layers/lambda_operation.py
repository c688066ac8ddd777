"""TensorFlow's functions between layers: tf.keras notes `x + y` as a layer TFOpLambda that names the function."""

from __future__ import annotations

from ..layer_writer import LayerWriter
from .operation import OPERATIONS

# The function's name, without "tf." -> the operation of Keras 3 that does the same.
FUNCTIONS = {
    "__operators__.add": "Add",
    "__operators__.getitem": "GetItem",
    "concat": "Concatenate",
    "expand_dims": "ExpandDims",
    "math.abs": "Absolute",
    "math.add": "Add",
    "math.divide": "Divide",
    "math.exp": "Exp",
    "math.log": "Log",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.multiply": "Multiply",
    "math.negative": "Negative",
    "math.pow": "Power",
    "math.reduce_max": "Max",
    "math.reduce_mean": "Mean",
    "math.reduce_min": "Min",
    "math.reduce_sum": "Sum",
    "math.sigmoid": "Sigmoid",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.subtract": "Subtract",
    "math.tanh": "Tanh",
    "math.truediv": "TrueDivide",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.sigmoid": "Sigmoid",
    "nn.silu": "Silu",
    "nn.softmax": "Softmax",
    "nn.swish": "Silu",
    "nn.tanh": "Tanh",
    "reshape": "Reshape",
    "squeeze": "Squeeze",
    "transpose": "Transpose",
}


def lambda_operation(layer: LayerWriter) -> None:
    """The function that the configuration names."""
    layer.kwargs.pop("name", None)
    OPERATIONS[FUNCTIONS[layer.option("function")]](layer)


LAYERS = {"TFOpLambda": lambda_operation, "SlicingOpLambda": lambda_operation}
