"""Caffe: prototxt (text) and caffemodel (binary) to ONNX, no Caffe installed."""
