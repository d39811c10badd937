"""The time by the server's clock, whatever the clock of this machine says."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from prefect.client.orchestration import PrefectClient

__all__ = ["ServerClock"]

_ASK_EVERY_S = 300.0
"""Clocks that count seconds drift by milliseconds meanwhile."""


class ServerClock:
    """Asked rarely and carried on by the seconds that have passed, which no clock jump changes.

    The runs that are due are those that the server would start now: a worker whose clock is
    behind would see none of them, and one whose clock is ahead would begin tomorrow's.
    """

    def __init__(self, passed_s: Callable[[], float] = time.monotonic) -> None:
        self._passed_s = passed_s
        self._heard: datetime | None = None
        self._heard_at = 0.0

    async def now(self, client: PrefectClient) -> datetime:
        """The server's time, to a second. Raises as the client does when it has to ask."""
        if self._heard is None or self._passed_s() - self._heard_at > _ASK_EVERY_S:
            answer = await client.request("GET", "/health")
            self._heard = _time_of(answer.headers.get("date", ""))
            self._heard_at = self._passed_s()
        return self._heard + timedelta(seconds=self._passed_s() - self._heard_at)


def _time_of(date: str) -> datetime:
    """What an HTTP date says, or our own time where a proxy has removed it."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
