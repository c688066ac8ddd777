"""The engine: from an ONNX model to data that explains it."""
