"""Links to delivered files in the artifacts of a run, which Prefect keeps as Markdown.

A server of `takeboard up` serves what was delivered (`flows/farm/deliveries.py`). Such a link has
no host: it holds under whatever name a browser has reached the server's pages. Elsewhere a link
names the file, to be copied: browsers open no files from a web page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urlparse

__all__ = ["SERVED", "linked_path", "served_address", "served_path"]

SERVED = "/takeboard/deliveries"
"""Begins the address of a file that a server of `up` serves; its path follows."""

_LINK = re.compile(r"\[.*\]\((\S+)\)", re.DOTALL)


def served_address(path: Path) -> str:
    """Where a server of `up` serves the file, if it does."""
    return SERVED + quote(os.fsencode(path.absolute()), safe="/")


def served_path(address: str) -> Path | None:
    """The path of the file at such an address, which may be anything; None for other addresses."""
    if not address.startswith(f"{SERVED}/"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(address.removeprefix(SERVED))))


def linked_path(markdown: str) -> Path | None:
    """The file that an artifact links to, or None when it is no such link."""
    match = _LINK.fullmatch(markdown.strip())
    if match is None:
        return None
    if match[1].startswith("file://"):
        return Path(unquote(urlparse(match[1]).path))
    return served_path(match[1])
