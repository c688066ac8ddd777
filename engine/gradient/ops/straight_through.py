"""Quantised operators in float arithmetic: the same values, and gradients that pass the rounding."""
