"""Image files to pixels: what is an image, where the images of a folder are, and one picture as RGB 0..255.

Requirements that shaped it: every Pillow format and NumPy arrays in any usual layout give the same kind of array; the
picture is the one a person sees (EXIF rotation applied, transparency over white); a file that could harm (EPS runs
Ghostscript, a decompression bomb fills the memory) is refused.
"""

from __future__ import annotations

import glob
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from ..importers.errors import InputError

Paths: TypeAlias = str | Path | Sequence[str | Path]

ARRAY_SUFFIXES = {".npy", ".npz"}
_ARRAY_NAMES = ("images", "image", "x", "data")  # looked for in an .npz, in this order
_CHANNELS = (1, 3, 4)
_MAX_ARRAY_BYTES = 8 << 30
_MAX_PIXELS = 178_956_970  # Pillow's own limit for an error; between half of it and this Pillow warns
# EPS runs Ghostscript; the others are stubs that need a plugin or another program.
_REFUSED_FORMATS = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}


def find_images(paths: Paths) -> list[Path]:
    """Every image that `paths` name: files as they are, folders searched to the bottom and sorted, globs expanded.

    An array file of several pictures gives a path a picture, `digits.npz#7`, which `read_image` understands.
    Raises InputError when a path does not exist or nothing is found.
    """
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found = [image for path in named for file in _expand(Path(path)) for image in _pictures(file)]
    if not found:
        raise InputError(f"expected images, found none in {', '.join(map(str, named)) or 'an empty list'}")
    return found


def _expand(path: Path) -> list[Path]:
    """One word of the command line as files."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if _looks_like_an_image(file, path))
    if path.exists() or split_reference(path)[1] is not None:
        return [path]
    if glob.has_magic(str(path)):
        return sorted(file for name in glob.glob(str(path), recursive=True) if (file := Path(name)).is_file())  # noqa: PTH207
    raise InputError(f"{path}: expected an image, a folder or a glob, but there is no such file")


def _looks_like_an_image(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.suffix.lower() in image_suffixes() and file.is_file()


@cache
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes that make a file of a folder an image."""
    Image.init()
    readable = {suffix for suffix, name in Image.registered_extensions().items() if name in _formats()}
    return frozenset(readable | ARRAY_SUFFIXES)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(sorted(set(Image.OPEN) - _REFUSED_FORMATS))


def _pictures(file: Path) -> Iterator[Path]:
    """The file itself, or a reference for each picture of an array file."""
    count = None
    if file.suffix.lower() in ARRAY_SUFFIXES:
        try:
            count = _picture_count(_array_header(file))
        except (OSError, ValueError, zipfile.BadZipFile):
            count = None  # broken: named and skipped when it is read
    if count is None:
        yield file
        return
    yield from (file.with_name(f"{file.name}#{index}") for index in range(count))


def split_reference(path: Path) -> tuple[Path, int | None]:
    """`digits.npz#7` -> (digits.npz, 7); any other path -> (path, None)."""
    name, mark, index = path.name.rpartition("#")
    if mark and index.isdecimal() and Path(name).suffix.lower() in ARRAY_SUFFIXES and path.with_name(name).exists():
        return path.with_name(name), int(index)
    return path, None


def read_image(path: str | Path) -> np.ndarray:
    """A picture as [H, W, 3] float32, RGB, 0..255.

    EXIF rotation is applied; transparency is composited over white; an animation gives its first frame; 16-bit grey is
    scaled to 0..255 without rounding (16-bit colour PNGs come from Pillow with 8 bits); CMYK is converted without
    a colour profile.
    Raises InputError when the file is no image, is broken, or claims more pixels than fit.
    """
    return decode(Path(path)).astype(np.float32)


def decode(path: Path) -> np.ndarray:
    """As `read_image`, but uint8 where 8 bits hold the picture."""
    file, index = split_reference(path)
    if file.suffix.lower() in ARRAY_SUFFIXES:
        return as_rgb(picture_of(read_array(file), index or 0, file))
    try:
        return _decode_file(path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: expected an image, but there is no such file") from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, EOFError, their own …
        reason = " ".join(str(error).replace(repr(str(path)), "").split()) or type(error).__name__
        raise InputError(f"{path}: expected an image, but it cannot be read ({reason})") from None


def _decode_file(path: Path) -> np.ndarray:
    with Image.open(path, formats=_formats()) as image:
        if image.width * image.height > _MAX_PIXELS // 2:
            raise InputError(f"{path}: {image.width}x{image.height} pixels are more than an image may have")
        return _pillow_to_rgb(ImageOps.exif_transpose(image))


def _pillow_to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        # I;16 and I hold 16 bits; F holds whatever the file did.
        deep = np.asarray(image)
        return as_rgb(pixel_values(deep) if image.mode == "F" else _sixteen_bits(deep))
    if image.has_transparency_data:
        return _over_white(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def _sixteen_bits(pixels: np.ndarray) -> np.ndarray:
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise ValueError(f"pixels from {low} to {high}: 8 or 16 bits can be shown")
    return pixels.astype(np.float32) / np.float32(257.0)


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:].astype(np.float32) / np.float32(255.0)
    return rgba[..., :3] * alpha + np.float32(255.0) * (1 - alpha)


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """[H, W], [H, W, 1 | 3 | 4] or [1 | 3 | 4, H, W] in 0..255 -> [H, W, 3]."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif pixels.shape[-1] not in _CHANNELS:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.shape[-1] == 4:
        return _over_white(pixels)
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def pixel_values(array: np.ndarray) -> np.ndarray:
    """Numbers of any type as pixels 0..255: uint8 as they are, uint16 divided by 257, booleans as 0 and 255;
    other numbers are 0..1 when none is above 1, else 0..255.

    Raises InputError when there are values outside (such an array is no picture: give it to `Session.run`).
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return _sixteen_bits(array)
    if array.dtype.kind not in "bfiu":
        raise InputError(f"an array of pictures holds numbers, found {array.dtype}")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):
        raise InputError(f"pixels are 0..255 or 0..1, found {low:g}..{high:g} (Session.run takes prepared inputs)")
    unit = np.float32(255.0 if high <= 1 else 1.0)
    return array.astype(np.float32) * unit


def read_array(path: Path) -> np.ndarray:
    """The pictures of an .npy or .npz file, in 0..255; the range is judged over the whole file.

    Raises InputError when the file is broken or holds no picture.
    """
    try:
        _picture_count(_array_header(path))
        return pixel_values(_stored_array(path))
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(f"{path}: expected an array of pictures, but it cannot be read ({error})") from None


def _stored_array(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    with np.load(path, allow_pickle=False) as archive:
        return archive[_image_member(path)]


def _array_header(path: Path) -> tuple[int, ...]:
    """The shape of the pictures, without reading them."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as stream:
            return _npy_shape(stream, path)
    with zipfile.ZipFile(path) as archive, archive.open(f"{_image_member(path)}.npy") as stream:
        return _npy_shape(stream, path)


def _npy_shape(stream: object, path: Path) -> tuple[int, ...]:
    version = np.lib.format.read_magic(stream)  # type: ignore[arg-type]
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(stream)  # type: ignore[arg-type]
    if np.prod(shape, dtype=float) * dtype.itemsize > _MAX_ARRAY_BYTES:
        raise InputError(f"{path}: claims {shape} {dtype}, more than {_MAX_ARRAY_BYTES >> 30} GB")
    return shape


def _image_member(path: Path) -> str:
    """The name of the array of pictures in an .npz: `images`, `image`, `x`, `data`, or the only one of rank 2 to 4."""
    with zipfile.ZipFile(path) as archive:
        ranks = {}
        for name in archive.namelist():
            with archive.open(name) as stream:
                ranks[name.removesuffix(".npy")] = len(_npy_shape(stream, path))
    known = [name for name in _ARRAY_NAMES if ranks.get(name, 0) in (2, 3, 4)]
    fitting = known[:1] or [name for name, rank in ranks.items() if rank in (2, 3, 4)]
    if len(fitting) != 1:
        raise InputError(f"{path}: expected one array of pictures or one called images, found {', '.join(ranks)}")
    return fitting[0]


def _picture_count(shape: tuple[int, ...]) -> int | None:
    """How many pictures an array of this shape holds; None: it is one picture.

    [H, W]; [H, W, C] and [C, H, W] with 1, 3 or 4 channels; else [N, H, W]; [N, H, W, C]; [N, C, H, W].
    """
    if len(shape) == 4 and (shape[-1] in _CHANNELS or shape[1] in _CHANNELS):
        return shape[0]
    if len(shape) == 3 and not (shape[-1] in _CHANNELS or shape[0] in _CHANNELS):
        return shape[0]
    if len(shape) in (2, 3):
        return None
    raise InputError(f"expected pictures as HW, HWC, CHW, NHW, NHWC or NCHW with 1, 3 or 4 channels, found {shape}")


def pictures(array: np.ndarray) -> np.ndarray:
    """An array of one or many pictures as [N, …], one picture an entry.

    Raises InputError when it has no shape of pictures.
    """
    return array[None] if _picture_count(array.shape) is None else array


def picture_of(array: np.ndarray, index: int, path: Path) -> np.ndarray:
    """Picture `index` of the array read from `path`.

    Raises InputError.
    """
    stack = pictures(array)
    if index >= len(stack):
        raise InputError(f"{path}: holds {len(stack)} pictures, there is no number {index}")
    return np.asarray(stack[index])
