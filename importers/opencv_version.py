"""Which OpenCV is installed, of the packages that bring it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from .errors import MissingExtra

_PACKAGES = ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")


def opencv_version(purpose: str) -> str:
    """As "4.14.0". Raises MissingExtra, which says what it is wanted for, where there is none."""
    if find_spec("cv2") is None:
        raise MissingExtra(purpose, "verify")
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "of unknown version"
