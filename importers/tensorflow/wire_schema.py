"""The parts of TensorFlow's file formats that a network needs, as a table of field numbers.

Maps are declared as what they are on the wire and in text: lists of entries with a key and a value.
"""

from __future__ import annotations

from ..message_table import MessageTable

_MESSAGES: dict[str, str] = {
    "Dimension": "size 1 int64, name 2 string",
    "Shape": "dim 2 Dimension*, unknown_rank 3 bool",
    "Tensor": """dtype 1 Type, tensor_shape 2 Shape, tensor_content 4 bytes, float_val 5 float*, double_val 6 double*,
        int_val 7 int32*, string_val 8 bytes*, int64_val 10 int64*, bool_val 11 bool*, half_val 13 int32*,
        uint32_val 16 uint32*, uint64_val 17 uint64*""",
    "List": "s 2 bytes*, i 3 int64*, f 4 float*, b 5 bool*, type 6 Type*, shape 7 Shape*, func 9 Function*",
    "Function": "name 1 string, attr 2 AttributeEntry*",
    "Attribute": """list 1 List, s 2 bytes, i 3 int64, f 4 float, b 5 bool, type 6 Type, shape 7 Shape, tensor 8 Tensor,
        func 10 Function""",
    "AttributeEntry": "key 1 string, value 2 Attribute",
    "Node": "name 1 string, op 2 string, input 3 string*, device 4 string, attr 5 AttributeEntry*",
    "Versions": "producer 1 int32, min_consumer 2 int32",
    "Argument": "name 1 string, type 3 Type, type_attr 4 string, number_attr 5 string, type_list_attr 6 string",
    "OperatorDefinition": "name 1 string, input_arg 2 Argument*, output_arg 3 Argument*",
    "StringEntry": "key 1 string, value 2 string",
    "FunctionDefinition": """signature 1 OperatorDefinition, node_def 3 Node*, ret 4 StringEntry*,
        arg_attr 7 ArgumentEntry*""",
    "ArgumentEntry": "key 1 uint32, value 2 ArgumentAttributes",
    "ArgumentAttributes": "attr 1 AttributeEntry*",
    "Library": "function 1 FunctionDefinition*",
    "Graph": "node 1 Node*, library 2 Library, version 3 int32, versions 4 Versions",
    "TensorInfo": "name 1 string, dtype 2 Type, tensor_shape 3 Shape",
    "TensorInfoEntry": "key 1 string, value 2 TensorInfo",
    "Signature": "inputs 1 TensorInfoEntry*, outputs 2 TensorInfoEntry*, method_name 3 string",
    "SignatureEntry": "key 1 string, value 2 Signature",
    "MetaInfo": "tags 4 string*, tensorflow_version 5 string",
    "MetaGraph": """meta_info_def 1 MetaInfo, graph_def 2 Graph, signature_def 5 SignatureEntry*,
        object_graph_def 7 Objects""",
    "SavedModel": "saved_model_schema_version 1 int64, meta_graphs 2 MetaGraph*",
    # Which variable of a checkpoint each captured input of a function stands for.
    "Objects": "nodes 1 Object*, concrete_functions 2 ConcreteFunctionEntry*",
    "Object": """children 1 Child*, function 6 SavedFunction, variable 7 Variable,
        bare_concrete_function 8 BareFunction, constant 9 Constant""",
    "Constant": "operation 1 string",
    "Child": "node_id 1 int32, local_name 2 string",
    "SavedFunction": "concrete_functions 1 string*",
    "BareFunction": "concrete_function_name 1 string",
    "Variable": "dtype 1 Type, shape 2 Shape, trainable 3 bool, name 6 string",
    "ConcreteFunctionEntry": "key 1 string, value 2 ConcreteFunction",
    "ConcreteFunction": "bound_inputs 2 int32*",
    # A checkpoint: variables.index maps a key to where its bytes lie in variables.data-….
    "BundleHeader": "num_shards 1 int32, endianness 2 int32",
    "BundleEntry": "dtype 1 Type, shape 2 Shape, shard_id 3 int32, offset 4 int64, size 5 int64, slices 7 Slice*",
    "Slice": "extent 1 Extent*",
    "Extent": "start 1 int64, length 2 int64=-1",
    "Trackables": "nodes 1 Trackable*",  # the objects that were saved, and the key of what each holds
    "Trackable": "children 1 Child*, attributes 2 Saved*",
    "Saved": "name 1 string, full_name 2 string, checkpoint_key 3 string",
}
_ENUMS = {
    "Type": """DT_INVALID 0, DT_FLOAT 1, DT_DOUBLE 2, DT_INT32 3, DT_UINT8 4, DT_INT16 5, DT_INT8 6, DT_STRING 7,
        DT_COMPLEX64 8, DT_INT64 9, DT_BOOL 10, DT_QINT8 11, DT_QUINT8 12, DT_QINT32 13, DT_BFLOAT16 14, DT_QINT16 15,
        DT_QUINT16 16, DT_UINT16 17, DT_COMPLEX128 18, DT_HALF 19, DT_RESOURCE 20, DT_VARIANT 21, DT_UINT32 22,
        DT_UINT64 23""",
}

_TABLE = MessageTable("onnxray.tensorflow", _MESSAGES, _ENUMS)
message_class = _TABLE.message_class  # "Graph", "SavedModel" …
enum_name = _TABLE.enum_name  # ("Type", 1) -> "DT_FLOAT"
enum_number = _TABLE.enum_number  # and back
