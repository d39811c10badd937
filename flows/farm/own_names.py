"""The names by which a server that asks for no password may be asked: its own.

Only this machine can connect to such a server, but so can every page in a browser here. The
browser keeps pages of other sites from reading answers by the name of the site they are from; a
site whose name is made to lead to this machine, once its page is open, would get around that.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["asked_by_name", "own_names"]

_REFUSED = (
    "This server is not known by that name. If it is yours, set a password, or add its address to "
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS."
)


def own_names(host: str, origins: str) -> frozenset[str]:
    """Of a server that listens on `host`: this machine's, and those of its configured origins."""
    configured = {_name(urlsplit(origin.strip()).netloc) for origin in origins.split(",")}
    return frozenset({"localhost", "127.0.0.1", "::1", host.lower(), *configured} - {""})


def asked_by_name(app: ASGIApp, names: frozenset[str]) -> ASGIApp:
    """`app` for requests to a host of one of the `names`; others are refused with 421."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        asks = scope["type"] in ("http", "websocket")
        if asks and _name(Headers(scope=scope).get("host", "")) not in names:
            await PlainTextResponse(_REFUSED, status_code=421)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer


def _name(host: str) -> str:
    """That in a Host header, without the port; empty when there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
