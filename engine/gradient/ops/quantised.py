"""Quantised operators, exactly as ONNX defines them."""
