"""Which backends this machine can render with, and what the others lack."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from generator.backends.base import Backend, Licence
from generator.backends.registry import InstalledBackends
from generator.local.settings import models_file
from generator.requests import FOOTAGE

__all__ = ["models_facts", "models_table"]


def models_facts() -> list[dict[str, Any]]:
    """Every backend that a shot can name, for programs. Loads no weights."""
    return [_facts(backend) for backend in _backends()]


def models_table() -> RenderableType:
    """The same for people: a line each, then what is lacking and what to do."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("backend", "ready", "sound", "longest take", "licence"):
        table.add_column(heading)
    lacking = []
    for backend in _backends():
        able = backend.capabilities
        seconds = able.max_take_s or float(able.frame_rule.maximum / max(able.fps, default=24))
        ready = Text("yes", "green") if not backend.unready else Text("no", "yellow")
        sound = "its own" if able.native_audio else "made beside it"
        longest = f"{seconds:.0f} s" if seconds < 600 else "any"
        table.add_row(backend.id, ready, sound, longest, _terms(able.licence))
        if backend.unready:
            lacking.append(Text.assemble((backend.id, "bold"), f": {backend.unready}"))
    path = models_file()
    found = "" if path.exists() else " (there is none yet; docs/models.md shows one)"
    return Group(table, "", *lacking, "" if lacking else Text(), f"Models file: {path}{found}")


def _backends() -> tuple[Backend, ...]:
    """All but the one that takes the user's own clips, which no shot names."""
    installed = InstalledBackends()
    return tuple(installed[name] for name in installed if name != FOOTAGE)


def _facts(backend: Backend) -> dict[str, Any]:
    able, licence = backend.capabilities, backend.capabilities.licence
    return {
        "backend": backend.id,
        "ready": not backend.unready,
        "unready": backend.unready,
        "tasks": sorted(able.tasks),
        "references": dict(able.max_references),
        "native_audio": able.native_audio,
        "max_take_s": able.max_take_s,
        "licence": {
            "id": licence.id,
            "revenue_cap_usd": licence.revenue_cap_usd,
            "excluded_territories": list(licence.excluded_territories),
            "url": licence.url,
        },
    }


def _terms(licence: Licence) -> str:
    terms = [licence.id]
    if licence.revenue_cap_usd is not None:
        terms.append(f"below ${licence.revenue_cap_usd / 1e6:g}M a year")
    if licence.excluded_territories:
        terms.append(f"not {', '.join(licence.excluded_territories)}")
    return "; ".join(terms)
