"""The torch bridge: an ONNX graph as a differentiable torch.fx module that proves itself against onnxruntime."""
