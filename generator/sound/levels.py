"""Loudness and peaks: what brings lines, cues and beds to one level."""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from media.timebase import SAMPLE_RATE

__all__ = ["Audio", "gain", "loudness_lufs", "set_loudness"]

Audio = NDArray[np.float32]
"""`(channels, samples) float32 in [-1, 1], 48 kHz`."""

# K-weighting at 48 kHz: ITU-R BS.1770-5, tables 1 and 2.
_SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285],
          [1.0, -1.69065929318241, 0.73248077421585])  # fmt: skip
_HIGHPASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])
_K_WEIGHTING = tuple(np.convolve(a, b) for a, b in zip(_SHELF, _HIGHPASS, strict=True))
_OFFSET_LU = -0.691
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_HOP = SAMPLE_RATE // 10


def loudness_lufs(audio: Audio) -> float:
    """Gated loudness of `(channels, samples)`; -70 for silence (ITU-R BS.1770-5).

    Sounds shorter than one 400 ms block are measured as one block of their own length.
    """
    weighted = scipy.signal.lfilter(*_K_WEIGHTING, audio.astype(np.float64), axis=-1)
    power = np.einsum("cn,cn->n", weighted, weighted)
    hops = len(power) // _HOP
    if hops < 4:
        return max(_lufs(float(power.mean())) if len(power) else -70.0, -70.0)
    means = power[: hops * _HOP].reshape(hops, _HOP).mean(axis=1)
    blocks = np.convolve(means, np.full(4, 0.25), mode="valid")
    loud = blocks[blocks > 10 ** ((_ABSOLUTE_GATE_LUFS - _OFFSET_LU) / 10)]
    if not len(loud):
        return -70.0
    gate = _lufs(float(loud.mean())) + _RELATIVE_GATE_LU
    return _lufs(float(loud[loud > 10 ** ((gate - _OFFSET_LU) / 10)].mean()))


def set_loudness(audio: Audio, lufs: float, peak_dbfs: float = -1.0) -> Audio:
    """`audio` at `lufs`, with peaks bent softly below `peak_dbfs`; silence stays silence."""
    measured = loudness_lufs(audio)
    if measured <= _ABSOLUTE_GATE_LUFS:
        return audio
    return _bend_peaks(audio * np.float32(gain(lufs - measured)), gain(peak_dbfs))


def gain(db: float) -> float:
    """The factor on the amplitude that `db` means."""
    return float(10 ** (db / 20))


def _lufs(power: float) -> float:
    return _OFFSET_LU + 10 * float(np.log10(max(power, 1e-12)))


def _bend_peaks(audio: Audio, ceiling: float) -> Audio:
    """Linear up to 70 % of `ceiling`, then a tanh knee that never passes it."""
    knee = 0.7 * ceiling
    over = np.abs(audio) > knee
    if over.any():
        room = ceiling - knee
        loud = audio[over]
        audio[over] = np.sign(loud) * (knee + room * np.tanh((np.abs(loud) - knee) / room))
    return audio
