"""How MiniMax-H3's text encoder sees pictures and clips: patches for Qwen3-VL, without torchvision.

Its own processor needs torchvision for clips and cannot be made without. Pictures go through the
Pillow version of the same image processor. A clip's frames go through it too, and each pair is
merged into one patch in time, as Qwen3-VL's video processor does it; only the resampling is
Pillow's instead of torchvision's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Eyes", "load_eyes"]

_CLIP_PIXELS = {"shortest_edge": 128 * 32 * 32, "longest_edge": 768 * 32 * 32}
"""Least and most pixels of a whole clip, where the processor's folder says nothing else
(`Qwen3VLVideoProcessor.size`)."""


@dataclass(frozen=True, slots=True)
class Eyes:
    """What the blocks of H3 ask of a `Qwen3VLProcessor`."""

    image_processor: Any
    video_processor: ClipPatches
    image_token_id: int
    video_token_id: int

    def create_mm_token_type_ids(self, token_ids: list[list[int]]) -> list[list[int]]:
        """For each token 1 where a picture stands, 2 where a clip, 0 for words."""
        kinds = {self.image_token_id: 1, self.video_token_id: 2}
        return [[kinds.get(token, 0) for token in sequence] for sequence in token_ids]


@dataclass(frozen=True, slots=True)
class ClipPatches:
    """Clips as Qwen3-VL's video processor makes them of sampled frames."""

    image_processor: Any
    size: dict[str, int]

    @property
    def temporal_patch_size(self) -> int:
        """Frames in one patch."""
        return int(self.image_processor.temporal_patch_size)

    def __call__(
        self, videos: Sequence[np.ndarray], do_sample_frames: bool, return_tensors: str
    ) -> dict[str, Any]:
        """`pixel_values_videos` and `video_grid_thw` of clips `(frames, h, w, 3) uint8`."""
        import torch

        patches, grids = zip(*(self._patches(video) for video in videos), strict=True)
        return {
            "pixel_values_videos": torch.from_numpy(np.concatenate(patches)),
            "video_grid_thw": torch.tensor(grids, dtype=torch.long),
        }

    def _patches(self, video: np.ndarray) -> tuple[np.ndarray, list[int]]:
        from PIL import Image
        from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize

        eyes, merged = self.image_processor, self.temporal_patch_size
        height, width = smart_resize(
            num_frames=len(video),
            height=video.shape[1],
            width=video.shape[2],
            temporal_factor=merged,
            factor=eyes.patch_size * eyes.merge_size,
            min_pixels=self.size["shortest_edge"],
            max_pixels=self.size["longest_edge"],
        )
        whole = [*video, *[video[-1]] * (-len(video) % merged)]
        resized = [
            Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
            for frame in whole
        ]
        seen = eyes(images=resized, do_resize=False, return_tensors="np")
        rows, columns = (int(count) for count in seen["image_grid_thw"][0][1:])
        # Each frame came out as a patch in time of that frame alone: (channels, time, p, p).
        alone = seen["pixel_values"].reshape(
            len(whole) // merged, merged, rows * columns, 3, merged, eyes.patch_size**2
        )
        together = np.stack([alone[:, at, :, :, at] for at in range(merged)], axis=3)
        flat = together.reshape(-1, 3 * merged * eyes.patch_size**2)
        return np.ascontiguousarray(flat, np.float32), [len(whole) // merged, rows, columns]


def load_eyes(folder: Path, tokenizer: Any) -> Eyes:
    """From the model's `processor` folder."""
    from transformers import Qwen2VLImageProcessorPil

    pictures = Qwen2VLImageProcessorPil.from_pretrained(folder)
    return Eyes(
        pictures,
        ClipPatches(pictures, _clip_size(folder)),
        tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        tokenizer.convert_tokens_to_ids("<|video_pad|>"),
    )


def _clip_size(folder: Path) -> dict[str, int]:
    """As one of the two files says it: transformers wrote the first until 5."""
    for name, inside in (("video_preprocessor_config.json", ""), ("processor_config.json", "v")):
        path = folder / name
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            size = (found.get("video_processor", {}) if inside else found).get("size")
            if size:
                return {edge: int(size[edge]) for edge in _CLIP_PIXELS}
    return _CLIP_PIXELS
