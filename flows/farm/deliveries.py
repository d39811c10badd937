"""Delivered films beside the Prefect server's pages, for whoever may use its API: read-only.

A request is answered with a file only when all of this holds, and else with 404 and no reason:
its path, with links followed, lies in a root; a record of Takeboard's in a folder above it lists
it, or it is the report beside such a record; it can be read. Before anything is looked for, the
password of Prefect's API is asked for, where it has one.
"""

from __future__ import annotations

import base64
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.delivery_folder import REPORT, delivered_names
from flows.farm.links import SERVED, served_path
from flows.farm.roots import require_inside_roots
from media.errors import UsageError

__all__ = ["Deliveries", "beside"]

_SHOWN: Mapping[str, str] = {
    ".html": "text/html",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".wav": "audio/wav",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".vtt": "text/plain",
    ".srt": "text/plain",
    ".ass": "text/plain",
    ".edl": "text/plain",
}
"""What a browser shows; anything else, such as XML that could be a page, it saves."""

_LOADS_OWN = (
    "default-src 'none'; img-src 'self' data:; media-src 'self' data:; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# On one origin with the API a script could use it: none runs, whoever wrote the page. The origin
# is kept, because a page of none would not be given its own pictures.
_BOXED = (
    "sandbox allow-same-origin allow-downloads allow-popups allow-popups-to-escape-sandbox; "
    + _LOADS_OWN
)
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _BOXED,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The next cut has the same name.
    "Cache-Control": "private, no-cache",
}


@dataclass(frozen=True, slots=True)
class Deliveries:
    """An ASGI application that answers for what was delivered inside the roots."""

    roots: tuple[Path, ...]
    password: str | None
    """`user:password`, as the API asks for it; None: everybody on this machine may."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope)
        if answer is None:
            answer = await run_in_threadpool(self._answer, scope)
        for name, text in _HEADERS.items():
            answer.headers.setdefault(name, text)
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "Method Not Allowed", status_code=405, headers={"Allow": "GET, HEAD"}
            )
        said = Headers(scope=scope).get("authorization", "")
        if self.password is None or _is_password(said, self.password):
            return None
        ask = {"WWW-Authenticate": 'Basic realm="Takeboard", charset="UTF-8"'}
        return PlainTextResponse("Unauthorized", status_code=401, headers=ask)

    def _answer(self, scope: Scope) -> Response:
        path = served_path(_address(scope))
        file = self._delivered(path) if path is not None else None
        if file is None:
            return _not_found()
        kind = _SHOWN.get(file.suffix.lower(), "")
        headers = {"Content-Disposition": "inline" if kind else "attachment"}
        if kind.startswith("video/"):
            # In a box it would wait for a second click; there is no page in it to be boxed.
            headers["Content-Security-Policy"] = _LOADS_OWN
        return FileResponse(file, media_type=kind or "application/octet-stream", headers=headers)

    def _delivered(self, path: Path) -> Path | None:
        """The file itself, where it may be served."""
        try:
            file = require_inside_roots(path, self.roots, "file")
            if not stat.S_ISREG(file.stat().st_mode) or not os.access(file, os.R_OK):
                return None
        except (UsageError, OSError):
            return None
        for folder in file.parents:
            if not any(folder.is_relative_to(root) for root in self.roots):
                break
            if names := delivered_names(folder):
                return file if file.relative_to(folder).as_posix() in {*names, REPORT} else None
        return None


def beside(app: ASGIApp, deliveries: Deliveries) -> ASGIApp:
    """An application that serves deliveries, and for everything else is `app`.

    Outside of it, so that a long film takes none of the places that it has for requests.
    """

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and _address(scope).startswith(f"{SERVED}/")
        await (deliveries if ours else app)(scope, receive, send)

    return both


def _address(scope: Scope) -> str:
    """What was asked for, as it was written: a name that is no UTF-8 is still whole in it."""
    raw: bytes = scope.get("raw_path") or b""
    return raw.decode("latin-1")


def _is_password(authorization: str, password: str) -> bool:
    scheme, _, coded = authorization.partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True)
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, password.encode())


def _not_found() -> Response:
    return PlainTextResponse("Not Found", status_code=404)
