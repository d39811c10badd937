"""Which keys each shot of a storyboard has had: a small index in the store.

It only tells why a take is made again and what was spent; the takes themselves are found by key.
An index that is missing or damaged is an empty one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from media.errors import translate_os_errors
from media.files import TEMP_SUFFIX, file_lock, write_atomic
from media.store import ContentStore
from storyboards.film import Film

__all__ = ["keys_of_others", "remember_keys", "shot_keys", "why_stale"]

_VERSION = 1
_MOST_KEYS = 64
"""A shot's latest keys; older ones only made the index long."""


def shot_keys(store: ContentStore, film: Film) -> Mapping[str, tuple[str, ...]]:
    """By shot and take (`sc010/sh0010#1`), the keys it has had, latest first."""
    return _read_index(_index_path(store, film))


def keys_of_others(store: ContentStore, film: Film) -> frozenset[str]:
    """Keys that other storyboards, or other variants of this one, have used in the same store."""
    own = _index_path(store, film)
    keys: set[str] = set()
    for path in sorted(own.parent.glob("*.json")):
        if path != own:
            for used in _read_index(path).values():
                keys.update(used)
    return frozenset(keys)


def remember_keys(store: ContentStore, film: Film, keys: Iterable[tuple[str, int, str]]) -> None:
    """Put (shot, take, key) first among the keys of that take."""
    path = _index_path(store, film)
    with translate_os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path.with_suffix(".lock")):
        for left_over in path.parent.glob(f".{path.name}.*{TEMP_SUFFIX}"):
            left_over.unlink(missing_ok=True)
        index = dict(shot_keys(store, film))
        before = dict(index)
        for shot_id, take, key in keys:
            name = f"{shot_id}#{take}"
            older = tuple(one for one in index.get(name, ()) if one != key)
            index[name] = (key, *older)[:_MOST_KEYS]
        if index != before:
            facts = {"version": _VERSION, "storyboard": str(film.path), "keys": index}
            write_atomic(path, json.dumps(facts, indent=1, sort_keys=True) + "\n")


def why_stale(old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What differs between two takes, `backend`, `revision` and canonical `request` each.

    `names` are file names by SHA-256, so that a changed reference is called by its name.
    """
    if old["backend"] != new["backend"]:
        return f"backend {old['backend']} → {new['backend']}"
    if old["revision"] != new["revision"]:
        return f"backend revision {old['revision']} → {new['revision']}"
    changed = _differences(old["request"], new["request"], names, "")
    # The prompt is written from the fields, so it only tells when nothing else does.
    telling = [what for what in changed if what not in ("prompt", "seed")] or changed
    return f"{', '.join(dict.fromkeys(telling))} changed" if telling else "changed"


def _read_index(path: Path) -> Mapping[str, tuple[str, ...]]:
    try:
        index = json.loads(path.read_bytes())
        if index["version"] != _VERSION:
            return {}
        return {str(name): tuple(map(str, keys)) for name, keys in index["keys"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _index_path(store: ContentStore, film: Film) -> Path:
    name = f"{film.path.resolve()}\n{film.variant}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return store.root / "history" / f"{digest[:32]}.json"


def _differences(old: Any, new: Any, names: Mapping[str, str], where: str) -> list[str]:
    """Names of what differs, in words of the storyboard."""
    if old == new:
        return []
    if where in _WHOLE:
        return [where]
    if isinstance(old, dict) and isinstance(new, dict):
        fields = sorted(set(old) | set(new))
        return [
            what
            for name in fields
            for what in _differences(old.get(name), new.get(name), names, _said(name) or where)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            what
            for before, after in zip(old, new, strict=True)
            for what in _differences(before, after, names, where)
        ]
    if isinstance(new, str) and new in names:
        return [names[new]]
    return [where]


_WHOLE = ("size", "dialogue", "options", "motion", "group")

_WORDS = {
    "num_frames": "duration",
    "description": "",
    "placements": "cast",
    "references": "references",
    "key_pictures": "frames",
    "speaking": "dialogue",
    "take_key": "the take it continues or edits",
    "setting_seed": "location",
    "audio_sha256": "recording",
    "loras": "lora",
    "cut_from": "group",
    "move": "camera",
    "lens_mm": "camera",
    "path": "camera",
    "ease": "camera",
    "amount": "camera",
    "kind": "references",
    "role": "references",
    "sha256": "",
    "subject": "",
}


def _said(field: str) -> str:
    return _WORDS.get(field, field)
