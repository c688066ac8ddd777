"""Operators that make tensors out of nothing but sizes."""
