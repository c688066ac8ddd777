"""The backward pass as an ONNX graph, without torch: gradients, guided backpropagation, the deconvnet."""
