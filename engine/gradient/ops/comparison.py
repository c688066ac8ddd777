"""Comparison, logic and bits."""
