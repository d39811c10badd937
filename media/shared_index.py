"""A small text that many machines add to, on an object store: nothing that was added is lost.

    folder/TIME-ID     all that its writer knew, never changed

Who adds something reads every record, writes one that holds it all, and then removes those that
it read. Two who do so at once leave two records, and the next reads both: no lock, and no write
that another could undo. What several records say is put together by who knows their meaning.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from media.object_store import ObjectStore

__all__ = ["Record", "SharedIndex"]

_LOOKS = 8


@dataclass(frozen=True, slots=True)
class Record:
    """What one writer knew."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SharedIndex:
    """The records below `folder`."""

    objects: ObjectStore
    folder: str

    def records(self) -> tuple[Record, ...]:
        """What is known, the newest record first, by the store's clock."""
        records: list[Record] = []
        for _ in range(_LOOKS):
            listed = sorted(
                self.objects.list(self.folder),
                key=lambda one: (one.modified, one.name),
                reverse=True,
            )
            records = [
                Record(one.name, data)
                for one in listed
                if (data := self.objects.read(one.name)) is not None
            ]
            if len(records) == len(listed):
                break
            # One was removed since it was listed: what replaces it is there by now.
        return tuple(records)

    def add(
        self,
        text: Callable[[tuple[Record, ...]], bytes | None],
        is_readable: Callable[[Record], bool],
    ) -> None:
        """Write what `text` makes of the records: all that they hold, and more; None: no more.

        Records that are not readable, such as a later version's, are left alone.
        """
        before = tuple(record for record in self.records() if is_readable(record))
        data = text(before)
        if data is None:
            return
        # The time here orders what the store's clock, which may count in seconds, does not.
        name = f"{self.folder}/{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.json"
        self.objects.write(name, data)
        for record in before:
            self.objects.delete(record.name)
