"""A request's references as MiniMax-H3 takes them: pictures, movement and voices, in their order.

Limits are the model's own (github.com/MiniMax-AI/MiniMax-H3): clips and sounds of 2 to 15 seconds,
15 seconds of each in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from generator.backends.base import Reference, RenderRequest, RenderTools
from generator.references import fitted, motion_clip, voice_sample
from media.errors import RefusalError, RenderError
from media.image import image_size
from media.probe import probe

__all__ = ["reference_files", "reference_kinds"]

_FPS = 24
_SOUND_RATE = 32_000
_SHORTEST_CLIP_S = 2
_LONGEST_S = 15
_WIDEST = 4
"""Longer side of a picture to its shorter one, at most."""


def reference_files(request: RenderRequest, tools: RenderTools, num_frames: int) -> list[Any]:
    """The references with their media in memory, as `diffusers` has them.

    RenderError for a file that was not handed over, RefusalError for one that cannot be used.
    """
    return [_loaded(reference, request, tools, num_frames) for reference in request.references]


def reference_kinds(request: RenderRequest) -> list[Any]:
    """The references without their media: after encoding, only their kinds are asked for."""
    from diffusers.modular_pipelines import minimax_h3 as h3

    empty = {
        "image": lambda: h3.MiniMaxH3ImageReference(image=None),
        "video": lambda: h3.MiniMaxH3VideoReference(frames=None),
        "audio": lambda: h3.MiniMaxH3AudioReference(audio=None),
    }
    return [empty[reference.kind]() for reference in request.references]


def _loaded(
    reference: Reference, request: RenderRequest, tools: RenderTools, num_frames: int
) -> Any:
    import torch
    from diffusers.modular_pipelines import minimax_h3 as h3
    from PIL import Image

    path = tools.assets.get(reference.sha256)
    if path is None:
        raise RenderError(
            f"the reference {reference.sha256[:12]} was not handed over",
            todo="run the checks on the storyboard again",
        )
    share_s = Fraction(_LONGEST_S, _of_kind(request.references, reference.kind))
    if reference.kind == "image":
        picture = fitted(path, _allowed_shape(image_size(path)), "contain")
        return h3.MiniMaxH3ImageReference(image=Image.fromarray(picture))
    if reference.kind == "audio":
        longest_s = min(share_s, Fraction(num_frames, _FPS))
        voice = voice_sample(path, _SOUND_RATE, float(longest_s))
        return h3.MiniMaxH3AudioReference(audio=torch.from_numpy(voice), sample_rate=_SOUND_RATE)
    start_s = Fraction(str(dict(request.options).get("motion_from.start_s", "0")))
    frames = min(num_frames, int(share_s * _FPS), int((_length_s(path) - start_s) * _FPS))
    if frames < _SHORTEST_CLIP_S * _FPS:
        raise RefusalError(
            f"expected {_SHORTEST_CLIP_S} s of movement or more, found {max(0, frames) / _FPS:.2f}",
            where=path.name,
            todo="begin earlier in the clip, or give a longer one",
        )
    clip = motion_clip(path, Fraction(_FPS), frames, request.size, start_s)
    return h3.MiniMaxH3VideoReference(frames=clip, fps=float(_FPS))


def _of_kind(references: Sequence[Reference], kind: str) -> int:
    return sum(reference.kind == kind for reference in references)


def _length_s(path: Path) -> Fraction:
    return Fraction(probe(path).duration_s)


def _allowed_shape(size: tuple[int, int]) -> tuple[int, int]:
    """The size, or with a band beside the picture where its sides are further apart than 4:1."""
    width, height = size
    return max(width, -(-height // _WIDEST)), max(height, -(-width // _WIDEST))
