"""Models that storyboards still name and that nobody serves any more.

Dates and successors as the vendors or, where they said none, Comfy's documentation gave them when
looked up in November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RETIRED", "Retired", "retired_note"]


@dataclass(frozen=True, slots=True)
class Retired:
    """When a model went away, and what to use."""

    retired_on: str
    """ISO date."""
    use: str


_SORA = Retired(
    "2026-09-24", "use openai_video with a server of your own, ltx2 or minimax_h3 instead"
)
_VEO = Retired(
    "2026-10-22", "its maker's successor is Gemini Omni; here use ltx2, minimax_h3 or openai_video"
)
_KLING = Retired(
    "2026-09-15", "its maker's successor is Kling 3.0; here use ltx2, minimax_h3 or openai_video"
)

RETIRED: Mapping[str, Retired] = {
    "sora": _SORA,
    "sora-2": _SORA,
    "sora-2-pro": _SORA,
    "veo-3-1": _VEO,
    "veo-3-1-preview": _VEO,
    "veo-3-1-fast": _VEO,
    "veo-3-1-generate-preview": _VEO,
    "veo-3-1-fast-generate-preview": _VEO,
    "kling-1-5": _KLING,
    "kling-1-6": _KLING,
    "kling-2-1": _KLING,
    "kling-2-1-master": _KLING,
}
"""By name with `-` for every other sign, and without the `v` of a version."""


def retired_note(name: str) -> str:
    """`sora-2 was retired on …, use …` for a retired model under any spelling, or nothing."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    plain = re.sub(r"(?<![a-z0-9])v(?=\d)", "", plain)
    plain = re.sub(r"(?<=[a-z])(?=\d)", "-", plain)
    retired = RETIRED.get(plain)
    return f"{name} was retired on {retired.retired_on}; {retired.use}" if retired else ""
