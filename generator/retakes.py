"""A retake as a shot of its own: the same words, what the director said of the last one, a seed.

Everything else of the shot is untouched, so a note reaches every backend where it reads what the
storyboard's `prompt` says, and no other take's key knows of it.
"""

from __future__ import annotations

from dataclasses import replace

from generator.keys import content_digest
from generator.requests import seed_for
from storyboards.film import Film, Shot

__all__ = ["retake_of"]


def retake_of(film: Film, shot: Shot, number: int, note: str) -> Shot:
    """The shot as its retake of that number (from 1) frames it: one take, with its own seed.

    The seed does not follow from how many takes the storyboard asks for: more of those leave the
    retakes as they are.
    """
    seed = int(content_digest("retake", seed_for(film, shot, 1), number)[:8], 16)
    directed = replace(shot, take_count=1, seeds=(seed,), prompt=_with(shot.prompt, note))
    if shot.edit is None:
        return directed
    edit = replace(shot.edit, instruction=_with(shot.edit.instruction, note))
    return replace(directed, edit=edit)


def _with(words: str, note: str) -> str:
    """The words, and the note as a sentence after them."""
    if not note:
        return words
    sentence = note[0].upper() + note[1:]
    return " ".join(filter(None, (_ended(words.strip()), _ended(sentence))))


def _ended(text: str) -> str:
    return text if not text or text[-1] in ".!?…。！？" else f"{text}."
