"""Operators that pick, place and order values."""
