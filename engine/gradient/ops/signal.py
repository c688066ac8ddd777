"""Fourier transforms and windows. Complex numbers are pairs along a last axis of length 2."""

from __future__ import annotations

import math

import torch

from ....importers.errors import InputError
from . import operator

_MEL_FACTOR, _MEL_KNEE = 2595.0, 700.0  # Hz; mel(f) = 2595 log10(1 + f / 700)


@operator("DFT", since=20)
def dft(
    x: torch.Tensor,  # [..., 1] or [..., 2]
    length: torch.Tensor | None = None,
    axis: torch.Tensor | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> torch.Tensor:
    return _dft(x, _number(length), -2 if axis is None else int(axis), bool(inverse), bool(onesided))


@operator("DFT")
def dft_by_attribute(
    x: torch.Tensor, length: torch.Tensor | None = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> torch.Tensor:
    return _dft(x, _number(length), axis, bool(inverse), bool(onesided))


@operator("STFT")
def stft(
    x: torch.Tensor,  # [N, length, 1] or [N, length, 2]
    step: torch.Tensor,
    window: torch.Tensor | None = None,  # [frame length]
    frame_length: torch.Tensor | None = None,
    *,
    onesided: int = 1,
) -> torch.Tensor:  # [N, frames, frequencies, 2]
    length = _number(frame_length) or (x.shape[1] if window is None else len(window))
    frames = x.unfold(1, length, int(step)).transpose(2, 3)  # [N, frames, length, 1 or 2]
    frames = frames if window is None else frames * window[:, None]
    return _dft(frames, None, 2, False, bool(onesided))


def _number(x: torch.Tensor | None) -> int | None:
    return None if x is None else int(x)


def _dft(x: torch.Tensor, length: int | None, axis: int, inverse: bool, onesided: bool) -> torch.Tensor:
    axis %= x.dim()
    precise = x.to(torch.promote_types(x.dtype, torch.float32))  # torch transforms no shorter floats on a CPU
    signal = precise[..., 0] if x.shape[-1] == 1 else torch.view_as_complex(precise.contiguous())
    if inverse and onesided:
        return torch.fft.irfft(signal, length, axis).unsqueeze(-1).to(x.dtype)
    if onesided and signal.is_complex():
        raise InputError("a one-sided transform of complex numbers: expected real numbers, or onesided = 0")
    transform = torch.fft.ifft if inverse else torch.fft.rfft if onesided else torch.fft.fft
    return torch.view_as_real(transform(signal, length, axis).resolve_conj()).to(x.dtype)


# -- windows ---


@operator("HannWindow")
def hann_window(size: torch.Tensor, *, output_datatype: torch.dtype = torch.float32, periodic: int = 1) -> torch.Tensor:
    return _window(size, bool(periodic), 0.5, 0.5).to(output_datatype)


@operator("HammingWindow")
def hamming_window(
    size: torch.Tensor, *, output_datatype: torch.dtype = torch.float32, periodic: int = 1
) -> torch.Tensor:
    return _window(size, bool(periodic), 25 / 46, 21 / 46).to(output_datatype)


@operator("BlackmanWindow")
def blackman_window(
    size: torch.Tensor, *, output_datatype: torch.dtype = torch.float32, periodic: int = 1
) -> torch.Tensor:
    return _window(size, bool(periodic), 0.42, 0.5, 0.08).to(output_datatype)


def _window(size: torch.Tensor, periodic: bool, *weights: float) -> torch.Tensor:
    """A sum of cosines of alternating sign."""
    count = int(size)
    phase = 2 * math.pi * torch.arange(count, dtype=torch.float64, device=size.device) / (count - (not periodic))
    terms = [(-1) ** order * weight * torch.cos(order * phase) for order, weight in enumerate(weights)]
    return torch.stack(terms).sum(0)


@operator("MelWeightMatrix")
def mel_weight_matrix(
    bins: torch.Tensor,
    dft_length: torch.Tensor,
    sample_rate: torch.Tensor,  # Hz
    low: torch.Tensor,  # Hz
    high: torch.Tensor,  # Hz
    *,
    output_datatype: torch.dtype = torch.float32,
) -> torch.Tensor:  # [dft_length // 2 + 1, bins]
    """Triangles of height 1, evenly spaced on the mel scale, over the frequencies of a one-sided transform."""
    corners = _mel_corners(int(bins), int(dft_length), int(sample_rate), float(low), float(high)).to(bins.device)
    left, top, right = corners[:-2], corners[1:-1], corners[2:]
    place = torch.arange(int(dft_length) // 2 + 1, device=bins.device)[:, None]
    rising = torch.where(top > left, (place - left) / (top - left), 1.0) * ((place >= left) & (place <= top))
    falling = (right - place) / (right - top)
    return torch.where((place >= top) & (place < right), falling, rising).to(output_datatype)


def _mel_corners(bins: int, dft_length: int, sample_rate: int, low: float, high: float) -> torch.Tensor:
    first, last = (_MEL_FACTOR * math.log10(1 + hertz / _MEL_KNEE) for hertz in (low, high))
    mel = torch.arange(bins + 2, dtype=torch.float64) * (last - first) / (bins + 2) + first
    hertz = _MEL_KNEE * (10 ** (mel / _MEL_FACTOR) - 1)
    return torch.floor((dft_length + 1) * hertz / sample_rate).long()
