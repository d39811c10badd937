"""Latents into frames a few at a time, bit for bit what the decoder makes of them at once.

`LTX2VideoDecoder3d` (diffusers, models/autoencoders/autoencoder_kl_ltx2.py) mixes frames in one
place only: its convolutions over time. Each is given the frames that it still needs from before,
and the clip's ends are padded as the model pads them, so no tile overlaps another and nothing is
blended. A causal convolution looks back; the others (LTX-2.0 to 2.5) also look ahead by half a
kernel and answer that much later, while the branches beside them wait in a queue.

Memory: a few frames of activations at every layer, however long the clip is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from media.errors import RenderError

__all__ = ["steady_decoder", "stream_decode"]

_LATENTS_AT_ONCE = 2
"""Latent frames that are handed to the first layer together."""

_FRAMES_AT_ONCE = 8
"""Most frames that one layer works on at a time, at any rate: one latent's worth at the last."""


def steady_decoder(vae: Any) -> Any:
    """`vae`, whose decoder now says the same of a frame whatever else it is given.

    torch, oneDNN and cuDNN round by the shape of what they are given: another number of frames is
    another algorithm, another order of a sum, another end of a vector loop. So every layer that
    rounds by shape works on one frame at a time (a convolution on the three that it needs),
    always in the same layout. Call it before the weights are placed: hooks that move weights then
    move them once for all frames. RenderError for a decoder that draws noise or reads a timestep:
    what it makes depends on the chunks.
    """
    import torch

    config = vae.config
    noisy = config.decoder_inject_noise
    if config.timestep_conditioning or (any(noisy) if isinstance(noisy, list | tuple) else noisy):
        raise RenderError(
            "the video decoder injects noise or is conditioned on a timestep; LTX-2, 2.3 and 2.5 "
            "do neither",
            todo="configure an unchanged LTX-2 folder",
        )
    for module in vae.decoder.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.forward = partial(_by_frame, module.forward, module.kernel_size[0] - 1)
        elif isinstance(module, torch.nn.SiLU) or type(module).__name__ == "PerChannelRMSNorm":
            module.forward = partial(_by_frame, module.forward, 0)
    return vae


def stream_decode(vae: Any, latents: Any, device: str = "") -> Iterator[Any]:
    """Chunks `(1, 3, frames, height, width)` in about [-1, 1], at most 8 frames each.

    `vae` is a steady decoder. `latents` is `(1, channels, frames, height, width)`, denormalised,
    as the pipelines return it for `output_type="latent"`; it may be on another device than
    `device`, where the decoder computes (by default where its weights are, unless they are
    offloaded). Equal to `vae.decode(latents).sample` bit for bit.
    """
    import torch

    stages = _stages_of(vae.decoder)
    num_latents = latents.shape[2]
    for start in range(0, num_latents, _LATENTS_AT_ONCE):
        piece = latents[:, :, start : start + _LATENTS_AT_ONCE].to(device or vae.device, vae.dtype)
        made = _through(stages, piece, start + _LATENTS_AT_ONCE >= num_latents)
        while True:
            # Entered for each chunk: a generator must not keep gradients off while it waits.
            with torch.no_grad():
                frames = next(made, None)
            if frames is None:
                break
            yield _unpatched(frames, vae.decoder.patch_size, vae.decoder.patch_size_t)


class _Stage(Protocol):
    """One layer with a memory. `frames` may be None, which stands for none."""

    def push(self, frames: Any, last: bool) -> Any:
        """What can be said of the frames so far; after `last` the layer starts afresh."""


def _through(stages: Sequence[_Stage], frames: Any, last: bool) -> Iterator[Any]:
    """`frames` sent through all stages, depth first, so that no layer ever holds many."""
    if not stages:
        if frames is not None:
            yield frames
        return
    made = stages[0].push(frames, last)
    if made is None:
        if last:
            yield from _through(stages[1:], None, True)
        return
    pieces = made.split(_FRAMES_AT_ONCE, dim=2)
    for index, piece in enumerate(pieces):
        yield from _through(stages[1:], piece, last and index == len(pieces) - 1)


def _stages_of(decoder: Any) -> list[_Stage]:
    causal = bool(decoder.is_causal)
    stages: list[_Stage] = [_Convolution(decoder.conv_in, causal)]
    stages += [_Resnet(resnet, causal) for resnet in decoder.mid_block.resnets]
    for block in decoder.up_blocks:
        if block.conv_in is not None:
            stages.append(_Resnet(block.conv_in, causal))
        stages += [_Upsampler(one, causal) for one in block.upsamplers or ()]
        stages += [_Resnet(resnet, causal) for resnet in block.resnets]
    stages.append(_Head(decoder, causal))
    return stages


class _Convolution:
    """`LTX2VideoCausalConv3d` over a stream: stride and dilation in time are 1 in the decoder."""

    def __init__(self, module: Any, causal: bool) -> None:
        self._conv = module.conv
        self._reach = module.kernel_size[0] - 1
        self._ahead = 0 if causal else self._reach // 2
        self._past: Any = None

    def push(self, frames: Any, last: bool) -> Any:
        import torch

        parts = []
        if self._past is not None:
            parts.append(self._past)
        elif frames is not None:
            # The clip's first frame stands for those before it.
            parts.append(frames[:, :, :1].repeat(1, 1, self._reach - self._ahead, 1, 1))
        if frames is not None:
            parts.append(frames)
        if last and self._ahead:
            parts.append(parts[-1][:, :, -1:].repeat(1, 1, self._ahead, 1, 1))
        known = torch.cat(parts, dim=2)
        self._past = None if last else known[:, :, known.shape[2] - self._reach :]
        if known.shape[2] <= self._reach:
            self._past = None if last else known
            return None
        return self._conv(known)


class _Waiting:
    """Frames of a side branch, kept until the main one has caught up."""

    def __init__(self) -> None:
        self._frames: Any = None

    def push(self, frames: Any) -> None:
        import torch

        if frames is not None:
            held = self._frames
            self._frames = frames if held is None else torch.cat([held, frames], dim=2)

    def pop(self, count: int) -> Any:
        """The first `count` frames."""
        first, rest = self._frames[:, :, :count], self._frames[:, :, count:]
        self._frames = rest if rest.shape[2] else None
        return first


class _Resnet:
    """`LTX2VideoResnetBlock3d` without noise and timestep."""

    def __init__(self, module: Any, causal: bool) -> None:
        self._module = module
        self._first = _Convolution(module.conv1, causal)
        self._second = _Convolution(module.conv2, causal)
        self._beside = _Waiting()

    def push(self, frames: Any, last: bool) -> Any:
        module = self._module
        self._beside.push(frames)
        if frames is not None:
            frames = module.nonlinearity(module.norm1(frames))
        frames = self._first.push(frames, last)
        if frames is not None:
            frames = module.dropout(module.nonlinearity(module.norm2(frames)))
        elif not last:
            return None
        frames = self._second.push(frames, last)
        if frames is None:
            return None
        beside = self._beside.pop(frames.shape[2])
        if module.norm3 is not None:
            beside = module.norm3(beside.movedim(1, -1)).movedim(-1, 1)
        if module.conv_shortcut is not None:
            beside = module.conv_shortcut(beside)
        return frames + beside


class _Upsampler:
    """`LTX2VideoUpsampler3d`: channels into frames, rows and columns."""

    def __init__(self, module: Any, causal: bool) -> None:
        self._module = module
        self._conv = _Convolution(module.conv, causal)
        self._beside = _Waiting()
        self._begun = False

    def push(self, frames: Any, last: bool) -> Any:
        module = self._module
        if module.residual:
            self._beside.push(frames)
        made = self._conv.push(frames, last)
        if made is None:
            return None
        spread = _spread(made, module.stride)
        if module.residual:
            beside = _spread(self._beside.pop(made.shape[2]), module.stride)
            repeats = module.stride[0] * module.stride[1] * module.stride[2]
            spread = spread + beside.repeat(1, repeats // module.upscale_factor, 1, 1, 1)
        # A clip's first latent is one frame: what is made before it falls away.
        surplus = 0 if self._begun else module.stride[0] - 1
        self._begun = not last
        return spread[:, :, surplus:]


class _Head:
    """The decoder's last norm, activation and convolution."""

    def __init__(self, decoder: Any, causal: bool) -> None:
        self._decoder = decoder
        self._conv = _Convolution(decoder.conv_out, causal)

    def push(self, frames: Any, last: bool) -> Any:
        if frames is not None:
            frames = self._decoder.conv_act(self._decoder.norm_out(frames))
        return self._conv.push(frames, last)


def _by_frame(inner: Callable[[Any], Any], reach: int, frames: Any) -> Any:
    """`inner` of each frame and the `reach` after it, `(1, channels, frames - reach, …)`."""
    import torch

    count = frames.shape[2] - reach
    made = [inner(frames[:, :, at : at + reach + 1].contiguous()) for at in range(count)]
    return torch.cat(made, dim=2)


def _spread(frames: Any, stride: Sequence[int]) -> Any:
    """`(1, channels * t * h * w, frames, …)` as `(1, channels, frames * t, … * h, … * w)`."""
    batch, _, count, height, width = frames.shape
    split = frames.reshape(batch, -1, *stride, count, height, width)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _unpatched(frames: Any, patch: int, patch_t: int) -> Any:
    """The decoder's channels as pixels, `(1, 3, frames, height, width)`."""
    batch, _, count, height, width = frames.shape
    split = frames.reshape(batch, -1, patch_t, patch, patch, count, height, width)
    return split.permute(0, 1, 5, 2, 6, 4, 7, 3).flatten(6, 7).flatten(4, 5).flatten(2, 3)
