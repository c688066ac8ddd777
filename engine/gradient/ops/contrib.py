"""onnxruntime's own operators (domain com.microsoft)."""
