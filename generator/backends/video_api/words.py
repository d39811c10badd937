"""A server's own words, made fit for a message: short, plain, and without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["spoken_words"]

_MOST_CHARS = 300
_MOST_READ = 64 * 1024
_LEAST_SECRET_CHARS = 4
"""A shorter key is in too many words to be taken out of them."""

# What follows the path of an address may be a signature that opens it.
_SIGNED = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")
_LOGIN = re.compile(r"(https?://)[^\s/@\"'<>]+@")


def spoken_words(said: object, secret: str = "") -> str:
    """What `said`, an answer's bytes or a piece of its JSON, says to a person, on one line."""
    if isinstance(said, bytes):
        text = said[:_MOST_READ].decode("utf-8", "replace")
        try:
            said = json.loads(text)
        except ValueError:
            said = text
    words = "; ".join(dict.fromkeys(_sentences(said)))
    if len(secret) >= _LEAST_SECRET_CHARS:
        words = words.replace(secret, "[key]")
    words = _LOGIN.sub(r"\1", _SIGNED.sub(r"\1", words))
    plain = " ".join("".join(char if char.isprintable() else " " for char in words).split())
    return plain if len(plain) <= _MOST_CHARS else f"{plain[: _MOST_CHARS - 1]}…"


def _sentences(said: Any) -> Iterator[str]:
    """The messages in FastAPI's `detail`, OpenAI's `error` and plain text, in this order."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, list):
        for one in said[:8]:
            yield from _sentences(one)
    elif isinstance(said, dict):
        where = said.get("loc")
        message = said.get("msg") or said.get("message")
        if isinstance(message, str):
            place = ".".join(str(step) for step in where) if isinstance(where, list) else ""
            yield f"{place}: {message}" if place else message
            return
        for name in ("detail", "error"):
            if said.get(name):
                yield from _sentences(said[name])
                return
