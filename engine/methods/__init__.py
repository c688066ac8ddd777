"""The methods: one file, one function, one result."""

# method -> module here; its function has the method's name. Imported when used.
METHODS: dict[str, str] = {
    "predict": "predict",
    "activations": "activations",
    "saliency": "saliency",
    "grad_cam": "grad_cam",
}
