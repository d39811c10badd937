"""One kind of entries in an object store: whole or absent there too.

    kind/manifests/ab/abcd….json     written last, only if the name is free: the entry exists
    kind/files/abcd…/UPLOAD/NAME     under a name of its own for every upload
    kind/used/abcd…                  written again when the entry is of use: its age counts in gc
    kind/leases/abcd…/1              held while an entry is made (media.leases)
    kind/quarantine/abcd….TIME.json  manifests of what was found damaged

Two uploads of one key never touch each other's files, and the first manifest stays. A manifest
names its upload, with sizes and SHA-256 of the files; what no manifest names does not exist.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from media.errors import StoreError, translate_os_errors
from media.manifest import MANIFEST, FileFacts, Manifest, parse_manifest
from media.object_store import ObjectStore
from media.patience import Patience

__all__ = ["SHARED_KINDS", "NotFetched", "RemoteEntry", "SharedKind"]

SHARED_KINDS = frozenset({"takes", "generations", "tickets", "assets", "finished"})
"""What another machine must see: what a model made, and what it takes to ask one.

Segments, sounds and prepared references are made again in less time than a download takes, and
what lies between the phases of a take fits only the device that made it: those stay local.
"""

_LISTING_LASTS_S = 2.0
_LISTING_SHARE, _LISTING_LASTS_AT_MOST_S = 4.0, 30.0
"""Of a huge store it lasts so many times as long as it took, so that not all time goes into it."""
_SEEN_LASTS_S = 600.0
"""After that what was seen may have been cleared away by somebody: a worker lives for weeks."""
_PAGE, _SLOWEST_PAGE_S = 1000, 1.0
"""Names in one answer of S3, and what one takes at most where nothing is wrong."""
_AWAY_S = 30.0
"""After a store did not answer, how long nobody asks it who need not."""
_ENTRIES_LAST_S = 10.0
_ONCE = 0.0
_READERS = 16
_DAY_S = 86_400.0
_KEY = re.compile(r"(?<=/)[0-9a-f]{64}(?=[./]|$)")


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """What a listing tells of an entry; times by the object store's clock."""

    size_bytes: int
    last_used: float


class NotFetched(Exception):
    """An entry could not be had because of what it is: damaged as `reason` says, else absent."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class _Found:
    """A listing of manifests."""

    keys: set[str] = field(default_factory=set)
    until: float = 0.0
    """By the monotonic clock: how long what is not in it counts as absent."""
    seen_until: float = field(default_factory=lambda: time.monotonic() + _SEEN_LASTS_S)
    """How long what is in it counts as there."""


@dataclass(slots=True)
class SharedKind:
    """The entries of one kind; one object for all who use them in a process."""

    objects: ObjectStore
    kind: str
    copy: str
    """Name of the local copy that works on them."""
    _found: _Found = field(default_factory=_Found)
    _away_until: float = 0.0
    _entries: Mapping[str, RemoteEntry] = field(default_factory=dict)
    _entries_until: float = 0.0

    def peek(self, key: str) -> bool:
        """Whether the entry seems to be there, from one listing for many keys.

        What a listing has may be gone, and what it lacks may have come since. Both only cost a
        plan its accuracy: whoever reads or makes an entry looks again.
        """
        if self.knows(key):
            return True
        if time.monotonic() >= self._found.until:
            self._list()
        return key in self._found.keys

    def knows(self, key: str) -> bool:
        """Whether the entry was seen to be there of late, without asking."""
        return key in self._found.keys and time.monotonic() < self._found.seen_until

    def keys(self) -> frozenset[str]:
        """Every key that is there, by a new listing."""
        self._list()
        return frozenset(self._found.keys)

    def manifest(self, key: str, patience: Patience | None = None) -> Manifest | str | None:
        """The entry's manifest, what is wrong with it, or None when it is absent."""
        text = self.objects.read(self._manifest(key), patience)
        if text is None:
            self._found.keys.discard(key)
            return None
        self._found.keys.add(key)
        return parse_manifest(text, self.kind, key)

    def manifests(self, keys: Iterable[str]) -> Mapping[str, Manifest]:
        """By key, those that are there and can be read; asked for many at a time."""
        wanted = list(dict.fromkeys(keys))
        look = partial(self.manifest, patience=self.objects.patience)
        with ThreadPoolExecutor(_READERS, "takeboard-manifests") as pool:
            found = zip(wanted, pool.map(look, wanted), strict=True)
            return {key: one for key, one in found if isinstance(one, Manifest)}

    def publish(self, key: str, folder: Path, patience: Patience | None = None) -> None:
        """Put the whole entry in `folder` there, unless one is; StoreError when it cannot be."""
        there = self.manifest(key, patience)
        if isinstance(there, Manifest):
            return
        if there is not None:
            self.put_aside(key)
        with translate_os_errors("read", folder):
            text = (folder / MANIFEST).read_bytes()
        listed = parse_manifest(text, self.kind, key)
        if isinstance(listed, str):
            raise StoreError(listed, where=str(folder))
        upload = uuid.uuid4().hex
        for name in listed.files:
            self.objects.upload(folder / name, self._file(key, upload, name), patience)
        ours = json.dumps({**json.loads(text), "upload": upload}, indent=1, ensure_ascii=False)
        if not self.objects.create(self._manifest(key), ours.encode() + b"\n", patience):
            with suppress(StoreError):
                self._delete_upload(key, upload, listed.files)
        self._found.keys.add(key)

    def offer(self, key: str, folder: Path) -> bool:
        """Publish the entry in `folder` if the store answers at once; whether it is there now."""
        if time.monotonic() < self._away_until:
            return False
        try:
            self.publish(key, folder, self._once())
        except StoreError:
            self._away_until = time.monotonic() + _AWAY_S
            return False
        return True

    def fetch(self, key: str, folder: Path, patience: Patience | None = None) -> None:
        """Download the entry into the empty `folder`, its manifest last.

        Raises NotFetched when it is absent or damaged, StoreError when that cannot be told.
        """
        text = self.objects.read(self._manifest(key), patience)
        if text is None:
            self._found.keys.discard(key)
            raise NotFetched("")
        listed = parse_manifest(text, self.kind, key)
        if isinstance(listed, str):
            raise NotFetched(listed)
        for name, facts in listed.files.items():
            path = folder / name
            with translate_os_errors("write", path):
                path.parent.mkdir(parents=True, exist_ok=True)
            if wrong := self._fetch_file(
                self._file(key, listed.upload, name), facts, path, patience
            ):
                # Whoever removes an entry removes its manifest first.
                gone = self.objects.read(self._manifest(key), patience) != text
                raise NotFetched("" if gone else f"{name} {wrong}")
        with translate_os_errors("write", folder):
            (folder / MANIFEST).write_bytes(text)
        self._found.keys.add(key)

    def put_aside(self, key: str) -> str:
        """Where the manifest of a damaged entry was moved; the entry is absent then."""
        text = self.objects.read(self._manifest(key))
        aside = f"{self.kind}/quarantine/{key}.{time.time_ns()}.json"
        if text is not None:
            self.objects.write(aside, text)
            # Somebody may have dealt with it meanwhile, and published a whole one.
            if self.objects.read(self._manifest(key)) == text:
                self.objects.delete(self._manifest(key))
        self._found.keys.discard(key)
        return aside

    def touch(self, key: str) -> None:
        """Note that the entry is of use now, if the store answers at once."""
        if time.monotonic() >= self._away_until:
            with suppress(StoreError):
                self.objects.write(f"{self.kind}/used/{key}", b"used\n", self._once())

    def entries(self) -> Mapping[str, RemoteEntry]:
        """What is there, with sizes and times, from one listing."""
        sizes: dict[str, int] = {}
        used: dict[str, float] = {}
        whole: set[str] = set()
        for one in self.objects.list(self.kind):
            place, key = _place_of(one.name), _key_of(one.name)
            if place in ("manifests", "files"):
                sizes[key] = sizes.get(key, 0) + one.num_bytes
            if place in ("manifests", "used"):
                used[key] = max(used.get(key, 0.0), one.modified)
            if place == "manifests":
                whole.add(key)
        return {key: RemoteEntry(sizes[key], used[key]) for key in sorted(whole - {""})}

    def entry(self, key: str) -> RemoteEntry | None:
        """What `entries` told a moment ago; for those who ask of many keys, one after another."""
        if time.monotonic() >= self._entries_until:
            self._entries = self.entries()
            self._entries_until = time.monotonic() + _ENTRIES_LAST_S
        return self._entries.get(key)

    def last_used(self, key: str) -> float:
        """By the store's clock, in seconds since 1970; 0 when absent."""
        made = self.objects.stat(self._manifest(key))
        if made is None:
            return 0.0
        used = self.objects.stat(f"{self.kind}/used/{key}")
        return max(made.modified, used.modified if used else 0.0)

    def remove(self, key: str) -> None:
        """Remove the entry, its manifest first: then it no longer exists, whatever happens."""
        there = self.manifest(key)
        self.objects.delete(self._manifest(key))
        self._found.keys.discard(key)
        if isinstance(there, Manifest):
            self._delete_upload(key, there.upload, there.files)
        self.objects.delete(f"{self.kind}/used/{key}")

    def litter(self) -> Mapping[str, int]:
        """Objects that nothing will use, and their bytes.

        They are what was put aside and, when older than a day, uploads that no manifest names,
        marks of use of what is gone, and leases that nobody gave back. Ages are by the store's
        own clock, against its newest object: where nothing is written, nothing is removed.
        """
        listed = self.objects.list(self.kind)
        oldest = max((one.modified for one in listed), default=0.0) - _DAY_S
        whole = {_key_of(one.name) for one in listed if _place_of(one.name) == "manifests"}
        return {
            one.name: one.num_bytes
            for one in listed
            if _place_of(one.name) == "quarantine"
            or (one.modified < oldest and self._is_stray(one.name, whole))
        }

    def sweep(self) -> int:
        """Remove the litter and return its bytes."""
        litter = self.litter()
        for name in litter:
            self.objects.delete(name)
        return sum(litter.values())

    def lease(self, key: str) -> str:
        """The lease for making the entry."""
        return f"{self.kind}/leases/{key}"

    def _once(self) -> Patience:
        return Patience(_ONCE, self.objects.patience.should_stop)

    def _list(self, patience: Patience | None = None) -> None:
        started = time.monotonic()
        listed = self.objects.list(f"{self.kind}/manifests", patience)
        now = time.monotonic()
        # The rest of a longer wait was an outage, after which there is much to be seen.
        took_s = min(now - started, _SLOWEST_PAGE_S * (1 + len(listed) // _PAGE))
        keys = {_key_of(one.name) for one in listed} - {""}
        lasts_s = max(_LISTING_LASTS_S, min(_LISTING_SHARE * took_s, _LISTING_LASTS_AT_MOST_S))
        self._found = _Found(keys, now + lasts_s)

    def _fetch_file(
        self, name: str, facts: FileFacts, path: Path, patience: Patience | None
    ) -> str:
        """What is wrong with the object, or nothing when it is at `path`, verified.

        An object is damaged when it is gone, when the store itself says another size, or when it
        comes with the same wrong content twice. What differs from one time to the next was
        damaged on the way, and a bad line must not condemn what others can read.
        """
        before = ""
        for _ in range(_TRIES):
            if not self.objects.download(name, path, patience):
                return "is missing"
            if path.stat().st_size == facts.num_bytes:
                with path.open("rb") as file:
                    got = hashlib.file_digest(file, "sha256").hexdigest()
                if got == facts.sha256:
                    return ""
                if got == before:
                    return "is not what was written"
                before = got
            elif wrong := self._wrong_size(name, facts):
                return wrong
            path.unlink()
        raise StoreError(
            f"{name} does not arrive as it is stored",
            where=self.objects.url,
            todo="check the network and what stands between here and the store",
        )

    def _wrong_size(self, name: str, facts: FileFacts) -> str:
        folder = name.rpartition("/")[0]
        sizes = {one.name: one.num_bytes for one in self.objects.list(folder)}
        size = sizes.get(name)
        if size is None:
            return "is missing"
        return "" if size == facts.num_bytes else f"has {size} bytes, expected {facts.num_bytes}"

    def _delete_upload(self, key: str, upload: str, names: Iterable[str]) -> None:
        for name in names:
            self.objects.delete(self._file(key, upload, name))

    def _is_stray(self, name: str, whole: Set[str]) -> bool:
        """Whether an old object belongs to no entry of those that are `whole`."""
        place, key = _place_of(name), _key_of(name)
        if place == "files" and key in whole:
            there = self.manifest(key)
            # A manifest that cannot be read is for its next reader to put aside.
            return isinstance(there, Manifest) and f"/{there.upload}/" not in name
        return place == "leases" or (place in ("files", "used") and key not in whole)

    def _manifest(self, key: str) -> str:
        return f"{self.kind}/manifests/{key[:2]}/{key}.json"

    def _file(self, key: str, upload: str, name: str) -> str:
        return f"{self.kind}/files/{key}/{upload}/{name}"


_TRIES = 4


def _place_of(name: str) -> str:
    """`files` of `takes/files/abcd…/UPLOAD/picture.mp4`."""
    return name.split("/")[1]


def _key_of(name: str) -> str:
    """The key that an object is about; empty when it is about none."""
    match = _KEY.search(name)
    return match[0] if match else ""
