"""Attention and its relatives."""
