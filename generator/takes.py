"""Takes: what is in the store, and what it has cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from generator.backends.base import TakeMedia
from generator.history import remember_keys, shot_keys
from generator.plan import Plan
from media.store import ContentStore, Entry
from storyboards.film import Film

__all__ = ["PICTURE", "SOUND", "Take", "TakeStore", "record_plan", "spent_usd"]

PICTURE = "picture.mp4"
SOUND = "sound.wav"


@dataclass(frozen=True, slots=True)
class Take:
    """A finished take: its files and what is known of how it was made."""

    key: str
    picture: Path
    sound: Path | None
    num_frames: int
    fps: Fraction
    size: tuple[int, int]
    manifest: Mapping[str, Any]

    @staticmethod
    def of(entry: Entry) -> Take:
        """The take that an entry of the store holds."""
        details = entry.details
        width, height = details["size"]
        return Take(
            key=entry.key,
            picture=entry.files[PICTURE],
            sound=entry.files.get(SOUND),
            num_frames=int(details["num_frames"]),
            fps=Fraction(details["fps"]),
            size=(int(width), int(height)),
            manifest=details,
        )

    @property
    def media(self) -> TakeMedia:
        """For a backend that goes on from this take."""
        return TakeMedia(self.picture, self.sound, self.num_frames)


class TakeStore:
    """The takes under `root`."""

    def __init__(self, root: Path) -> None:
        self.entries = ContentStore(root, "takes")

    def find(self, key: str, *, verify: bool = True) -> Take | None:
        """The take, or None when it is absent or damaged."""
        entry = self.entries.find(key, verify=verify)
        return None if entry is None else Take.of(entry)


def record_plan(plan: Plan, store: TakeStore) -> None:
    """Remember each take's key, so that a later plan can say why it is made again."""
    keys = ((job.shot_id, job.take, job.key) for job in plan.jobs)
    remember_keys(store.entries, plan.film, keys)


def spent_usd(film: Film, store: TakeStore, but: Collection[str] = ()) -> float:
    """What the takes of this film that are still in the store have cost, `but` those.

    Takes that are cut from one generation each name its cost: it was paid once.
    """
    keys = {key for keys in shot_keys(store.entries, film).values() for key in keys}
    keys -= set(but)
    made = store.entries.details_of(keys)
    for key in made:
        store.entries.touch(key)  # as long as the film is made, what it cost is remembered
    costs = {
        details.get("generation") or key: float(details.get("cost_usd", 0.0))
        for key, details in made.items()
    }
    return sum(costs.values())
