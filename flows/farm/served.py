"""Whether the server of this run serves a file that was delivered: it is asked.

Only the server knows: it may be another one than that of `takeboard up`, have other roots, or not
see this machine's folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from flows.farm.links import served_address

__all__ = ["asked_address"]

_PLAIN = {"Accept-Encoding": "identity"}
"""Whoever packs an answer on its way leaves out how long it is."""


def asked_address(path: Path) -> str:
    """Where the server's pages can link to for this very file; empty: it does not serve it.

    httpx.TransportError when no server answers.
    """
    address = served_address(path)
    try:
        num_bytes = path.stat().st_size
        with get_client(sync_client=True) as client:
            # Prefect's client brings the password and whatever else this server asks for.
            head = cast(Any, client).request(
                "HEAD", urljoin(str(client.api_url), address), headers=_PLAIN
            )
    except httpx.TransportError:
        raise
    except (OSError, PrefectException, httpx.HTTPError):
        return ""
    # Another server answers with its own front page, whatever it is asked for.
    is_it = head.status_code == 200 and head.headers.get("content-length") == str(num_bytes)
    return address if is_it else ""
