"""What is explained: one number an image, read from a tensor of the network."""

from .classes import ClassProbability, ClassScore, TopClass
from .neurons import Channel, Function, Layer, Neuron
from .regions import Box, Mask
from .target import Target, of_images, settled, tensor_named
from .text import as_target, parse_target

__all__ = [
    "Box",
    "Channel",
    "ClassProbability",
    "ClassScore",
    "Function",
    "Layer",
    "Mask",
    "Neuron",
    "Target",
    "TopClass",
    "as_target",
    "of_images",
    "parse_target",
    "settled",
    "tensor_named",
]
