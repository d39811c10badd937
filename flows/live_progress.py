"""Live progress in Prefect: bars that move while takes are made.

A bar is a progress artifact of the run that is under way. Prefect shows of one the figure and its
description, so the bar itself is a small picture in there. Renders never wait for it: what they
say is noted, and one thread sends the last of it, seldom, and drops it when the server is slow
or gone. A bar that is done is used again for the next take, so a film of a thousand shots has as
many bars as takes at a time; and takes that are quick have none.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from flows.page_pictures import Bar, bar_picture
from flows.recorder import Watch

__all__ = ["LiveBoard", "LiveProgress", "Send", "prefect_board"]

Send = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
"""Method, path below the API and body of a request; returns what the server answers."""

_LEAST_S, _LEAST_PERCENT = 2.0, 5.0
"""Between two updates of a bar, both: at most some twenty over a take, however long it is."""
_WORTH_S = 5.0
"""A take gets a bar once it has taken this long and will by its pace take as long again."""
_DEAF_S = 30.0
"""How long a server that did not take an update is told nothing."""
_LAST_WORDS_S = 3.0
"""How long the end of a run waits for its last updates to be sent."""
_ANSWER_WITHIN_S = 5.0
_STEPS_SHARE = 0.9
"""Of a take's bar, before its frames are counted: a model's own steps are most of the work."""


@dataclass(slots=True)
class _Bar:
    """An artifact on the server, or one to be."""

    key: str
    id: str = ""
    free: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    percent: float
    words: str
    kind: Bar


class LiveBoard:
    """The bars of one run, for as long as the `with` block lasts."""

    def __init__(
        self,
        send: Send,
        place: Mapping[str, str],
        key: str = "",
        *,
        worth_s: float = _WORTH_S,
        least_s: float = _LEAST_S,
    ) -> None:
        """`place` says whose artifacts they are (`flow_run_id`); `key` begins their keys.

        Without a key they are seen on the run's own page alone.
        """
        self.worth_s, self.least_s = worth_s, least_s
        self._send, self._place, self._key = send, place, key
        self._bars: list[_Bar] = []
        self._due: dict[str, tuple[_Bar, _Reading]] = {}
        """By the bar's key: only the last reading of each matters, so this never grows."""
        self._wake = threading.Condition()
        self._closed = False
        self._deaf_until = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LiveBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def progress(self, label: str, num_frames: int = 0) -> LiveProgress:
        """A bar for the take called `label`, which the server hears of only if it takes long."""
        return LiveProgress(self, label, num_frames)

    def film(self) -> LiveProgress:
        """A bar for the whole film, there at once and till the end, with a key of its own."""
        return LiveProgress(self, "", bar=_Bar(_joined(self._key, "progress")), least_percent=1)

    def close(self) -> None:
        """Send what is still to be sent, for a few seconds at most."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(_LAST_WORDS_S)

    def take_bar(self) -> _Bar:
        """A bar that nobody uses now."""
        with self._wake:
            for bar in self._bars:
                if bar.free:
                    bar.free = False
                    return bar
            bar = _Bar(_joined(self._key, f"rendering-{len(self._bars) + 1}"))
            self._bars.append(bar)
            return bar

    def show(self, bar: _Bar, percent: float, words: str, kind: Bar = "moving") -> None:
        """Have the bar say this in a moment; unless it is moving, whoever used it is done."""
        with self._wake:
            bar.free = kind != "moving"
            if self._closed:
                return
            self._due[bar.key] = (bar, _Reading(percent, words, kind))
            if self._thread is None:
                # With the run's settings: where the server is, and the password to it.
                context = contextvars.copy_context()
                self._thread = threading.Thread(
                    target=context.run, args=(self._work,), name="takeboard-live", daemon=True
                )
                self._thread.start()
            self._wake.notify()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._due or self._closed)
                if not self._due:
                    return
                bar, reading = self._due.pop(next(iter(self._due)))
            if time.monotonic() >= self._deaf_until:
                self._tell(bar, reading)

    def _tell(self, bar: _Bar, reading: _Reading) -> None:
        picture = bar_picture(reading.percent, reading.kind)
        said = f"![{reading.percent:.0f} %]({picture}) {reading.words}"
        body = {"data": round(reading.percent, 1), "description": said}
        try:
            if bar.id:
                self._send("PATCH", f"/artifacts/{bar.id}", body)
                return
            named = {"key": bar.key} if self._key else {}
            made = self._send(
                "POST", "/artifacts/", {"type": "progress", **named, **self._place, **body}
            )
            bar.id = str(made["id"])
        except Exception:
            # Whatever the trouble is, it is the bar's alone: the film goes on.
            self._deaf_until = time.monotonic() + _DEAF_S


class LiveProgress(Watch):
    """One take's progress, or the film's. May be called from any thread; never waits or raises."""

    def __init__(
        self,
        board: LiveBoard,
        label: str,
        num_frames: int = 0,
        bar: _Bar | None = None,
        least_percent: float = _LEAST_PERCENT,
    ) -> None:
        self._board, self._label, self._num_frames = board, label, num_frames
        self._bar, self._least_percent = bar, least_percent
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._told_at, self._told = -math.inf, -math.inf
        self._percent = 0.0
        self._stepped = False
        self._words = ""

    def step(self, done: int, total: int) -> None:
        """`done` of `total` are done: frames where that is how many the take has, else steps."""
        frames = total == self._num_frames
        share = min(1.0, done / max(total, 1))
        with self._lock:
            if not frames:
                self._stepped = True
                share *= _STEPS_SHARE
            elif self._stepped:
                share = _STEPS_SHARE + (1 - _STEPS_SHARE) * share
            self._say(100 * share, f"{'frame' if frames else 'step'} {done} of {total}")

    def say(self, percent: float, words: str, *, news: bool = False) -> None:
        """Put it in words of one's own; `news` are told at once, and may be few."""
        with self._lock:
            if news:
                self._told_at = self._told = -math.inf
            self._say(percent, words)

    def end(self, ok: bool, why: str = "") -> None:
        """The take is there, or `why` it is not."""
        with self._lock:
            took = f"{time.monotonic() - self._started:.0f} s"
            if ok:
                self._percent = 100.0
                self._leave(f"done in {took}", "done")
            else:
                at = f" at {self._words}" if self._words else ""
                self._leave(f"failed{at} after {took}" + (f": {why}" if why else ""), "failed")

    def leave(self, words: str) -> None:
        """It ends as it stands, and did not fail: it was cancelled, or waits for a person."""
        with self._lock:
            at = f" at {self._words}" if self._words else ""
            self._leave(f"{words}{at}", "left")

    def _leave(self, words: str, kind: Bar) -> None:
        if self._bar is not None:
            said = ": ".join(filter(None, (self._label, words)))
            self._board.show(self._bar, self._percent, said, kind)

    def _say(self, percent: float, words: str) -> None:
        self._percent = max(self._percent, min(100.0, percent))
        self._words = words
        now = time.monotonic()
        if self._bar is None:
            if not self._is_worth_it(now - self._started):
                return
            self._bar = self._board.take_bar()
        if now - self._told_at < self._board.least_s:
            return
        if self._percent - self._told < self._least_percent:
            return
        self._told_at, self._told = now, self._percent
        # Cards in the UI show some fifty letters and no bar: what matters comes first.
        at = ", ".join(filter(None, (self._label, f"{self._percent:.0f} %")))
        self._board.show(self._bar, self._percent, f"{at}: {words}")

    def _is_worth_it(self, elapsed_s: float) -> bool:
        left_s = elapsed_s * (100 - self._percent) / max(self._percent, 1.0)
        return elapsed_s >= self._board.worth_s and left_s >= self._board.worth_s


def prefect_board(key: str = "") -> LiveBoard:
    """The board of the flow run that is under way."""
    from prefect.client.orchestration import SyncPrefectClient, get_client
    from prefect.utilities.context import get_task_and_flow_run_ids

    clients: list[SyncPrefectClient] = []

    def send(method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if not clients:
            # A client of the sending thread's own, which is made there.
            clients.append(
                get_client(httpx_settings={"timeout": _ANSWER_WITHIN_S}, sync_client=True)
            )
        # Not `update_artifact`: it emits an event each time, which is more to write than the bar.
        answer = clients[0].request(method, path, json=dict(body))  # type: ignore[arg-type]
        return dict(answer.json()) if answer.content else {}

    _, flow_run = get_task_and_flow_run_ids()
    place = {"flow_run_id": str(flow_run)} if flow_run else {}
    return LiveBoard(send, place, key)


def _joined(*words: str) -> str:
    return "-".join(filter(None, words))
