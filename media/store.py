"""A folder per key, whole or absent: where takes, sounds and pieces of film are kept.

    root/kind/ab/abcd…/            the files of one entry
    root/kind/ab/abcd…/manifest.json   written last; without a valid one the entry does not exist
    root/kind/locks/abcd…          held while an entry is made or removed
    root/kind/quarantine/          what was found damaged

A key stands for its content, so an entry is never changed, only made, found and removed. The
manifest's modification time says when the entry was last of use.

Machines can share a folder over NFS. It must be mounted with version 4 and with its locks (not
`nolock` or `local_lock=all`): they are what keeps two machines from making one entry. An entry
appears by the rename of its folder, one step on the server, and a file in it is written and
flushed before that and never changed, so whoever opens it reads all of it (close-to-open). A
client may remember for up to a minute that an entry was absent (nfs(5), acdirmax): it then asks
for the lock, under which the folder is read anew, and finds the entry instead of making it again.

When `root` is the local copy of an object store (media.shared_store), the kinds that machines
share are found and published there too (media.shared_copy).
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.entries import Entry, read_entry, read_manifest
from media.errors import StoreError, translate_os_errors
from media.files import file_lock, publish_folder, write_atomic
from media.litter import LOCK_NAME_CHARS, clear_after, folder_bytes, litter_in
from media.manifest import MANIFEST, Manifest, manifest_text
from media.shared_copy import SharedCopy, shared_copy

__all__ = ["MANIFEST", "ContentStore", "Damage", "Entry"]

_KEY = re.compile(r"[0-9a-f]{64}")

_TOUCH_EVERY_S = 3600.0
_FEW = 8
"""So many are sooner asked for one by one than listed."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An entry that did not pass its check, and where it was moved.

    None: it could not be, or it lay in the object store, which keeps what was put aside.
    """

    key: str
    reason: str
    moved_to: Path | None


@dataclass(slots=True)
class ContentStore:
    """Entries of one kind under `root`, shared by every thread, process and run that uses it."""

    root: Path
    kind: str
    damage: list[Damage] = field(default_factory=list)
    """What was found damaged through this object."""
    _shared: SharedCopy | None = field(init=False, repr=False, compare=False)
    """What all machines share, where `root` is a local copy of it."""

    def __post_init__(self) -> None:
        self._shared = shared_copy(self.root, self.kind)

    @property
    def folder(self) -> Path:
        """Of this kind."""
        return self.root / self.kind

    def peek(self, key: str) -> bool:
        """Whether the entry seems to be there: one look at the disk, for plans of many shots.

        For what machines share it is whether they all can have it, from one listing for many.
        """
        here = self._is_here(key)
        if self._shared is None or (here and self._shared.is_pending(key)):
            return here
        return self._shared.there.peek(key)

    def find(self, key: str, *, verify: bool = True) -> Entry | None:
        """The entry, or None when it is absent or damaged.

        Every file must be there with its size; with `verify` its SHA-256 must be right too,
        which is read once a process for each state of a file. What is damaged is moved to
        quarantine and noted in `damage`. What only another machine has is downloaded.
        """
        return self._found(key, verify, None)

    def make(
        self,
        key: str,
        build: Callable[[Path], Mapping[str, Any]],
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> Entry:
        """The entry, made by `build` when it is absent.

        `build` fills the empty folder it is given and returns the details, ready for JSON. One
        build at a time for a key: a second caller, here, in another process or on another
        machine, waits and takes the first one's result. If the build fails, or its process dies,
        nothing is there and the next caller builds. What machines share is published before it
        is returned; StoreError when it cannot be, and the entry is kept here.
        """
        found = self._found(key, True, should_stop)
        if found is not None and (self._shared is None or self._shared.is_known_to_all(key)):
            return found
        with file_lock(self._lock(key), should_stop=should_stop):
            found = self._find_locked(key, verify=True)
            if self._shared is None:
                return found or self._built(key, build)
            if found is None:
                return self._made(key, build, self._shared, should_stop)
            self._shared.publish(key, found.folder, self._shared.patience(should_stop))
            return found

    def publish(self, key: str, *, should_stop: Callable[[], bool] | None = None) -> bool:
        """Whether the entry is here, and if so, whole where all machines see it by now.

        Another may have cleared it away there since. StoreError when it cannot be published.
        """
        if (shared := self._shared) is None:
            return self._is_here(key)
        patience = shared.patience(should_stop)
        with file_lock(
            self._lock(key), timeout_s=patience.seconds, should_stop=patience.should_stop
        ):
            found = self._find_locked(key, verify=True)
            if found is None:
                shared.settle(key)  # its maker died before it was whole
            else:
                shared.publish(key, found.folder, patience)
            return found is not None

    def publish_pending(self, *, should_stop: Callable[[], bool] | None = None) -> int:
        """Publish what was made here and could not be then; how many entries that were."""
        pending = list(self._shared.pending()) if self._shared else []
        return sum(self.publish(key, should_stop=should_stop) for key in pending)

    def keys(self) -> Iterator[str]:
        """Every key that seems to be there, in order."""
        there = self._shared.there.keys() if self._shared else frozenset()
        yield from sorted(there.union(self._keys_here()))

    def details_of(self, keys: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """By key, what the makers of those that are there wrote down; no file is read for it."""
        wanted = list(dict.fromkeys(keys))
        here = {key: read_manifest(self.entry_folder(key), self.kind, key) for key in wanted}
        found = {key: one.details for key, one in here.items() if isinstance(one, Manifest)}
        if self._shared is not None:
            there = self._shared.there
            elsewhere = [key for key in wanted if key not in found]
            if len(elsewhere) > _FEW:
                listed = there.keys()
                elsewhere = [key for key in elsewhere if key in listed]
            found |= {key: one.details for key, one in there.manifests(elsewhere).items()}
        return found

    def size_bytes(self, key: str) -> int:
        """Bytes of the entry, where all machines share it or on this disk; 0 when absent."""
        there = self._shared.there.entry(key) if self._shared else None
        return there.size_bytes if there else folder_bytes(self.entry_folder(key))

    def last_used(self, key: str) -> float:
        """When the entry was made or last found, in seconds since 1970; 0 when absent."""
        there = self._shared.there.entry(key) if self._shared else None
        return max(self._last_used_here(key), there.last_used if there else 0.0)

    def touch(self, key: str) -> None:
        """Note that the entry is of use now, unless that was noted within the hour.

        A store that cannot be written stays as it is.
        """
        if time.time() - self._last_used_here(key) <= _TOUCH_EVERY_S:
            return
        folder = self.entry_folder(key)
        with suppress(OSError):
            os.utime(folder / MANIFEST)
        if self._shared is not None:
            self._shared.touch(key, folder)

    def remove(self, key: str, *, used_before: float) -> int | None:
        """Remove the entry and return its bytes; None when it is in use or was used since."""
        with ExitStack() as held:
            try:
                held.enter_context(file_lock(self._lock(key), timeout_s=0))
            except StoreError:
                if not os.access(self.folder, os.W_OK):
                    raise
                return None
            used_there = self._shared.there.last_used(key) if self._shared else 0.0
            last_used = max(self._last_used_here(key), used_there)
            if not last_used or last_used >= used_before:
                return None
            num_bytes = self.size_bytes(key)
            if self._shared is not None:
                self._shared.there.remove(key)
                self._shared.settle(key)
            with translate_os_errors("remove", self.entry_folder(key)):
                if self._is_here(key):
                    # Without its manifest it no longer exists, whatever happens next.
                    (self.entry_folder(key) / MANIFEST).unlink()
                    shutil.rmtree(self.entry_folder(key))
            return num_bytes

    def litter(self) -> list[Path]:
        """Temporary folders whose makers are gone, half-removed entries, and the quarantine."""
        return litter_in(self.folder, self._is_locked)

    def sweep(self) -> int:
        """Remove the litter, here and where all machines share, and return its bytes."""
        num_bytes = self._shared.there.sweep() if self._shared else 0
        for path in self.litter():
            num_bytes += folder_bytes(path)
            shutil.rmtree(path, ignore_errors=True)
        return num_bytes

    def entry_folder(self, key: str) -> Path:
        """Where the entry is or would be."""
        if not _KEY.fullmatch(key):
            raise StoreError(f"expected a key of 64 hexadecimal digits, got {key[:80]!r}")
        return self.folder / key[:2] / key

    def _lock(self, key: str) -> Path:
        return self.folder / "locks" / key[:LOCK_NAME_CHARS]

    def _is_locked(self, key: str) -> bool:
        try:
            with file_lock(self._lock(key), timeout_s=0):
                return False
        except StoreError:
            return True

    def _keys_here(self) -> Iterator[str]:
        if not self.folder.is_dir():
            return
        with translate_os_errors("list", self.folder):
            for shelf in (shelf for shelf in self.folder.iterdir() if len(shelf.name) == 2):
                for folder in shelf.iterdir():
                    if _KEY.fullmatch(folder.name) and self._is_here(folder.name):
                        yield folder.name

    def _is_here(self, key: str) -> bool:
        return (self.entry_folder(key) / MANIFEST).exists()

    def _last_used_here(self, key: str) -> float:
        try:
            return (self.entry_folder(key) / MANIFEST).stat().st_mtime
        except OSError:
            return 0.0

    def _find_locked(self, key: str, verify: bool) -> Entry | None:
        entry = self._read(key, verify)
        if isinstance(entry, str):
            self._quarantine(key, entry)
            return None
        return entry

    def _found(
        self, key: str, verify: bool, should_stop: Callable[[], bool] | None
    ) -> Entry | None:
        entry = self._read(key, verify)
        if isinstance(entry, Entry):
            self._offer(key)
            return entry
        if entry is not None:
            try:
                # Whoever holds the lock is making this entry anew, and deals with the old one.
                with file_lock(self._lock(key), timeout_s=0):
                    found = self._find_locked(key, verify)
            except StoreError:
                self.damage.append(Damage(key, entry, None))
                return None
            if found is not None:
                return found
        shared = self._shared
        if shared is None or shared.there.manifest(key, shared.patience(should_stop)) is None:
            return None
        with file_lock(self._lock(key), should_stop=should_stop):
            return self._find_locked(key, verify) or self._fetched(key, should_stop)

    def _offer(self, key: str) -> None:
        """Publish what an earlier run could not, unless somebody is at it."""
        if self._shared and self._shared.is_pending(key):
            with suppress(StoreError), file_lock(self._lock(key), timeout_s=0):
                self._shared.offer(key, self.entry_folder(key))

    def _fetched(self, key: str, should_stop: Callable[[], bool] | None) -> Entry | None:
        """The entry, downloaded; None when it is absent or damaged there. Its lock is held."""
        if self._shared is None:
            return None
        clear_after(self.entry_folder(key))
        wrong = self._shared.fetch(key, self.entry_folder(key), self._shared.patience(should_stop))
        if wrong is None:
            return self._just_made(key)
        if wrong:
            self.damage.append(Damage(key, f"in the shared store: {wrong}", None))
        return None

    def _made(
        self,
        key: str,
        build: Callable[[Path], Mapping[str, Any]],
        shared: SharedCopy,
        should_stop: Callable[[], bool] | None,
    ) -> Entry:
        """The entry, built and published here unless another machine does; its lock is held."""
        patience = shared.patience(should_stop)
        while True:
            with shared.alone(key, patience) as is_ours:
                if is_ours:
                    shared.expect(key)
                    try:
                        built = self._built(key, build)
                    except BaseException:
                        shared.settle(key)
                        raise
                    shared.publish(key, built.folder, patience)
                    return built
            found = self._fetched(key, should_stop)
            if found is not None:
                return found

    def _built(self, key: str, build: Callable[[Path], Mapping[str, Any]]) -> Entry:
        """The entry, built here; its lock is held."""
        clear_after(self.entry_folder(key))
        what = f"make an entry of {self.kind}"
        with (
            publish_folder(self.entry_folder(key)) as temp,
            translate_os_errors(what, self.folder),
        ):
            if self._is_here(key):
                return self._just_made(key)  # ours is dropped
            details = build(temp)
            write_atomic(temp / MANIFEST, manifest_text(self.kind, key, temp, details))
        return self._just_made(key)

    def _just_made(self, key: str) -> Entry:
        made = self._read(key, verify=False)
        if not isinstance(made, Entry):
            raise StoreError(
                f"the entry {key[:12]} went away as soon as it was made",
                where=str(self.folder),
                todo="check the disk",
            )
        return made

    def _read(self, key: str, verify: bool) -> Entry | str | None:
        """As `read_entry`; an entry that is there is of use."""
        entry = read_entry(self.entry_folder(key), self.kind, key, verify=verify)
        if isinstance(entry, Entry):
            self.touch(key)
        return entry

    def _quarantine(self, key: str, reason: str) -> None:
        """Called with the key's lock held."""
        folder = self.entry_folder(key)
        target = self.folder / "quarantine" / f"{key}.{time.time_ns()}"
        with translate_os_errors("put a damaged entry aside", folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        self.damage.append(Damage(key, reason, target))
