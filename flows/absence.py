"""A server that has gone, and may come back while a long film is made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
from prefect.settings import PREFECT_API_URL

__all__ = ["Absence", "server_answers"]

_ASK_EVERY_S = 60.0
_ANSWER_WITHIN_S = 2.0


def server_answers() -> bool:
    """Whether the server of this run does, found out within two seconds."""
    try:
        url = str(PREFECT_API_URL.value()).rstrip("/")
        return httpx.get(f"{url}/health", timeout=_ANSWER_WITHIN_S).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


class Absence:
    """Whether the server is away. May be used from any thread."""

    def __init__(
        self, answers: Callable[[], bool] = server_answers, *, ask_every_s: float = _ASK_EVERY_S
    ) -> None:
        self._answers, self._ask_every_s = answers, ask_every_s
        self._lock = threading.Lock()
        self._since: float | None = None

    def begin(self) -> bool:
        """It did not answer; whether that is news."""
        with self._lock:
            news, self._since = self._since is None, time.monotonic()
            return news

    @property
    def goes_on(self) -> bool:
        """Whether it is still away: it is asked once a minute, so that a film loses seconds."""
        with self._lock:
            if self._since is None:
                return False
            if time.monotonic() - self._since < self._ask_every_s:
                return True
            self._since = None if self._answers() else time.monotonic()
            return self._since is not None
