"""The parts of PaddlePaddle's program format that a network needs, as a table of field numbers."""

from __future__ import annotations

from ..message_table import MessageTable

_MESSAGES: dict[str, str] = {
    "Program": "blocks 1 Block*, version 4 Version",
    "Version": "version 1 int64",
    "Block": "idx 1 int32, parent_idx 2 int32, vars 3 Variable*, ops 4 Operator*",
    "Variable": "name 1 string, type 2 VariableType, persistable 3 bool",
    "VariableType": "type 1 Kind, lod_tensor 3 LoDTensor",
    "LoDTensor": "tensor 1 TensorDescription",
    "TensorDescription": "data_type 1 Kind, dims 2 int64*",
    "Operator": "inputs 1 Parameter*, outputs 2 Parameter*, type 3 string, attrs 4 Attribute*",
    "Parameter": "parameter 1 string, arguments 2 string*",
    "Attribute": """name 1 string, type 2 AttributeKind, i 3 int32, f 4 float, s 5 string, ints 6 int32*,
        floats 7 float*, strings 8 string*, b 10 bool, bools 11 bool*, l 13 int64, longs 15 int64*,
        float64s 16 double*, float64 19 double, scalar 20 Scalar, scalars 21 Scalar*""",
    "Scalar": "type 1 ScalarKind, b 2 bool, i 3 int64, r 4 double",
}
_ENUMS = {
    "Kind": """bool 0, int16 1, int32 2, int64 3, float16 4, float32 5, float64 6, LOD_TENSOR 7, SELECTED_ROWS 8,
        FEED_MINIBATCH 9, FETCH_LIST 10, STEP_SCOPES 11, LOD_RANK_TABLE 12, LOD_TENSOR_ARRAY 13, PLACE_LIST 14,
        READER 15, RAW 17, TUPLE 18, SIZE_T 19, uint8 20, int8 21, bfloat16 22, COMPLEX64 23, COMPLEX128 24""",
    "AttributeKind": """i 0, f 1, s 2, ints 3, floats 4, strings 5, b 6, bools 7, BLOCK 8, l 9, BLOCKS 10, longs 11,
        float64s 12, VARIABLE 13, VARIABLES 14, float64 15, scalar 16, scalars 17""",
    "ScalarKind": "b 1, i 2, r 3, COMPLEX128 4",
}

_TABLE = MessageTable("onnxray.paddle", _MESSAGES, _ENUMS)
message_class = _TABLE.message_class  # "Program", "TensorDescription" …
enum_name = _TABLE.enum_name  # ("Kind", 5) -> "float32"
enum_number = _TABLE.enum_number  # and back
