"""Wan's streaming decode: the pixels of decoding at once, in memory that does not grow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from local_takes import held_bytes

from generator.backends.wan_parts.decode import stream_frames
from tests.generator.local.tiny_wan import tiny_vae, tiny_wide_vae

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def latents_of(vae: Any, num_frames: int, height: int = 6, width: int = 8) -> Any:
    shape = (1, vae.config.z_dim, (num_frames - 1) // 4 + 1, height, width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def at_once(vae: Any, latents: Any) -> Any:
    """As the pipelines decode: `(frames, height, width, 3) uint8 RGB`."""
    shape = (1, vae.config.z_dim, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean).view(shape)
    scale = 1.0 / torch.tensor(vae.config.latents_std).view(shape)
    with torch.no_grad():
        video = vae.decode(latents / scale + mean, return_dict=False)[0]
    unit = (video[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 3, 0).numpy()
    return (unit * 255).round().astype(np.uint8)


@pytest.mark.parametrize("make", [tiny_vae, tiny_wide_vae])
@pytest.mark.parametrize("num_frames", [1, 5, 33])
def test_equals_decoding_at_once_to_the_bit(make: Any, num_frames: int) -> None:
    torch.manual_seed(0)
    vae = make()
    latents = latents_of(vae, num_frames)
    chunks = list(stream_frames(vae, latents, "cpu"))
    assert [len(chunk) for chunk in chunks] == [1] + [4] * (len(chunks) - 1)
    assert np.array_equal(np.concatenate(chunks), at_once(vae, latents))


@pytest.mark.parametrize("make", [tiny_vae, tiny_wide_vae])
def test_tiles_equal_the_vaes_own(make: Any) -> None:
    torch.manual_seed(0)
    vae = make()
    ratio = vae.config.scale_factor_spatial
    vae.enable_tiling(4 * ratio, 4 * ratio, 2 * ratio, 2 * ratio)
    latents = latents_of(vae, 9)
    tiled = np.concatenate(list(stream_frames(vae, latents, "cpu", tiled=True)))
    assert np.array_equal(tiled, at_once(vae, latents))
    vae.disable_tiling()
    assert not np.array_equal(tiled, at_once(vae, latents))


def test_two_decodings_beside_each_other_do_not_meet() -> None:
    torch.manual_seed(0)
    vae = tiny_vae()
    one, other = latents_of(vae, 9), latents_of(vae, 9) * 0.5
    both = zip(stream_frames(vae, one, "cpu"), stream_frames(vae, other, "cpu"), strict=True)
    seen = [np.concatenate(chunks) for chunks in zip(*both, strict=True)]
    assert np.array_equal(seen[0], at_once(vae, one))
    assert np.array_equal(seen[1], at_once(vae, other))


def test_memory_is_the_same_for_33_and_321_frames() -> None:
    torch.manual_seed(0)
    vae = tiny_vae()
    short, long = (most_held(vae, latents_of(vae, count)) for count in (33, 321))
    assert short > 0
    assert long == short


def most_held(vae: Any, latents: Any) -> int:
    """Bytes of the tensors that the decoding keeps alive between two chunks, at most."""
    most = 0
    gc.collect()
    # What is there already is not looked at again and again.
    gc.freeze()
    try:
        for chunk in stream_frames(vae, latents, "cpu"):
            del chunk
            most = max(most, held_bytes(besides=latents))
    finally:
        gc.unfreeze()
    return most
