"""A local copy's side of sharing one kind of entries: what is not published yet, and by whom next.

    root/kind/pending/abcd…    made here, and not yet where the other machines see it

The mark is there before the entry is and goes when the entry is published, so that a process may
die, and the object store go away, at any moment: what is finished is published by whoever next
finds or makes it here, or by `ContentStore.publish_pending`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from media.errors import StoreError, translate_os_errors
from media.files import publish_folder, write_atomic
from media.leases import hold_lease
from media.patience import Patience
from media.shared_kind import NotFetched, SharedKind
from media.shared_store import require_exclusive, shared_kind

__all__ = ["SharedCopy", "shared_copy"]

_TELL_EVERY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SharedCopy:
    """The entries of a kind that all machines share, as one local copy of them sees it."""

    root: Path
    there: SharedKind

    def is_pending(self, key: str) -> bool:
        """Whether the entry was made here and may not be published yet."""
        return self._pending(key).exists()

    def pending(self) -> Iterator[str]:
        """Their keys, in order."""
        for path in sorted(self._pending("").glob("*")):
            if not path.name.startswith("."):
                yield path.name

    def is_known_to_all(self, key: str) -> bool:
        """Whether the entry was seen to be published, without asking."""
        return self.there.knows(key) and not self.is_pending(key)

    def expect(self, key: str) -> None:
        """Mark the entry as not published, before it is made here."""
        with translate_os_errors("write", self._pending(key)):
            self._pending(key).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._pending(key), "")

    def settle(self, key: str) -> None:
        """Take the mark away: the entry is published, or there is none."""
        with suppress(OSError):
            self._pending(key).unlink()

    def offer(self, key: str, folder: Path) -> None:
        """Publish what is pending if the object store answers at once; the key's lock is held."""
        if self.is_pending(key) and self.there.offer(key, folder):
            self.settle(key)

    def publish(self, key: str, folder: Path, patience: Patience) -> None:
        """Publish the entry in `folder`; the key's lock is held.

        StoreError when that is not to be had: the entry is then kept here, marked.
        """
        if not self.is_pending(key):
            self.expect(key)
        try:
            self.there.publish(key, folder, patience)
        except StoreError as error:
            raise StoreError(
                f"{error.what}. What was made is kept in {folder} and is not shared yet",
                where=error.where,
                todo=error.todo or "run again when the store answers: it is not made again",
            ) from error
        self.settle(key)

    def fetch(self, key: str, final: Path, patience: Patience) -> str | None:
        """Download the entry to `final`; the key's lock is held.

        Returns None when it is there now, else what is wrong with it, or nothing when it is
        absent. What is damaged was put aside.
        """
        try:
            with publish_folder(final) as temp:
                self.there.fetch(key, temp, patience)
        except NotFetched as why:
            if why.reason:
                self.there.put_aside(key)
            return why.reason
        return None

    def alone(self, key: str, patience: Patience) -> AbstractContextManager[bool]:
        """Be the only machine that makes the entry; False when another has, meanwhile.

        The key's lock is held, so a lease in this copy's name is that of a process that died.
        """
        objects = self.there.objects
        require_exclusive(self.root, objects, patience)
        return hold_lease(
            objects,
            self.there.lease(key),
            self.there.copy,
            patience,
            is_over=lambda: self.there.manifest(key, patience) is not None,
        )

    def patience(self, should_stop: Callable[[], bool] | None = None) -> Patience:
        """That of the object store, until somebody says stop."""
        usual = self.there.objects.patience
        return Patience(usual.seconds, should_stop) if should_stop else usual

    def touch(self, key: str, folder: Path) -> None:
        """Tell once a day that the entry in `folder` is of use."""
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _TELL_EVERY_S:
                # Nothing in the folder changes, so its time is free to say when that was told.
                os.utime(folder)
                self.there.touch(key)

    def _pending(self, key: str) -> Path:
        return self.root / self.there.kind / "pending" / key


def shared_copy(root: Path, kind: str) -> SharedCopy | None:
    """Of the kinds that machines share, where `root` is the local copy of an object store."""
    there = shared_kind(root, kind)
    return SharedCopy(root, there) if there is not None else None
