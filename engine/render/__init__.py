"""Pictures from arrays and results; nothing here knows a model."""
