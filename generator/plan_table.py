"""A plan to read: as tables in the terminal, and as JSON for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from generator.backends.base import Licence, Loss, Quote
from generator.plan import Plan, ShotJob, total_quote
from media.words import counted

__all__ = ["loss_report", "plan_dict", "plan_table"]

_STATE_STYLES = {"cached": "green", "stale": "yellow", "new": "cyan"}


def plan_table(plan: Plan) -> RenderableType:
    """A row per take, the total, and what will be lost."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("shot", "take", "backend", "frames", "size", "state"):
        right = heading in ("take", "frames", "size")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    table.add_column("quote", justify="right")
    for job in plan.jobs:
        table.add_row(*_row(job, plan))
    parts: list[RenderableType] = [table, Text(), Text(_total_words(plan))]
    parts += [Text(line) for line in _licence_lines(plan)]
    parts += [Text(note, style="yellow") for note in plan.notes]
    report = loss_report(plan)
    return Group(*parts, Text(), report) if report is not None else Group(*parts)


def loss_report(plan: Plan) -> RenderableType | None:
    """What the storyboard asks for and will not get, each with its shots; None for nothing."""
    shots: dict[Loss, list[str]] = {loss: [] for loss in plan.losses}
    for job in plan.jobs:
        for loss in job.losses:
            named = shots.setdefault(loss, [])
            if job.shot_id not in named:
                named.append(job.shot_id)
    if not shots:
        return None
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("not honoured", overflow="fold")
    table.add_column("why", overflow="fold")
    table.add_column("where", overflow="fold")
    for loss, ids in shots.items():
        table.add_row(escape(loss.field), escape(loss.reason), escape(_few(ids) or "film"))
    return table


def plan_dict(plan: Plan) -> dict[str, Any]:
    """The plan ready for JSON; the names in it are stable."""
    total = total_quote(plan.jobs)
    return {
        "version": 1,
        "film": {
            "title": plan.film.title,
            "code": plan.film.code,
            "variant": plan.film.variant,
            "size": list(plan.raster.size),
            "fps": str(plan.raster.fps),
        },
        "jobs": [_job_dict(job, plan) for job in plan.jobs],
        "losses": [_loss_dict(loss) for loss in plan.losses],
        "notes": list(plan.notes),
        "licences": {
            backend: _licence_dict(licence) for backend, licence in sorted(plan.licences.items())
        },
        "total": _quote_dict(total),
        "states": {
            state: sum(job.state == state for job in plan.jobs)
            for state in ("cached", "stale", "new")
        },
    }


def _row(job: ShotJob, plan: Plan) -> Iterator[str]:
    yield escape(job.shot_id)
    yield f"{job.take}{'*' if plan.picked.get(job.shot_id) == job.take else ' '}"
    yield escape(job.backend)
    more = job.request.num_frames - job.num_frames
    yield f"{job.num_frames}{f' (+{more})' if more > 0 else f' ({more})' if more else ''}"
    yield f"{job.request.size[0]}x{job.request.size[1]}"
    why = f": {job.stale_reason}" if job.stale_reason else ""
    said = (f"retake: {job.note}",) if job.note else ()
    changes = f" ({'; '.join((*said, *job.adjustments))})" if said or job.adjustments else ""
    style = _STATE_STYLES[job.state]
    yield f"[{style}]{job.state}[/]{escape(why + changes)}"
    yield "" if job.state == "cached" else _quote_words(job.quote)


def _total_words(plan: Plan) -> str:
    counts = {
        state: sum(job.state == state for job in plan.jobs) for state in ("cached", "stale", "new")
    }
    words = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    total = _quote_words(total_quote(plan.jobs))
    return f"{counted(len(plan.jobs), 'take')}: {words}. To render: {total or 'nothing'}."


def _licence_lines(plan: Plan) -> Iterator[str]:
    """A line for each licence, with the backends that it is about."""
    backends: dict[Licence, list[str]] = {}
    for backend, licence in plan.licences.items():
        backends.setdefault(licence, []).append(backend)
    for licence, named in backends.items():
        yield f"Licence of {', '.join(named)}: {', '.join(_licence_terms(licence))}"


def _licence_terms(licence: Licence) -> tuple[str, ...]:
    """The licence in words: its name, its limits, where it can be read."""
    words = [licence.id]
    if licence.revenue_cap_usd is not None:
        words.append(f"up to ${licence.revenue_cap_usd:,} of revenue")
    if licence.excluded_territories:
        words.append(f"not in {' / '.join(licence.excluded_territories)}")
    if licence.needs_acknowledgement:
        words.append("to be accepted before use")
    return (*words, licence.url) if licence.url else tuple(words)


def _quote_words(quote: Quote) -> str:
    words = [f"{quote.usd:.2f} USD"] if quote.usd else []
    words += [f"{quote.gpu_seconds:.0f} s GPU"] if quote.gpu_seconds else []
    words += [f"{quote.cpu_seconds:.1f} s CPU"] if quote.cpu_seconds else []
    return ", ".join(words)


def _few(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:4])
    return f"{shown} and {len(ids) - 4} more" if len(ids) > 4 else shown


def _job_dict(job: ShotJob, plan: Plan) -> dict[str, Any]:
    return {
        "shot": job.shot_id,
        "take": job.take,
        "picked": plan.picked.get(job.shot_id) == job.take,
        "backend": job.backend,
        "revision": job.revision,
        "size": list(job.request.size),
        "fps": str(job.request.fps),
        "num_frames": job.num_frames,
        "take_frames": job.request.num_frames,
        "seed": job.request.seed,
        "key": job.key,
        "state": job.state,
        "stale_reason": job.stale_reason,
        "waits_for": job.waits_for,
        "quote": _quote_dict(job.quote),
        "note": job.note,
        "adjustments": list(job.adjustments),
        "losses": [_loss_dict(loss) for loss in job.losses],
    }


def _loss_dict(loss: Loss) -> dict[str, str]:
    return {"field": loss.field, "reason": loss.reason}


def _licence_dict(licence: Licence) -> dict[str, Any]:
    return {
        "id": licence.id,
        "revenue_cap_usd": licence.revenue_cap_usd,
        "excluded_territories": list(licence.excluded_territories),
        "needs_acknowledgement": licence.needs_acknowledgement,
        "url": licence.url,
    }


def _quote_dict(quote: Quote) -> dict[str, float]:
    return {
        "usd": round(quote.usd, 4),
        "gpu_seconds": round(quote.gpu_seconds, 1),
        "cpu_seconds": round(quote.cpu_seconds, 1),
    }
