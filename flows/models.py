"""Which backends this machine, or the farm, can render with, and what the others lack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from generator.backends.base import Backend, Licence
from generator.backends.registry import InstalledBackends
from generator.local.settings import models_file
from generator.requests import FOOTAGE

if TYPE_CHECKING:
    from flows.farm.readiness import FarmReadiness

__all__ = ["models_facts", "models_table", "workers_facts"]


def models_facts(farm: FarmReadiness | None = None) -> list[dict[str, Any]]:
    """Every backend that a shot can name, for programs. Loads no weights."""
    return [_facts(backend) for backend in _backends(farm)]


def workers_facts(farm: FarmReadiness) -> list[dict[str, Any]]:
    """What each GPU worker of the farm can make, for programs."""
    told = [
        {
            "worker": name,
            "online": True,
            "takeboard": machine.takeboard if machine else "",
            "backends": {id: one.revision for id, one in machine.backends.items()}
            if machine
            else {},
        }
        for name, machine in sorted(farm.workers.items())
    ]
    return told + [
        {"worker": name, "online": False, "takeboard": "", "backends": {}} for name in farm.missed
    ]


def models_table(farm: FarmReadiness | None = None) -> RenderableType:
    """The same for people: a line each, then what is lacking and what to do."""
    table = _table("backend", "ready", "sound", "longest take", "licence")
    lacking = []
    for backend in _backends(farm):
        able = backend.capabilities
        seconds = able.max_take_s or float(able.frame_rule.maximum / max(able.fps, default=24))
        ready = Text("yes", "green") if not backend.unready else Text("no", "yellow")
        sound = "its own" if able.native_audio else "made beside it"
        longest = f"{seconds:.0f} s" if seconds < 600 else "any"
        table.add_row(backend.id, ready, sound, longest, _terms(able.licence))
        if backend.unready:
            lacking.append(Text.assemble((backend.id, "bold"), f": {backend.unready}"))
    return Group(table, "", *lacking, "" if lacking else Text(), _where(farm))


def _where(farm: FarmReadiness | None) -> RenderableType:
    """Whose they are: this machine's models file, or the workers of the farm."""
    if farm is None:
        path = models_file()
        found = "" if path.exists() else " (there is none yet; docs/models.md shows one)"
        return f"Models file: {path}{found}"
    workers = workers_facts(farm)
    if not workers:
        return "No GPU worker is there: takeboard worker --pool gpu"
    table = _table("worker", "online", "ready with")
    for one in workers:
        online = Text("yes", "green") if one["online"] else Text("no", "yellow")
        table.add_row(one["worker"], online, Text("\n".join(_ready_with(one))))
    return table


def _ready_with(worker: dict[str, Any]) -> Iterator[str]:
    """A line a backend, or why there is none."""
    yield from (f"{id} {revision}" for id, revision in sorted(worker["backends"].items()))
    if not worker["online"]:
        yield "seen within the hour"
    elif not worker["takeboard"]:
        yield "has told nothing that this version can read"
    elif not worker["backends"]:
        yield "no model: see `takeboard models` there"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading)
    return table


def _backends(farm: FarmReadiness | None) -> tuple[Backend, ...]:
    """All but the one that takes the user's own clips, which no shot names."""
    installed = InstalledBackends() if farm is None else farm.backends()
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
