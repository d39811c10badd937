"""Which keys each shot of a storyboard has had: a small index in the store.

It only tells why a take is made again and what was spent; the takes themselves are found by key.
An index that is missing or damaged is an empty one. On a store that machines share, so is the
index: what one machine spent counts against the film's budget on every other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from media.errors import translate_os_errors
from media.files import TEMP_SUFFIX, file_lock, write_atomic
from media.object_store import ObjectStore
from media.shared_index import Record, SharedIndex
from media.shared_store import shared_objects
from media.store import ContentStore
from storyboards.film import Film

__all__ = ["film_name", "keys_of_others", "remember_keys", "shot_keys", "why_stale"]

_VERSION = 1
_MOST_KEYS = 64
"""A shot's latest keys; older ones only made the index long."""

Index = Mapping[str, tuple[str, ...]]
"""By shot and take, its keys, latest first."""


def shot_keys(store: ContentStore, film: Film) -> Index:
    """By shot and take (`sc010/sh0010#1`), the keys it has had, latest first."""
    if (objects := shared_objects(store.root)) is not None:
        return _merged(_shared_index(objects, film).records())
    return _read_index(_index_path(store, film))


def film_name(store: ContentStore, film: Film) -> str:
    """What a film is called in the store: the same for every run of it."""
    if shared_objects(store.root) is not None:
        return _shared_name(film)
    return _digest(str(film.path.resolve()), film.variant)


def keys_of_others(store: ContentStore, film: Film) -> frozenset[str]:
    """Keys that other storyboards, or other variants of this one, have used in the same store."""
    indexes = _indexes_of_others(store, film)
    return frozenset(key for index in indexes for used in index.values() for key in used)


def remember_keys(store: ContentStore, film: Film, keys: Iterable[tuple[str, int, str]]) -> None:
    """Put (shot, take, key) first among the keys of that take."""
    wanted = tuple(keys)
    if (objects := shared_objects(store.root)) is not None:
        storyboard = "/".join(film.path.resolve().parts[-2:])
        _shared_index(objects, film).add(
            lambda known: _text_with(_merged(known), wanted, storyboard, always=len(known) > 1),
            is_readable=lambda record: _parsed(record.data) is not None,
        )
        return
    path = _index_path(store, film)
    with translate_os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path.with_suffix(".lock")):
        for left_over in path.parent.glob(f".{path.name}.*{TEMP_SUFFIX}"):
            left_over.unlink(missing_ok=True)
        text = _text_with(_read_index(path), wanted, str(film.path))
        if text is not None:
            write_atomic(path, text)


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


def _text_with(
    known: Index,
    keys: Iterable[tuple[str, int, str]],
    storyboard: str,
    *,
    always: bool = False,
) -> bytes | None:
    """The index with (shot, take, key) first among the keys of that take; None: nothing is new."""
    index = dict(known)
    for shot_id, take, key in keys:
        name = f"{shot_id}#{take}"
        older = tuple(one for one in index.get(name, ()) if one != key)
        index[name] = (key, *older)[:_MOST_KEYS]
    if index == known and not always:
        return None
    facts = {"version": _VERSION, "storyboard": storyboard, "keys": index}
    return json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"


def _merged(records: Iterable[Record]) -> Index:
    """All keys that the records have, those of the newest record first."""
    index: dict[str, tuple[str, ...]] = {}
    for record in records:
        for name, keys in (_parsed(record.data) or {}).items():
            index[name] = tuple(dict.fromkeys((*index.get(name, ()), *keys)))[:_MOST_KEYS]
    return index


def _indexes_of_others(store: ContentStore, film: Film) -> Iterator[Index]:
    """Of every other storyboard and variant that uses the store."""
    if (objects := shared_objects(store.root)) is not None:
        own_folder = _shared_index(objects, film).folder
        for record in SharedIndex(objects, _FOLDER).records():
            if not record.name.startswith(f"{own_folder}/"):
                yield _parsed(record.data) or {}
        return
    own = _index_path(store, film)
    for path in sorted(own.parent.glob("*.json")):
        if path != own:
            yield _read_index(path)


def _read_index(path: Path) -> Index:
    try:
        return _parsed(path.read_bytes()) or {}
    except OSError:
        return {}


def _parsed(data: bytes) -> Index | None:
    try:
        index = json.loads(data)
        if index["version"] != _VERSION:
            return None
        return {str(name): tuple(map(str, keys)) for name, keys in index["keys"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


_FOLDER = "history"


def _index_path(store: ContentStore, film: Film) -> Path:
    return store.root / _FOLDER / f"{_digest(str(film.path.resolve()), film.variant)}.json"


def _shared_index(objects: ObjectStore, film: Film) -> SharedIndex:
    """A film's index on every machine, wherever its storyboard lies there.

    Machines keep storyboards in different places, so the film is known by its code and by the
    names of its file and of the folder that holds it.
    """
    return SharedIndex(objects, f"{_FOLDER}/{_shared_name(film)}")


def _shared_name(film: Film) -> str:
    folder, name = film.path.resolve().parts[-2:]
    return _digest(film.code, folder, name, film.variant)


def _digest(*parts: str) -> str:
    text = "\n".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


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
