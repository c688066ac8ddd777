"""The parts of TensorFlow Lite's schema (version 3) that a network needs, as tables of fields in the order of slots.

No generated code: importing TensorFlow's takes longer than reading most files, and it follows every offset blindly.
"""

from __future__ import annotations

from .flatbuffer import parse_schema

IDENTIFIER = b"TFL3"  # at byte 4
_TYPES = (
    "FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 RESOURCE VARIANT "
    "UINT32 UINT16 INT4 BFLOAT16"
)
TYPES = _TYPES.split()
_OPERATORS = """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
    FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION
    LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH
    CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER
    BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM
    ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE
    EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR
    ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND
    COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE
    HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE
    BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT
"""
OPERATORS = _OPERATORS.split()  # those after them are of StableHLO
PADDINGS = ("SAME", "VALID")
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")

_WINDOW = "padding byte, stride_w int, stride_h int"
_FUSED = "activation byte"
SCHEMA = parse_schema(
    {
        "Model": """version uint, operator_codes [OperatorCode], subgraphs [SubGraph], description string,
            buffers [Buffer], _, metadata [Metadata]""",
        "OperatorCode": "old_code byte, custom_code string, version int=1, code int",
        "SubGraph": "tensors [Tensor], inputs [int], outputs [int], operators [Operator], name string",
        "Tensor": """shape [int], type byte, buffer uint, name string, quantization Quantization, is_variable bool,
            sparsity Sparsity, shape_signature [int]""",
        "Quantization": """_, _, scale [float], zero_point [long], details_type ubyte, details Details,
            axis int""",
        "Sparsity": "traversal_order [int]",
        "Operator": """opcode_index uint, inputs [int], outputs [int], options_type ubyte, options Options,
            custom_options [ubyte]""",
        "Buffer": "data [ubyte], offset ulong, size ulong",
        "Metadata": "name string, buffer uint",
        "Conv2DOptions": f"{_WINDOW}, {_FUSED}, dilation_w int=1, dilation_h int=1",
        "DepthwiseConv2DOptions": f"{_WINDOW}, depth_multiplier int, {_FUSED}, dilation_w int=1, dilation_h int=1",
        "TransposeConvOptions": f"{_WINDOW}, {_FUSED}",
        "Pool2DOptions": f"{_WINDOW}, filter_width int, filter_height int, {_FUSED}",
        "FullyConnectedOptions": f"{_FUSED}, weights_format byte, keep_num_dims bool",
        "SoftmaxOptions": "beta float",
        "ConcatenationOptions": f"axis int, {_FUSED}",
        "AddOptions": _FUSED,
        "SubOptions": _FUSED,
        "MulOptions": _FUSED,
        "DivOptions": _FUSED,
        "L2NormOptions": _FUSED,
        "LocalResponseNormalizationOptions": "radius int, bias float, alpha float, beta float",
        "ResizeBilinearOptions": "_, _, align_corners bool, half_pixel_centers bool",
        "ResizeNearestNeighborOptions": "align_corners bool, half_pixel_centers bool",
        "ReshapeOptions": "new_shape [int]",
        "SpaceToDepthOptions": "block_size int",
        "DepthToSpaceOptions": "block_size int",
        "GatherOptions": "axis int, batch_dims int",
        "ReducerOptions": "keep_dims bool",
        "SqueezeOptions": "squeeze_dims [int]",
        "SplitOptions": "num_splits int",
        "SplitVOptions": "num_splits int",
        "StridedSliceOptions": """begin_mask int, end_mask int, ellipsis_mask int, new_axis_mask int,
            shrink_axis_mask int, offset bool""",
        "CastOptions": "in_data_type byte, out_data_type byte",
        "ArgMaxOptions": "output_type byte",
        "ArgMinOptions": "output_type byte",
        "ShapeOptions": "out_type byte",
        "PackOptions": "values_count int, axis int",
        "UnpackOptions": "num int, axis int",
        "OneHotOptions": "axis int",
        "LeakyReluOptions": "alpha float",
        "MirrorPadOptions": "mode byte",
        "BatchMatMulOptions": "adj_x bool, adj_y bool",
        "CumsumOptions": "exclusive bool, reverse bool",
        "GeluOptions": "approximate bool",
        "ReverseSequenceOptions": "seq_dim int, batch_dim int",
        "Conv3DOptions": f"""padding byte, stride_d int, stride_w int, stride_h int, {_FUSED}, dilation_d int=1,
            dilation_w int=1, dilation_h int=1""",
        "SequenceRNNOptions": f"time_major bool, {_FUSED}",
        "UnidirectionalSequenceLSTMOptions": f"""{_FUSED}, cell_clip float, proj_clip float, time_major bool, _,
            diagonal_recurrent_tensors bool""",
        # The metadata of TensorFlow Lite Support: a FlatBuffer of its own, in one of the file's buffers.
        "ModelMetadata": "name string, description string, version string, subgraph_metadata [SubGraphMetadata]",
        "SubGraphMetadata": "_, _, inputs [TensorMetadata], outputs [TensorMetadata]",
        "TensorMetadata": "name string, _, _, _, process_units [ProcessUnit], _, associated_files [AssociatedFile]",
        "ProcessUnit": "options_type ubyte, options ProcessOptions",
        "NormalizationOptions": "mean [float], std [float]",
        "AssociatedFile": "name string, _, type byte, locale string",
    }
)
_OPTIONS = """
    Conv2D DepthwiseConv2D ConcatEmbeddings LSHProjection Pool2D SVDF RNN FullyConnected Softmax Concatenation Add
    L2Norm LocalResponseNormalization LSTM ResizeBilinear Call Reshape SkipGram SpaceToDepth EmbeddingLookupSparse Mul
    Pad Gather BatchToSpaceND SpaceToBatchND Transpose Reducer Sub Div Squeeze SequenceRNN StridedSlice Exp TopKV2 Split
    LogSoftmax Cast Dequantize MaximumMinimum ArgMax Less Neg PadV2 Greater GreaterEqual LessEqual Select Slice
    TransposeConv SparseToDense Tile ExpandDims Equal NotEqual Shape Pow ArgMin FakeQuant Pack LogicalOr OneHot
    LogicalAnd LogicalNot Unpack FloorDiv Square ZerosLike Fill BidirectionalSequenceLSTM BidirectionalSequenceRNN
    UnidirectionalSequenceLSTM FloorMod Range ResizeNearestNeighbor LeakyRelu SquaredDifference MirrorPad Abs SplitV
    Unique ReverseV2 AddN GatherNd Cos Where Rank ReverseSequence MatrixDiag Quantize MatrixSetDiag HardSwish If While
    DepthToSpace NonMaxSuppressionV4 NonMaxSuppressionV5 ScatterNd SelectV2 Densify SegmentSum BatchMatMul Cumsum
    CallOnce BroadcastTo Rfft2d Conv3D Hashtable HashtableFind HashtableImport HashtableSize VarHandle ReadVariable
    AssignVariable Random Bucketize Gelu
"""
UNIONS = {
    "Details": ("CustomQuantization", "BlockwiseQuantization"),
    "ProcessOptions": ("NormalizationOptions",),
    "Options": [f"{name}Options" for name in _OPTIONS.split()],
}
