"""Paths in the link artifacts of a run, which Prefect keeps as Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

__all__ = ["linked_path"]

_LINK = re.compile(r"\[.*\]\((file://\S+)\)", re.DOTALL)


def linked_path(markdown: str) -> Path | None:
    """The file that an artifact links to, or None when it is no such link."""
    match = _LINK.fullmatch(markdown.strip())
    return Path(unquote(urlparse(match[1]).path)) if match else None
