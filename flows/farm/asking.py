"""Asking a Prefect server that may be away for a while.

Prefect's own client waits longer after each try: after an outage of minutes it may be minutes
more until it asks again. Who asks again anyway, at once when the server is back, gives it only a
second try of its own.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from json import JSONDecodeError

import httpx
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

from media.errors import UsageError

__all__ = ["AWAY", "SoonTold", "is_away", "is_token_race", "require_let_in", "shut_out"]

AWAY = (httpx.HTTPError, PrefectException, JSONDecodeError)
"""What a client raises when the server does not answer, or not as it should: a proxy before it
may have a page of its own."""

_RETRIES = 1
"""One more after two seconds; also what a CSRF token that has run out needs."""


def is_away(error: BaseException) -> bool:
    """Whether the same question may well be answered a little later."""
    if isinstance(error, httpx.HTTPStatusError):
        code = error.response.status_code
        return code >= 500 or code in (408, 429) or is_token_race(error.response)
    return isinstance(error, httpx.HTTPError | JSONDecodeError)


def is_token_race(answer: httpx.Response) -> bool:
    """Whether the server refuses a CSRF token that another request has just had replaced.

    Each of several first requests of one client fetches one, and only the last one counts.
    """
    return answer.status_code == 403 and "CSRF" in answer.text


def shut_out(error: BaseException) -> UsageError | None:
    """That the server lets nobody in with this password, ready to be raised; None: it does."""
    if not isinstance(error, httpx.HTTPStatusError) or is_token_race(error.response):
        return None
    if (code := error.response.status_code) not in (401, 403):
        return None
    return UsageError(
        f"the Prefect server refuses ({code})",
        where=str(error.request.url),
        todo="set PREFECT_API_AUTH_STRING to its password",
    )


async def require_let_in() -> None:
    """UsageError when the server answers, and not to us; nothing is said of one that is away."""
    try:
        with SoonTold()():
            async with get_client() as client:
                await client.request("GET", "/admin/version")
    except AWAY as error:
        if (refused := shut_out(error)) is not None:
            raise refused from None


class SoonTold:
    """Within `with soon_told():` every client of Prefect gives up soon."""

    def __init__(self) -> None:
        """Takes a tenth of a second: to be made once."""
        context = get_settings_context()
        self._profile = context.profile
        self._settings = context.settings.copy_with_update(
            updates={PREFECT_CLIENT_MAX_RETRIES: _RETRIES}
        )

    def __call__(self) -> AbstractContextManager[object]:
        return SettingsContext(profile=self._profile, settings=self._settings)
