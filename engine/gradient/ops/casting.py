"""Changes of element type."""
