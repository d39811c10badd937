"""A look-ahead limiter as one gain curve for the whole film, so that stems can follow the mix.

True peaks are estimated by four-fold oversampling (ITU-R BS.1770-5, annex 2), only where the
samples come near the ceiling. The curve is straight in decibels: down before a peak, held, and
up again after it; because it is a minimum over peaks, nothing that was measured passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from numpy.typing import NDArray

from editor.sound_files import BLOCK_SAMPLES, Block, SoundReader, SoundWriter
from media.timebase import SAMPLE_RATE

__all__ = ["HOP", "GainCurve", "apply_curve", "hop_peaks_db", "limit"]

HOP = SAMPLE_RATE // 500
"""Samples for one value of the curve, 2 ms."""

ATTACK_DB_PER_S = 1500.0
"""Down 6 dB in 4 ms: soft enough to add no click, too short to hear as a dip."""
RELEASE_DB_PER_S = 60.0
"""Up 6 dB in 100 ms: no pumping in speech, no breathing in music."""

_OVERSAMPLE = 4
_TAPS = 12
_CHUNK_HOPS = 25
_NEAR_DB = 4.0
"""A true peak stands above its samples by less than this in all but made-up signals."""

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GainCurve:
    """Decibels for the whole film plus a reduction every HOP samples (0 or less)."""

    gain_db: float
    reduction_db: F32

    @property
    def limits(self) -> bool:
        """Whether anything is held down."""
        return bool(self.reduction_db.any())

    def factors(self, start: int, num_samples: int) -> F32:
        """`(num_samples,) float32` for film samples from `start`."""
        first = max(start // HOP - 1, 0)
        last = min((start + num_samples) // HOP + 2, len(self.reduction_db))
        reduction = self.reduction_db[first:last]
        if not reduction.any():
            return np.full(num_samples, 10 ** (self.gain_db / 20), np.float32)
        centres = (np.arange(first, last) + 0.5) * HOP
        at = np.arange(start, start + num_samples) + 0.5
        steps = 10 ** ((self.gain_db + reduction) / 20)
        return np.asarray(np.interp(at, centres, steps), np.float32)


def hop_peaks_db(path: Path, ceiling_db: float) -> F32:
    """`(hops,) float32`: the true peak of every HOP samples of a file, in dBTP.

    Exact sample peaks, oversampled where they come within 4 dB of `ceiling_db`.
    """
    peaks: list[F32] = []
    with SoundReader(path) as reader:
        for start in range(0, reader.num_samples, BLOCK_SAMPLES):
            block = reader.read(start, BLOCK_SAMPLES)
            peaks.append(_block_peaks(block, 10 ** ((ceiling_db - _NEAR_DB) / 20)))
    peak = np.concatenate(peaks) if peaks else np.zeros(0, np.float32)
    return np.asarray(20 * np.log10(np.maximum(peak, 1e-9)), np.float32)


def limit(peaks_db: F32, gain_db: float, ceiling_db: float) -> GainCurve:
    """The curve that brings the peaks, raised by `gain_db`, under `ceiling_db`."""
    wanted = np.minimum(ceiling_db - (peaks_db + gain_db), 0.0)
    if not wanted.any():
        return GainCurve(gain_db, np.zeros(len(peaks_db), np.float32))
    # Between two values the curve is interpolated, so a peak's neighbours are held down too.
    padded = np.pad(wanted, 1, mode="edge")
    held = np.minimum(np.minimum(padded[:-2], padded[2:]), wanted)
    steps = np.arange(len(held)) * (HOP / SAMPLE_RATE)
    up, down = RELEASE_DB_PER_S * steps, ATTACK_DB_PER_S * steps
    release = np.minimum.accumulate(held - up) + up
    attack = (np.minimum.accumulate((held + down)[::-1])[::-1]) - down
    return GainCurve(gain_db, np.asarray(np.minimum(release, attack), np.float32))


def apply_curve(source: Path, target: Path, curve: GainCurve) -> None:
    """Write `source` with the curve applied; the two may be the same file."""
    with SoundReader(source) as reader, SoundWriter(target, reader.num_samples) as writer:
        for start in range(0, reader.num_samples, BLOCK_SAMPLES):
            block = reader.read(start, BLOCK_SAMPLES)
            writer.write(block * curve.factors(start, len(block))[:, np.newaxis])


def _block_peaks(block: Block, near: float) -> F32:
    hops = -(-len(block) // HOP)
    level = np.zeros(hops * HOP, np.float32)
    np.max(np.abs(block), axis=1, out=level[: len(block)])
    peaks = level.reshape(hops, HOP).max(axis=1)
    chunks = [
        chunk
        for chunk in range(0, hops, _CHUNK_HOPS)
        if peaks[chunk : chunk + _CHUNK_HOPS].max() > near
    ]
    for chunk in chunks:
        last = min(chunk + _CHUNK_HOPS, hops)
        between = _between_samples(block, chunk * HOP, last * HOP)
        peaks[chunk:last] = np.maximum(peaks[chunk:last], between)
    return np.asarray(peaks, np.float32)


def _between_samples(block: Block, start: int, stop: int) -> F32:
    """Peaks of each hop in [start, stop) after oversampling."""
    padded = np.zeros((stop - start + 2 * _TAPS, 2), np.float32)
    begin, end = max(start - _TAPS, 0), min(stop + _TAPS, len(block))
    padded[begin - start + _TAPS : end - start + _TAPS] = block[begin:end]
    fine = np.abs(scipy.signal.upfirdn(_interpolator(), padded, up=_OVERSAMPLE, axis=0)).max(axis=1)
    # The filter delays by half its length; then the padding goes.
    delay = _TAPS * _OVERSAMPLE // 2 + _TAPS * _OVERSAMPLE
    fine = fine[delay : delay + (stop - start) * _OVERSAMPLE]
    return np.asarray(fine.reshape(-1, HOP * _OVERSAMPLE).max(axis=1), np.float32)


def _interpolator() -> F32:
    """Low-pass at the old Nyquist frequency, 12 taps a phase as in BS.1770's own."""
    taps = scipy.signal.firwin(_TAPS * _OVERSAMPLE + 1, 1 / _OVERSAMPLE, window=("kaiser", 5.0))
    return np.asarray(taps * _OVERSAMPLE, np.float32)
