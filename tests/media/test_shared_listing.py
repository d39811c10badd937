"""For how long a listing of a shared store counts: longer of a huge one, not after an outage, and
never for as long as a process lives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

import media.shared_kind
from media.object_store import ObjectStore, StoredObject
from media.shared_kind import SharedKind


class Slow:
    """A store whose listings take `takes_s`, by a clock of its own."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.takes_s = self.now = 0.0
        self.asked = 0

    def list(self, prefix: str, patience: object) -> tuple[StoredObject, ...]:
        self.asked += 1
        self.now += self.takes_s
        return tuple(StoredObject(name, 1, 0.0) for name in self.names)

    def has_after(self, kind: SharedKind, key: str, seconds: float) -> bool:
        self.now += seconds
        return kind.peek(key)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Slow:
    store = Slow()
    clock: Any = SimpleNamespace(monotonic=lambda: store.now)
    monkeypatch.setattr(media.shared_kind, "time", clock)
    return store


def name_of(key: str) -> str:
    return f"takes/manifests/{key[:2]}/{key}.json"


def test_what_came_while_the_store_was_away_is_seen_soon_after(store: Slow) -> None:
    kind = SharedKind(cast(ObjectStore, store), "takes", "here")
    key = "a" * 64
    store.takes_s = 30.0  # it was away
    assert not kind.peek(key)
    store.names, store.takes_s = [name_of(key)], 0.1
    assert store.has_after(kind, key, 5.0)


def test_a_huge_store_is_not_listed_all_the_time(store: Slow) -> None:
    kind = SharedKind(cast(ObjectStore, store), "takes", "here")
    store.names = [name_of(f"{number:064x}") for number in range(8000)]
    store.takes_s = 6.0
    assert not kind.peek("a" * 64)
    assert not store.has_after(kind, "a" * 64, 20.0)
    assert store.asked == 1
    store.has_after(kind, "a" * 64, 10.0)
    assert store.asked == 2


def test_what_others_have_cleared_away_is_missed_after_a_while(store: Slow) -> None:
    # The reference of a film that is made again days later, by the same worker.
    kind = SharedKind(cast(ObjectStore, store), "assets", "here")
    key = "a" * 64
    store.names = [f"assets/manifests/aa/{key}.json"]
    assert kind.peek(key)
    store.names = []
    assert store.has_after(kind, key, 60.0)
    assert store.asked == 1
    store.now += 86_400.0
    assert not kind.knows(key)
    assert not kind.peek(key)
