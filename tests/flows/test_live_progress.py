"""Bars that move while takes are made, without a server: what is sent, how seldom, what is lost."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from flows.absence import Absence
from flows.film_bar import FilmBar
from flows.live_progress import LiveBoard
from flows.progress import Progress


class Server:
    """Takes requests as Prefect's API would; slow or gone if it is told to be."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.drawn: list[str] = []
        """The pictures in front of the words, which alone are kept with the bars."""
        self.bars: dict[str, dict[str, Any]] = {}
        self.gone = False
        self.answers = threading.Event()
        self.answers.set()

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((method, path))
        self.answers.wait(10)
        if self.gone:
            raise ConnectionError("refused")
        picture, _, words = body["description"].partition(") ")
        self.drawn.append(picture)
        body = {**body, "description": words}
        if method == "POST":
            self.bars[f"id{len(self.bars)}"] = dict(body)
            return {"id": f"id{len(self.bars) - 1}"}
        self.bars[path.rpartition("/")[2]].update(body)
        return {}

    def board(self, key: str = "", *, worth_s: float = 0.0, least_s: float = 0.0) -> LiveBoard:
        return LiveBoard(self.send, {"flow_run_id": "r"}, key, worth_s=worth_s, least_s=least_s)


def test_a_bar_moves_with_the_steps_then_the_frames_and_ends_full() -> None:
    server, told = Server(), []
    with server.board() as board:
        bar = board.progress("sc010/sh0020 take 1", num_frames=80)
        for done, total in [(15, 30), (30, 30), (40, 80), (80, 80)]:
            bar.step(done, total)
            told.append(_settled(server)["id0"].copy())
        bar.end(ok=True)
    assert [one["data"] for one in told] == [45.0, 90.0, 95.0, 100.0]
    assert told[0] == {
        "type": "progress",
        "flow_run_id": "r",
        "data": 45.0,
        "description": "sc010/sh0020 take 1, 45 %: step 15 of 30",
    }
    assert told[2]["description"] == "sc010/sh0020 take 1, 95 %: frame 40 of 80"
    assert server.bars["id0"]["data"] == 100.0
    assert server.bars["id0"]["description"] == "sc010/sh0020 take 1: done in 0 s"


def test_a_bar_is_drawn_as_long_as_it_is_and_in_the_colour_of_how_it_ended() -> None:
    server = Server()
    with server.board() as board:
        bar = board.progress("a", num_frames=80)
        bar.step(15, 30)
        _settled(server)
        bar.end(ok=True)
        _settled(server)
        bar = board.progress("b", num_frames=80)
        bar.step(10, 80)
        _settled(server)
        bar.end(ok=False)
        _settled(server)
    words = [picture.partition("](")[0] for picture in server.drawn]
    assert words == ["![45 %", "![100 %", "![12 %", "![12 %"]
    bars = [_rectangles(picture)[1] for picture in server.drawn]
    assert [width for width, _ in bars] == [108, 240, 30, 30]
    moving, done, again, failed = (colour for _, colour in bars)
    assert moving == again
    assert len({moving, done, failed}) == 3
    assert max(map(len, server.drawn)) < 500


def test_a_bar_never_goes_back() -> None:
    server = Server()
    with server.board() as board:
        bar = board.progress("a", num_frames=10)
        bar.step(8, 10)
        bar.step(2, 10)
    assert server.bars["id0"]["data"] == 80.0


def test_a_cancelled_take_says_so_where_it_stood() -> None:
    server = Server()
    with server.board() as board:
        bar = board.progress("a", num_frames=80)
        bar.step(12, 30)
        bar.leave("cancelled")
    assert server.bars["id0"]["data"] == 36.0
    assert server.bars["id0"]["description"] == "a: cancelled at step 12 of 30"


def test_a_failed_take_leaves_its_bar_where_it_stood_and_says_why() -> None:
    server = Server()
    with server.board() as board:
        bar = board.progress("a", num_frames=80)
        bar.step(12, 30)
        bar.end(ok=False, why="out of memory")
    assert server.bars["id0"]["data"] == 36.0
    assert server.bars["id0"]["description"] == (
        "a: failed at step 12 of 30 after 0 s: out of memory"
    )


def test_quick_takes_have_no_bar() -> None:
    server = Server()
    with server.board(worth_s=5.0) as board:
        for take in range(200):
            bar = board.progress(f"take {take}", num_frames=10)
            for done in range(10):
                bar.step(done + 1, 10)
            bar.end(ok=True)
    assert server.asked == []


def test_a_take_that_is_nearly_done_when_it_gets_long_has_no_bar() -> None:
    server = Server()
    with server.board(worth_s=0.05) as board:
        bar = board.progress("a", num_frames=100)
        time.sleep(0.06)
        bar.step(99, 100)
        assert server.asked == []
        later = board.progress("b", num_frames=100)
        time.sleep(0.06)
        later.step(30, 100)
    assert [bar["data"] for bar in server.bars.values()] == [30.0]


def test_a_bar_is_used_again_by_the_next_take() -> None:
    server = Server()
    with server.board("lht") as board:
        for take in range(50):
            first, second = (board.progress(f"{take}{lane}", num_frames=9) for lane in "ab")
            for bar in (first, second):
                bar.step(3, 9)
            for bar in (first, second):
                bar.end(ok=True)
    assert sorted(bar["key"] for bar in server.bars.values()) == [
        "lht-rendering-1", "lht-rendering-2",
    ]  # fmt: skip
    assert {bar["description"].split(":")[0] for bar in server.bars.values()} == {"49a", "49b"}


def test_thousands_of_steps_are_some_twenty_updates() -> None:
    server = Server()
    with server.board() as board:
        bar = board.progress("a", num_frames=5000)
        for done in range(5000):
            bar.step(done + 1, 5000)
            if done % 50 == 0:
                time.sleep(0.001)  # so that nothing is left out because it was overtaken
        bar.end(ok=True)
    assert 3 <= len(server.asked) <= 22


def test_updates_are_seconds_apart() -> None:
    server = Server()
    with server.board(least_s=30.0) as board:
        bar = board.progress("a", num_frames=10)
        for done in range(10):
            bar.step(done + 1, 10)
            _settled(server)
        assert len(server.asked) == 1
        bar.end(ok=True)
    assert len(server.asked) == 2


def test_a_slow_server_holds_nothing_up_and_hears_only_the_last() -> None:
    server = Server()
    server.answers.clear()
    with server.board() as board:
        bar = board.progress("a", num_frames=1000)
        started = time.monotonic()
        for done in range(1000):
            bar.step(done + 1, 1000)
        bar.end(ok=True)
        assert time.monotonic() - started < 1.0
        server.answers.set()
    assert 1 <= len(server.asked) <= 2
    assert server.bars["id0"]["data"] == 100.0


def test_a_server_that_has_gone_is_left_alone() -> None:
    server = Server()
    server.gone = True
    with server.board() as board:
        bar = board.progress("a", num_frames=10)
        for done in range(10):
            bar.step(done + 1, 10)
            time.sleep(0.005)
        bar.end(ok=True)
    assert len(server.asked) == 1


def test_a_silent_server_delays_the_end_by_seconds_only() -> None:
    server = Server()
    server.answers.clear()
    started = time.monotonic()
    with server.board() as board:
        board.progress("a", num_frames=10).step(5, 10)
    assert time.monotonic() - started < 5.0
    server.answers.set()


def test_many_threads_may_step_at_once() -> None:
    server = Server()
    with server.board() as board:
        bars = [board.progress(str(number), num_frames=200) for number in range(8)]

        def render(number: int) -> None:
            for done in range(200):
                bars[number].step(done + 1, 200)
            bars[number].end(ok=True)

        threads = [threading.Thread(target=render, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {bar["data"] for bar in server.bars.values()} == {100.0}


def test_the_films_bar_tells_takes_then_cuts_and_passes_all_on() -> None:
    server = Server()
    shown = Shown()
    said = []
    with server.board("lht") as board:
        bar = board.film()
        film = FilmBar(shown, bar, cuts=2)

        def now() -> str:
            return str(_settled(server)["id0"]["description"])

        film.stage("shots", 200)
        said.append(now())
        film.advance("shots", 100, "sc010/sh0010")
        film.takes(1, 2)
        said.append(now())
        for _ in range(2):
            film.stage("sound", 3)
            said.append(now())
            film.stage("picture", 0)
            film.at("picture", 4, 4)
        said.append(now())
        bar.end(ok=True)
    assert said == [
        "0 %: 0 of 200 frames",
        "35 %: 100 of 200 frames",
        "80 %: making sound 1 of 2, 0 of 3",
        "90 %: making sound 2 of 2, 0 of 3",
        "100 %: cutting 2 of 2, 4 of 4",
    ]
    assert server.bars["id0"]["key"] == "lht-progress"
    assert shown.told[:3] == ["stage shots 200", "advance shots 100 sc010/sh0010", "takes 1 2"]


class Shown(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stage(self, name: str, total: int) -> None:
        self.told.append(f"stage {name} {total}")

    def advance(self, name: str, steps: int = 1, label: str = "") -> None:
        self.told.append(f"advance {name} {steps} {label}")

    def takes(self, done: int, total: int) -> None:
        self.told.append(f"takes {done} {total}")


def _settled(server: Server) -> dict[str, dict[str, Any]]:
    """The bars, once nothing more arrives."""
    heard = -1
    while heard != len(server.asked):
        heard = len(server.asked)
        time.sleep(0.03)
    return server.bars


def test_a_server_that_comes_back_is_recorded_with_again() -> None:
    there = [False]
    absence = Absence(lambda: there[0], ask_every_s=0.05)
    assert not absence.goes_on
    assert absence.begin()
    assert not absence.begin()
    assert absence.goes_on
    time.sleep(0.06)
    assert absence.goes_on  # asked, and still away
    there[0] = True
    assert absence.goes_on  # not asked again so soon
    time.sleep(0.06)
    assert not absence.goes_on
    assert absence.begin()


def _rectangles(picture: str) -> list[tuple[int, str]]:
    """Width and colour of the track and of what is done of it."""
    svg = base64.b64decode(picture.rpartition(",")[2]).decode()
    found = ElementTree.fromstring(svg).findall("{http://www.w3.org/2000/svg}rect")
    return [(int(one.attrib["width"]), one.attrib["fill"]) for one in found]
