"""Numerical kernels: arrays in, arrays out.

A kernel is one folder: `__init__.py` is its front (signature, shapes, checks), `reference.py` its definition in NumPy,
`NAME.cpp` and `NAME.cu` its fast forms. `build_info` is the first entry: it tells what the extension was built with.
"""
