"""The parts of Caffe's file format that a network needs, as a table of field numbers, made into protobuf messages.

The messages live in a descriptor pool of their own, made at run time: no generated code, so neither a version check nor
a clash with another program's Caffe classes. Only what a trained network needs is here; other fields are skipped.

Field numbers 20000 and above are not Caffe's. They stand for fields that are only ever read from text, by name: names
whose number means different things in different forks (`round_mode` and `ceil_mode` are both 13 of PoolingParameter).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "onnxray.caffe"

# message -> "field number type", several with commas; * repeated, =value default; a capitalised type is a message
# or an enumeration of this table. Packed numbers are declared as bytes: the wire is the same, NumPy reads it at once.
_MESSAGES: dict[str, str] = {
    "BlobShape": "dim 1 int64*",
    "Blob": """num 1 int32, channels 2 int32, height 3 int32, width 4 int32, data 5 bytes, shape 7 BlobShape,
        double_data 8 bytes, raw_data_type 10 int32, raw_data 12 bytes""",
    "UnpackedBlob": "data 5 float*, double_data 8 double*",
    "Filler": "type 1 string=constant, value 2 float",
    "NetState": "phase 1 Phase=TEST, level 2 int32, stage 3 string*",
    "Rule": "phase 1 Phase, min_level 2 int32, max_level 3 int32, stage 4 string*, not_stage 5 string*",
    "ParamSpec": "name 1 string",
    "Net": """name 1 string, layers 2 OldLayer*, input 3 string*, input_dim 4 int32*, state 6 NetState,
        input_shape 8 BlobShape*, layer 100 Layer*""",
    "Layer": """name 1 string, type 2 string, bottom 3 string*, top 4 string*, param 6 ParamSpec*, blobs 7 Blob*,
        include 8 Rule*, exclude 9 Rule*, phase 10 Phase, transform_param 100 Transformation, argmax_param 103 ArgMax,
        concat_param 104 Concat, convolution_param 106 Convolution, data_param 107 Data, dropout_param 108 Dropout,
        dummy_data_param 109 DummyData, eltwise_param 110 Eltwise, exp_param 111 Exp, hdf5_data_param 112 Data,
        image_data_param 115 ImageData, inner_product_param 117 InnerProduct, lrn_param 118 LRN,
        memory_data_param 119 MemoryData, mvn_param 120 MVN, pooling_param 121 Pooling, power_param 122 Power,
        relu_param 123 ReLU, softmax_param 125 Softmax, slice_param 126 Slice, threshold_param 128 Threshold,
        window_data_param 129 WindowData, python_param 130 Python, prelu_param 131 PReLU, spp_param 132 SPP,
        reshape_param 133 Reshape, log_param 134 Log, flatten_param 135 Flatten, reduction_param 136 Reduction,
        embed_param 137 Embed, tile_param 138 Tile, batch_norm_param 139 BatchNorm, elu_param 140 ELU,
        bias_param 141 Bias, scale_param 142 Scale, input_param 143 Input, crop_param 144 Crop,
        parameter_param 145 Parameter, swish_param 147 Swish, clip_param 148 Clip, psroi_pooling_param 153 PSROIPooling,
        shuffle_channel_param 164 ShuffleChannel, permute_param 202 Permute, prior_box_param 203 PriorBox,
        detection_output_param 204 DetectionOutput, norm_param 206 Normalize, bn_param 1137 BN,
        roi_pooling_param 8266711 ROIPooling, interp_param 20001 Interp, upsample_param 20002 Upsample,
        unpooling_param 20003 Unpooling, relu6_param 20004 ReLU""",
    # What `layers {}` holds: the parameters have the same names and messages, other numbers.
    "OldLayer": """layer 1 OldestLayer, bottom 2 string*, top 3 string*, name 4 string, type_number 5 int32,
        type 20000 string, blobs 6 Blob*, include 32 Rule*, exclude 33 Rule*, param 1001 string*, concat_param 9 Concat,
        convolution_param 10 Convolution, data_param 11 Data, dropout_param 12 Dropout, hdf5_data_param 13 Data,
        image_data_param 15 ImageData, inner_product_param 17 InnerProduct, lrn_param 18 LRN, pooling_param 19 Pooling,
        window_data_param 20 WindowData, power_param 21 Power, memory_data_param 22 MemoryData, argmax_param 23 ArgMax,
        eltwise_param 24 Eltwise, threshold_param 25 Threshold, dummy_data_param 26 DummyData, relu_param 30 ReLU,
        slice_param 31 Slice, mvn_param 34 MVN, transform_param 36 Transformation, softmax_param 39 Softmax,
        exp_param 41 Exp, bn_param 45 BN, prelu_param 20006 PReLU, reshape_param 20007 Reshape, tile_param 20008 Tile,
        flatten_param 20009 Flatten, crop_param 20010 Crop, elu_param 20011 ELU, log_param 20012 Log,
        roi_pooling_param 20013 ROIPooling, interp_param 20001 Interp, upsample_param 20002 Upsample,
        unpooling_param 20003 Unpooling""",
    # What `layers { layer {} }` holds, the oldest form: all parameters of all types in one message.
    "OldestLayer": """name 1 string, type 2 string, num_output 3 uint32, biasterm 4 bool=true, weight_filler 5 Filler,
        bias_filler 6 Filler, pad 7 uint32, kernelsize 8 uint32, group 9 uint32=1, stride 10 uint32=1,
        pool 11 PoolMethod=MAX, dropout_ratio 12 float=0.5, local_size 13 uint32=5, alpha 14 float=1,
        beta 15 float=0.75, source 16 string, scale 17 float=1, meanfile 18 string, batchsize 19 uint32,
        cropsize 20 uint32, mirror 21 bool, k 22 float=1, blobs 50 Blob*, new_num 60 int32, new_channels 61 int32,
        new_height 62 int32, new_width 63 int32, concat_dim 65 uint32=1""",
    "Transformation": """scale 1 float=1, mirror 2 bool, crop_size 3 uint32, mean_file 4 string, mean_value 5 float*,
        force_color 6 bool, force_gray 7 bool, resize_param 8 Resize""",
    "Resize": "height 3 uint32, width 4 uint32",
    "ArgMax": "out_max_val 1 bool, top_k 2 uint32=1, axis 3 int32",
    "BatchNorm": "use_global_stats 1 bool, eps 3 float=1e-5",
    "Bias": "axis 1 int32=1, num_axes 2 int32=1, filler 3 Filler",
    "BN": "bn_mode 3 BNMode=LEARN, eps 20000 float=1e-5",
    "Clip": "min 1 float, max 2 float",
    "Concat": "concat_dim 1 uint32=1, axis 2 int32=1",
    "Convolution": """num_output 1 uint32, bias_term 2 bool=true, pad 3 uint32*, kernel_size 4 uint32*,
        group 5 uint32=1, stride 6 uint32*, weight_filler 7 Filler, bias_filler 8 Filler, pad_h 9 uint32,
        pad_w 10 uint32, kernel_h 11 uint32, kernel_w 12 uint32, stride_h 13 uint32, stride_w 14 uint32,
        axis 16 int32=1, dilation 18 uint32*""",
    "Crop": "axis 1 int32=2, offset 2 uint32*",
    "Data": "source 1 string, scale 2 float=1, mean_file 3 string, batch_size 4 uint32, crop_size 5 uint32",
    "DetectionOutput": """num_classes 1 uint32, share_location 2 bool=true, background_label_id 3 int32,
        nms_param 4 NonMaximumSuppression, code_type 6 CodeType=CORNER, keep_top_k 7 int32=-1,
        variance_encoded_in_target 8 bool, confidence_threshold 9 float""",
    "Dropout": "dropout_ratio 1 float=0.5, scale_train 20000 bool=true",
    "DummyData": "num 2 uint32*, channels 3 uint32*, height 4 uint32*, width 5 uint32*, shape 6 BlobShape*",
    "Eltwise": "operation 1 EltwiseOp=SUM, coeff 2 float*",
    "ELU": "alpha 1 float=1",
    "Embed": "num_output 1 uint32, input_dim 2 uint32, bias_term 3 bool=true",
    "Exp": "base 1 float=-1, scale 2 float=1, shift 3 float",
    "Flatten": "axis 1 int32=1, end_axis 2 int32=-1",
    "ImageData": """source 1 string, scale 2 float=1, mean_file 3 string, batch_size 4 uint32=1, crop_size 5 uint32,
        new_height 9 uint32, new_width 10 uint32, is_color 11 bool=true""",
    "InnerProduct": """num_output 1 uint32, bias_term 2 bool=true, weight_filler 3 Filler, bias_filler 4 Filler,
        axis 5 int32=1, transpose 6 bool""",
    "Input": "shape 1 BlobShape*",
    "Interp": """height 1 int32, width 2 int32, zoom_factor 3 int32=1, shrink_factor 4 int32=1, pad_beg 5 int32,
        pad_end 6 int32""",
    "Log": "base 1 float=-1, scale 2 float=1, shift 3 float",
    "LRN": """local_size 1 uint32=5, alpha 2 float=1, beta 3 float=0.75, norm_region 4 NormRegion=ACROSS_CHANNELS,
        k 5 float=1""",
    "MemoryData": "batch_size 1 uint32, channels 2 uint32, height 3 uint32, width 4 uint32",
    "MVN": "normalize_variance 1 bool=true, across_channels 2 bool, eps 3 float=1e-9",
    "NonMaximumSuppression": "nms_threshold 1 float=0.3, top_k 2 int32, eta 3 float=1",
    "Normalize": "across_spatial 1 bool=true, scale_filler 2 Filler, channel_shared 3 bool=true, eps 4 float=1e-10",
    "Parameter": "shape 1 BlobShape",
    "Permute": "order 1 uint32*",
    "Pooling": """pool 1 PoolMethod=MAX, kernel_size 2 uint32, stride 3 uint32=1, pad 4 uint32, kernel_h 5 uint32,
        kernel_w 6 uint32, stride_h 7 uint32, stride_w 8 uint32, pad_h 9 uint32, pad_w 10 uint32,
        global_pooling 12 bool, either_rounding 13 int32, round_mode 20000 RoundMode=CEIL, ceil_mode 20001 bool=true""",
    "Power": "power 1 float=1, scale 2 float=1, shift 3 float",
    "PReLU": "filler 1 Filler, channel_shared 2 bool",
    "PriorBox": """min_size 1 float*, max_size 2 float*, aspect_ratio 3 float*, flip 4 bool=true, clip 5 bool,
        variance 6 float*, img_size 7 uint32, img_h 8 uint32, img_w 9 uint32, step 10 float, step_h 11 float,
        step_w 12 float, offset 13 float=0.5""",
    "PSROIPooling": "spatial_scale 1 float, output_dim 2 int32, group_size 3 int32",
    "Python": "module 1 string, layer 2 string",
    "Reduction": "operation 1 ReductionOp=SUM, axis 2 int32, coeff 3 float=1",
    "ReLU": "negative_slope 1 float",
    "Reshape": "shape 1 BlobShape, axis 2 int32, num_axes 3 int32=-1",
    "ROIPooling": "pooled_h 1 uint32, pooled_w 2 uint32, spatial_scale 3 float=1",
    "Scale": """axis 1 int32=1, num_axes 2 int32=1, filler 3 Filler, bias_term 4 bool, bias_filler 5 Filler""",
    "ShuffleChannel": "group 1 uint32=1",
    "Slice": "slice_dim 1 uint32=1, slice_point 2 uint32*, axis 3 int32=1",
    "Softmax": "axis 2 int32=1",
    "SPP": "pyramid_height 1 uint32, pool 2 PoolMethod=MAX",
    "Swish": "beta 1 float=1",
    "Threshold": "threshold 1 float",
    "Tile": "axis 1 int32=1, tiles 2 int32",
    "Unpooling": """unpool 1 PoolMethod=MAX, kernel_size 2 uint32, stride 3 uint32=1, pad 4 uint32, kernel_h 5 uint32,
        kernel_w 6 uint32, stride_h 7 uint32, stride_w 8 uint32, pad_h 9 uint32, pad_w 10 uint32,
        output_h 20000 uint32, output_w 20001 uint32, scale 20002 uint32, unpool_size 20003 uint32,
        unpool_h 20004 uint32, unpool_w 20005 uint32""",
    "Upsample": """scale 1 uint32=2, scale_h 2 uint32, scale_w 3 uint32, pad_out_h 4 bool, pad_out_w 5 bool,
        upsample_h 6 uint32, upsample_w 7 uint32""",
    "WindowData": "source 1 string, scale 2 float=1, mean_file 3 string, batch_size 4 uint32, crop_size 5 uint32",
}

_ENUMS: dict[str, str] = {
    "BNMode": "LEARN 0, INFERENCE 1",
    "CodeType": "CORNER 1, CENTER_SIZE 2, CORNER_SIZE 3",
    "EltwiseOp": "PROD 0, SUM 1, MAX 2",
    "NormRegion": "ACROSS_CHANNELS 0, WITHIN_CHANNEL 1",
    "Phase": "TRAIN 0, TEST 1",
    "PoolMethod": "MAX 0, AVE 1, STOCHASTIC 2",
    "ReductionOp": "SUM 1, ASUM 2, SUMSQ 3, MEAN 4",
    "RoundMode": "CEIL 0, FLOOR 1",
}

_SCALARS = ("double", "float", "int64", "int32", "uint32", "bool", "string", "bytes")


@cache
def message_class(name: str) -> Any:
    """The protobuf class of one message of the table: "Net", "Blob" …"""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def enum_name(enum: str, number: int) -> str:
    """The word for a number of an enumeration: ("PoolMethod", 0) -> "MAX"."""
    return next((word for word, value in map(str.split, _ENUMS[enum].split(",")) if int(value) == number), str(number))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="onnxray_caffe.proto", package=_PACKAGE, syntax="proto2")
    for name, values in _ENUMS.items():
        # Inside a message of its own: the words of proto2 enumerations otherwise share one scope.
        enum = file.message_type.add(name=name).enum_type.add(name="Value")
        for word, number in map(str.split, values.split(",")):
            enum.value.add(name=word, number=int(number))
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields.split(","):
            _add_field(message, *line.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: str, kind: str) -> None:
    kind, _, default = kind.partition("=")
    base = kind.rstrip("*")
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
    if default:
        field.default_value = default
    if base in _SCALARS:
        field.type = getattr(field, f"TYPE_{base.upper()}")
    elif base in _ENUMS:
        field.type, field.type_name = field.TYPE_ENUM, f".{_PACKAGE}.{base}.Value"
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{base}"
