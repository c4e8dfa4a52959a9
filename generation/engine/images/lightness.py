"""Colour a grey picture: its lightness stays exact, and the colours are those of another picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def _decoded(levels: NDArray[np.floating]) -> Floats:
    """Return the light of values from 0 to 255 in sRGB (IEC 61966-2-1)."""
    values = levels.clip(0) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)


_MAX_ERROR = 0.25  # of a level; what rounding the channels adds beyond that is corrected
_LIGHT = _decoded(np.arange(256.0))
_LOWEST, _HIGHEST = _decoded(np.arange(256) - _MAX_ERROR), _decoded(np.arange(256) + _MAX_ERROR)  # of each level
_BETWEEN = _decoded(np.arange(255) + 0.5)  # the light between two levels
# The matrix to XYZ, relative to its white.
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_TO_XYZ = (_TO_XYZ / _TO_XYZ.sum(1, keepdims=True)).astype(np.float32)
_FROM_XYZ = np.linalg.inv(_TO_XYZ.astype(np.float64)).astype(np.float32)
_LINEAR_BELOW = 6 / 29  # of CIELAB's compressed values
_NUDGES = np.array([-1, 0, 1], np.int16)


def lightness_of(pixels: Bytes) -> Bytes:
    """Return for each RGB pixel the grey that is as light, in 8 bits; grey pixels stay as they are."""
    return np.searchsorted(_BETWEEN, _luminance(_LIGHT[pixels])).astype(np.uint8)


def as_grey(levels: Bytes) -> Bytes:
    """Return levels as RGB pixels."""
    return np.repeat(levels[..., None], 3, axis=-1)


def with_lightness(drawn: Bytes, levels: Bytes) -> Bytes:
    """Return the colours of `drawn` (…×3) with the lightness `levels`: `lightness_of` the result is exactly those.

    The colours keep a and b of CIELAB. Those that a screen cannot show at this lightness are less saturated.
    """
    light = _LIGHT[levels][..., None]
    result = np.rint(255 * _encode(_within_gamut(_with_luminance(_LIGHT[drawn], light), light))).astype(np.uint8)
    luminance = _luminance(_LIGHT[result])
    wrong = (luminance < _LOWEST[levels]) | (luminance > _HIGHEST[levels])
    result[wrong] = _corrected(result[wrong], levels[wrong])
    return result


def _luminance(light: Floats) -> Floats:
    luminance: Floats = light @ _TO_XYZ[1]
    return luminance


def _encode(light: Floats) -> Floats:
    encoded: Floats = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    return encoded.clip(0, 1)


def _with_luminance(colours: Floats, luminance: Floats) -> Floats:
    """Return light of the same a and b with another luminance; some of it may be below 0 or above 1."""
    compressed = _compress(colours @ _TO_XYZ.T)
    compressed += _compress(luminance) - compressed[..., 1:2]
    linear: Floats = _expand(compressed) @ _FROM_XYZ.T
    return linear


def _compress(values: Floats) -> Floats:
    low = values <= _LINEAR_BELOW**3
    compressed: Floats = np.where(low, values / (3 * _LINEAR_BELOW**2) + 4 / 29, np.cbrt(values))
    return compressed


def _expand(values: Floats) -> Floats:
    low = values <= _LINEAR_BELOW
    expanded: Floats = np.where(low, (values - 4 / 29) * (3 * _LINEAR_BELOW**2), values**3)
    return expanded


def _within_gamut(colours: Floats, luminance: Floats) -> Floats:
    """Mix colours with the grey of their luminance, as little as brings them between 0 and 1."""
    away = colours - luminance
    room = np.where(away > 0, 1 - luminance, luminance)
    share = (room / np.maximum(np.abs(away), 1e-9)).min(-1, keepdims=True).clip(0, 1)
    mixed: Floats = (luminance + share * away).clip(0, 1)
    return mixed


def _corrected(pixels: Bytes, levels: Bytes) -> Bytes:
    """Return pixels with each channel changed by at most 1, so that they are as light as their level, or grey."""
    nudged = (pixels[..., None].astype(np.int16) + _NUDGES).clip(0, 255)
    red, green, blue = np.moveaxis(_LIGHT[nudged] * _TO_XYZ[1][:, None], 1, 0)
    luminance = red[:, :, None, None] + green[:, None, :, None] + blue[:, None, None, :]
    best = np.abs(luminance - _LIGHT[levels][:, None, None, None]).reshape(len(pixels), _NUDGES.size**3).argmin(1)
    places = np.stack(np.unravel_index(best, luminance.shape[1:]), 1)
    result = np.take_along_axis(nudged, places[..., None], 2)[..., 0].astype(np.uint8)
    is_exact = lightness_of(result) == levels
    return np.where(is_exact[:, None], result, as_grey(levels))
