"""What a worker leaves alone, for how long, and what a film makes of its store's absence."""

from __future__ import annotations

from threading import Event

import pytest

from flows.farm import store_patience
from flows.farm.resting import Rests
from flows.farm.store_patience import Outage, StorePatience
from flows.progress import Progress
from media.errors import StoreError

AWAY = StoreError("it does not answer", where="s3://films/one")


class Notes(Progress):
    def __init__(self) -> None:
        self.read: list[str] = []

    def note(self, text: str) -> None:
        self.read.append(text)


def test_a_store_is_left_alone_by_itself_and_longer_each_time() -> None:
    passed = [0.0]
    rests = Rests(lambda: passed[0])
    assert rests.leave("s3://films/one") == 5
    assert rests.leave("s3://films/one") == 0, "it was left already"
    assert rests.is_left("s3://films/one")
    assert not rests.is_left("/films/other")
    assert not rests.is_left()
    lasted = []
    for _ in range(5):
        passed[0] += 200
        assert not rests.is_left("s3://films/one")
        lasted.append(rests.leave("s3://films/one"))
    assert lasted == [10, 20, 60, 120, 120]
    rests.take_up("s3://films/one")
    assert not rests.is_left("s3://films/one")
    assert rests.leave("s3://films/one") == 5


def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    passed = [1000.0]
    monkeypatch.setattr(store_patience.time, "monotonic", lambda: passed[0])
    return passed


def test_an_outage_is_told_once_for_all_takes_and_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed, notes = clock(monkeypatch), Notes()
    outage = Outage(notes)
    for _ in range(10):
        outage.note(AWAY)
        passed[0] += 80
    outage.require_patience()
    passed[0] += 100
    with pytest.raises(StoreError, match="does not answer, for 15 minutes now"):
        outage.note(AWAY)
    with pytest.raises(StoreError):
        outage.require_patience()
    # A take that begins only now does not wait for as long again.
    with pytest.raises(StoreError, match="for 15 minutes now"):
        StorePatience(outage, Event()).reach(_away)
    assert len(notes.read) == 1


def test_one_machine_without_the_store_is_no_outage_while_another_is_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed, notes, at_work = clock(monkeypatch), Notes(), [True]
    outage = Outage(notes, lambda: at_work[0])
    for _ in range(30):  # takes of forty minutes, and a machine whose disk is full
        outage.note(AWAY)
        passed[0] += 80
    at_work[0] = False
    outage.note(AWAY)
    passed[0] += 250
    outage.note(AWAY)
    passed[0] += 250
    with pytest.raises(StoreError, match="minutes now"):
        outage.note(AWAY)
    assert len(notes.read) == 1


def test_an_outage_ends_when_the_store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, notes = clock(monkeypatch), Notes()
    outage = Outage(notes)
    outage.note(AWAY)
    passed[0] += 290
    outage.note(AWAY)
    assert StorePatience(outage, Event()).reach(lambda: 7) == 7
    passed[0] += 700
    outage.note(AWAY)
    assert [note.rpartition("; ")[2] for note in notes.read] == [
        "waiting for the take store",
        "the take store is there again, after 290 s",
        "waiting for the take store",
    ]


def test_failures_far_apart_are_two_outages(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, notes = clock(monkeypatch), Notes()
    outage = Outage(notes)
    outage.note(AWAY)
    passed[0] += 3600  # a take that lasts an hour, made where the store is there
    outage.require_patience()
    outage.note(AWAY)
    assert len(notes.read) == 2


def _away() -> None:
    raise AWAY
