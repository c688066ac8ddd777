"""The numbers that binary .param files have for layer types: places in the list that NCNN has only ever added to."""

from __future__ import annotations

_CUSTOM = 1 << 8  # set in the numbers of layers that the program brings along

_NAMES = """
    AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout Eltwise ELU Embed Exp Flatten
    InnerProduct Input Log LRN MemoryData MVN Pooling Power PReLU Proposal Reduction ReLU Reshape ROIPooling Scale
    Sigmoid Slice Softmax Split SPP TanH Threshold Tile RNN LSTM BinaryOp UnaryOp ConvolutionDepthWise Padding Squeeze
    ExpandDims Normalize Permute PriorBox DetectionOutput Interp DeconvolutionDepthWise ShuffleChannel InstanceNorm
    Clip Reorg YoloDetectionOutput Quantize Dequantize Yolov3DetectionOutput PSROIPooling ROIAlign Packing Requantize
    Cast HardSigmoid SELU HardSwish Noop PixelShuffle DeepCopy Mish StatisticsPooling Swish Gemm GroupNorm LayerNorm
    Softplus GRU MultiHeadAttention GELU Convolution1D Pooling1D ConvolutionDepthWise1D Convolution3D
    ConvolutionDepthWise3D Pooling3D MatMul Deconvolution1D DeconvolutionDepthWise1D Deconvolution3D
    DeconvolutionDepthWise3D Einsum DeformableConv2D GLU Fold Unfold GridSample CumulativeSum CopyTo Erf Diag CELU
    Shrink RMSNorm Spectrogram InverseSpectrogram Flip SDPA RotaryEmbed
"""
_TYPES = tuple(_NAMES.split())


def type_name(number: int) -> str:
    """The type of that number; for one that is not NCNN's a name that no layer has."""
    if 0 <= number < len(_TYPES):
        return _TYPES[number]
    return f"custom{number & ~_CUSTOM}" if number & _CUSTOM else f"type{number}"
