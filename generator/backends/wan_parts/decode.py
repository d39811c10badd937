"""Wan's causal VAE, latent frame by latent frame: the same pixels as at once, in flat memory.

The decoder's causal convolutions look back at features of the frames before. diffusers hands
those on from one latent frame to the next but keeps every decoded frame until the last
(`AutoencoderKLWan._decode`); here each is given out and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from generator.backends.base import Frames
from generator.local.clips import frames_from_unit

__all__ = ["stream_frames"]

Features = list[Any]
"""What the decoder's convolutions remember: tensors, None, or the word that stands for a first
chunk."""


def stream_frames(vae: Any, latents: Any, device: str, *, tiled: bool = False) -> Iterator[Frames]:
    """Frames of `latents` `(1, channels, frames, h, w)` on the CPU, 1 and then 4 at a time.

    Each chunk is `(frames, height, width, 3) uint8 RGB`. With `tiled` a frame is decoded in
    overlapping tiles whose features wait in main memory: slower, and small on the device.
    """
    import torch

    decode = _by_tiles(vae, latents.shape[-2:]) if tiled else _whole(vae)
    for index in range(latents.shape[2]):
        # Not around the yield: the mode would leak into whoever reads the frames.
        with torch.inference_mode():
            latent = latents[:, :, index : index + 1].to(device, vae.dtype)
            pixels = decode(_unscaled(vae, latent), index == 0)
            frames = frames_from_unit(pixels * 0.5 + 0.5)
        yield frames


def _unscaled(vae: Any, latents: Any) -> Any:
    """As the VAE made them, in the pipelines' own order of operations."""
    import torch

    shape = (1, vae.config.z_dim, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean).view(shape).to(latents.device, latents.dtype)
    scale = 1.0 / torch.tensor(vae.config.latents_std).view(shape).to(latents.device, latents.dtype)
    return latents / scale + mean


def _whole(vae: Any) -> Callable[[Any, bool], Any]:
    """Decodes one latent frame after the other, `(1, 3, frames, height, width)` in [-1, 1]."""
    features = _no_features(vae)

    def decode(latent: Any, first: bool) -> Any:
        return _finished(vae, _decoded(vae, latent, features, first))

    return decode


def _by_tiles(vae: Any, latent_size: tuple[int, int]) -> Callable[[Any, bool], Any]:
    """The same by tiles, as `AutoencoderKLWan.tiled_decode` cuts and blends them."""
    import torch

    patch = vae.config.patch_size or 1
    ratio = vae.spatial_compression_ratio
    height, width = latent_size
    tall, wide = vae.tile_sample_min_height // ratio, vae.tile_sample_min_width // ratio
    down, right = vae.tile_sample_stride_height // ratio, vae.tile_sample_stride_width // ratio
    kept = (vae.tile_sample_stride_height // patch, vae.tile_sample_stride_width // patch)
    blend = (
        vae.tile_sample_min_height // patch - kept[0],
        vae.tile_sample_min_width // patch - kept[1],
    )
    tops, lefts = range(0, height, down), range(0, width, right)
    memory = {(top, left): _no_features(vae) for top in tops for left in lefts}

    def decode(latent: Any, first: bool) -> Any:
        rows: list[list[Any]] = []
        for top in tops:
            row = []
            for left in lefts:
                features = _moved(memory[top, left], latent.device)
                tile = latent[..., top : top + tall, left : left + wide]
                row.append(_decoded(vae, tile, features, first))
                memory[top, left] = _moved(features, "cpu")
            rows.append(row)
        lines = []
        for y, row in enumerate(rows):
            line = []
            for x, tile in enumerate(row):
                if y > 0:
                    tile = vae.blend_v(rows[y - 1][x], tile, blend[0])
                if x > 0:
                    tile = vae.blend_h(row[x - 1], tile, blend[1])
                line.append(tile[..., : kept[0], : kept[1]])
            lines.append(torch.cat(line, dim=-1))
        size = (height * ratio // patch, width * ratio // patch)
        return _finished(vae, torch.cat(lines, dim=3)[..., : size[0], : size[1]])

    return decode


def _decoded(vae: Any, latent: Any, features: Features, first: bool) -> Any:
    """One latent frame through the decoder; `features` are read and replaced."""
    return vae.decoder(
        vae.post_quant_conv(latent), feat_cache=features, feat_idx=[0], first_chunk=first
    )


def _finished(vae: Any, pixels: Any) -> Any:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl_wan import unpatchify

    if vae.config.patch_size is not None:
        pixels = unpatchify(pixels, patch_size=vae.config.patch_size)
    return torch.clamp(pixels, min=-1.0, max=1.0)


def _no_features(vae: Any) -> Features:
    """One place for each causal convolution of the decoder (`AutoencoderKLWan.clear_cache`)."""
    from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

    return [None] * sum(isinstance(module, WanCausalConv3d) for module in vae.decoder.modules())


def _moved(features: Features, device: Any) -> Features:
    return [one.to(device) if hasattr(one, "to") else one for one in features]
