"""Films of one process at its cores: who comes first, and what becomes of those who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from flows import turns
from flows.ahead import AheadCut
from flows.finishing import Finishing
from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.pool import Work, run_all
from flows.shots import AHEAD, REMOTE
from flows.turns import FilmTurns, FreeTurns, Kind, Turns
from media.errors import CancelledError
from media.store import ContentStore
from storyboards.resolve import load_film
from tests.flows.films import make, write_film


def never() -> bool:
    return False


def waiting(line: Turns) -> int:
    return len(line._line)


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Cores:
    """A process with one core, which is taken until `begin`."""

    def __init__(self) -> None:
        self.turns = Turns(1)
        self.begun: list[str] = []
        self.notes: list[str] = []
        self._free = Event()
        self._threads: list[threading.Thread] = []
        self.put("", self.film(1), lambda: self._free.wait(10))
        until(lambda: self.begun == [""])

    def film(self, urgency: int = 2, came_at: float = 0.0) -> FilmTurns:
        return self.turns.of_film(urgency, self.notes.append, came_at=came_at)

    def put(
        self,
        name: str,
        film: FilmTurns,
        work: Callable[[], object] = lambda: None,
        kind: Kind = "work",
    ) -> None:
        def run() -> None:
            with film.turn(never, kind):
                self.begun.append(name)
                work()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        before = waiting(self.turns)
        thread.start()
        until(lambda: name in self.begun or waiting(self.turns) > before)

    def begin(self) -> list[str]:
        """The order in which what waits is begun."""
        self._free.set()
        for thread in self._threads:
            thread.join(10)
        return self.begun[1:]


def test_the_urgent_film_comes_first_and_then_who_was_there_first() -> None:
    cores = Cores()
    first, second, later, urgent = (cores.film(urgency) for urgency in (2, 2, 3, 1))
    for name, film in (("later", later), ("2a", second), ("1a", first), ("2b", second)):
        cores.put(name, film)
    cores.put("urgent", urgent)
    cores.put("1b", first)
    assert cores.begin() == ["urgent", "1a", "1b", "2a", "2b", "later"]


def test_a_film_that_is_begun_again_comes_when_it_came_first() -> None:
    cores = Cores()
    cores.put("second", cores.film(came_at=20.0))
    cores.put("resumed", cores.film(came_at=10.0))
    assert cores.begin() == ["resumed", "second"]


def test_a_plan_comes_before_work_and_what_is_only_prepared_after_it() -> None:
    cores = Cores()
    first, second = cores.film(), cores.film()
    cores.put("ahead", first, kind="ahead")
    cores.put("work", first)
    cores.put("work of the second", second)
    cores.put("plan of the second", second, kind="plan")
    assert cores.begin() == ["plan of the second", "work", "work of the second", "ahead"]


def test_as_many_at_a_time_as_there_are_cores() -> None:
    line, go = Turns(3), Event()
    film = line.of_film(2, print)
    under_way, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal under_way, most
        with film.turn(never):
            with lock:
                under_way += 1
                most = max(most, under_way)
            go.wait(10)
            with lock:
                under_way -= 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(9)]
    for thread in threads:
        thread.start()
    until(lambda: under_way == 3 and waiting(line) == 6)
    go.set()
    for thread in threads:
        thread.join(10)
    assert most == 3
    assert not line._taken


def test_who_is_cancelled_while_waiting_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LOOK_S", 0.01)
    cores = Cores()
    film = cores.film()
    with pytest.raises(CancelledError), film.turn(lambda: True):
        raise AssertionError("not begun")
    cores.put("next", film)
    assert cores.begin() == ["next"]


def test_a_piece_that_fails_gives_its_turn_back() -> None:
    film = Turns(1).of_film(2, print)
    with pytest.raises(ValueError, match="no"), film.turn(never):
        raise ValueError("no")
    with film.turn(never):
        pass


def test_a_film_that_waits_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_LOOK_S", 0.01)
    monkeypatch.setattr(turns, "_TOLD_AFTER_S", 0.02)
    cores = Cores()
    before, film = cores.film(), cores.film()
    cores.put("before", before)
    cores.put("a", film)
    cores.put("b", film)
    until(lambda: len(cores.notes) == 2)
    time.sleep(0.05)
    cores.begin()
    assert sorted(cores.notes) == [
        "waits for the cores of this machine: 1 film before",
        "waits for the cores of this machine: 2 films before",
    ]


def test_a_film_by_itself_waits_for_nobody() -> None:
    free = FreeTurns()
    with free.turn(lambda: True), free.turn(lambda: True):
        assert free.taking(lambda: 3, lambda: True)() == 3


def test_what_is_prepared_keeps_no_take_of_its_film_out_of_the_line(tmp_path: Path) -> None:
    cores, stop = Cores(), Event()
    film = load_film(write_film(tmp_path))
    options = FilmOptions(store=tmp_path / "store", out=tmp_path / "out", jobs=1)
    plan = plan_film(film, options)
    run = FilmRun(stop=stop, turns=cores.film())
    ahead = AheadCut(plan, Finishing(plan, options), options, run)

    def waits(kind: int) -> bool:
        return any(wish.rank[1] == kind for wish in cores.turns._line)

    work: dict[str, Work[Any]] = {
        "far away": Work(lambda: until(lambda: waits(2)), lane=REMOTE),
        "take": Work(run.turns.taking(stop.set, stop.is_set), ("far away",)),
        **ahead.work(()),
    }

    def make() -> None:
        with pytest.raises(CancelledError):
            run_all(work, jobs=1, stop=stop, lanes={REMOTE: 1, AHEAD: 1})

    making = threading.Thread(target=make, daemon=True)
    making.start()
    until(lambda: waits(1))
    cores.begin()
    making.join(10)
    assert not making.is_alive()


def test_sounds_that_are_prepared_have_a_turn_each(tmp_path: Path) -> None:
    turned: list[str] = []
    line = Turns(1, lambda name, works: turned.append(name) if works else None)
    film = load_film(write_film(tmp_path))
    options = FilmOptions(store=tmp_path / "store", out=tmp_path / "out", jobs=1)
    plan = plan_film(film, options)
    run = FilmRun(turns=line.of_film(2, print, "tiny"))
    ahead = AheadCut(plan, Finishing(plan, options), options, run)
    ahead.work(())["cut ahead: begin"].run()
    assert turned == ["tiny"]
    ahead.work(())["cut ahead: sound"].run()
    sounds = ContentStore(options.store, "sounds")
    assert len(turned) - 1 >= len(list(sounds.keys())) > 1


def test_two_films_at_one_core_are_finished(tmp_path: Path) -> None:
    line, stop = Turns(1), Event()
    made: list[MadeFilm] = []

    def film(name: str) -> None:
        run = FilmRun(stop=stop, turns=line.of_film(2, print, name))
        with suppress(CancelledError):
            made.append(make(write_film(tmp_path / name), run, jobs=2))

    films = [threading.Thread(target=film, args=(name,), daemon=True) for name in "ab"]
    for thread in films:
        thread.start()
    for thread in films:
        thread.join(30)
    stop.set()  # a piece that waits for another, at its turn, would wait for ever
    assert [len(one.deliveries) for one in made] == [1, 1]
