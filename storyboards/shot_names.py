"""Shots as people name them: by scene and shot, or by the shot alone where only one has it."""

from __future__ import annotations

from collections.abc import Sequence

from media.errors import UsageError
from storyboards.fields import did_you_mean
from storyboards.film import Shot

__all__ = ["shot_named"]


def shot_named(shots: Sequence[Shot], name: str) -> Shot:
    """The shot `sc010/sh0020`, also called `sh0020` where no other scene has a shot of that name.

    UsageError, with the names that were meant, when there is none or more than one.
    """
    named = {shot.id: shot for shot in shots}
    if name in named:
        return named[name]
    matches = [id for id in named if id.endswith(f"/{name}")]
    if len(matches) == 1:
        return named[matches[0]]
    if matches:
        raise UsageError(
            f'the shot "{name}" is in several scenes, expected {" or ".join(matches[:8])}'
        )
    raise UsageError(f'there is no shot "{name}" in the film{did_you_mean(name, list(named))}')
