"""Numbers in sentences."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, what: str) -> str:
    """`1 take`, `2 takes`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
