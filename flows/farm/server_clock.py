"""The time by the server's clock, whatever the clock of this machine says."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from prefect.client.orchestration import PrefectClient

__all__ = ["ServerClock"]

_ASK_EVERY_S = 10.0
"""So late is what falls due when the server's own clock is put forward."""
_WRONG_S = 60.0
"""Differences from here on are told. Prefect judges signs of life by the time that their sender
writes on them, so of a clock that is wrong by minutes the server takes runs for silent."""


class ServerClock:
    """Asked rarely and carried on by the seconds that have passed, which no clock jump changes.

    The runs that are due are those that the server would start now: a worker whose clock is
    behind would see none of them, and one whose clock is ahead would begin tomorrow's.
    """

    def __init__(
        self,
        passed_s: Callable[[], float] = time.monotonic,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        """`tell` is given a line when this machine's clock is wrong, and when it is right again."""
        self._passed_s, self._tell = passed_s, tell
        self._heard: datetime | None = None
        self._heard_at = 0.0
        self._told_ahead_s = 0.0

    async def now(self, client: PrefectClient) -> datetime:
        """The server's time, to a second. Raises as the client does when it has to ask."""
        if self._heard is None or self._passed_s() - self._heard_at > _ASK_EVERY_S:
            answer = await client.request("GET", "/health")
            self._heard = _time_of(answer.headers.get("date", ""))
            self._heard_at = self._passed_s()
            self._compare((datetime.now(UTC) - self._heard).total_seconds())
        return self._heard + timedelta(seconds=self._passed_s() - self._heard_at)

    def _compare(self, ahead_s: float) -> None:
        ahead_s = ahead_s if abs(ahead_s) > _WRONG_S else 0.0
        if abs(ahead_s - self._told_ahead_s) > _WRONG_S:
            self._told_ahead_s = ahead_s
            way = "ahead of" if ahead_s > 0 else "behind"
            self._tell(
                f"the clock of this machine is {abs(ahead_s):.0f} s {way} the Prefect server's: "
                "set it, or the server takes what is made here for silent"
                if ahead_s
                else "the clock of this machine agrees with the Prefect server's again"
            )


def _time_of(date: str) -> datetime:
    """What an HTTP date says, or our own time where a proxy has removed it."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
