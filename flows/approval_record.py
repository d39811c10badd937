"""What a person looks at before approving: the budget as a table, the takes as a contact sheet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from flows.page_pictures import data_address
from flows.recorder import Recorder
from generator.plan import Plan, ShotJob, total_quote
from generator.takes import Take
from media.words import counted

__all__ = ["budget_rows", "record_budget", "record_takes"]

_MOST_PAGES = 4
"""In the artifact, about 300 kB each; the files have them all."""


def record_budget(plan: Plan, recorder: Recorder) -> None:
    """What the missing takes cost, a backend a row, and in all."""
    recorder.table("budget", list(budget_rows(plan)), f"Budget of {plan.film.title} to approve")


def record_takes(
    plan: Plan,
    takes: Mapping[str, Take],
    shots: Collection[str],
    sheets: Sequence[Path],
    recorder: Recorder,
) -> None:
    """Every take of the shots to approve as pictures, and what each has cost."""
    lines = [f"# {plan.film.title}: picks to approve", ""]
    for number, sheet in enumerate(sheets[:_MOST_PAGES], 1):
        lines += [f"![takes, page {number}]({data_address(sheet)})", ""]
    if len(sheets) > _MOST_PAGES:
        lines += [f"{counted(len(sheets) - _MOST_PAGES, 'page')} more beside `{sheets[0]}`.", ""]
    lines += ["| shot | take | picked | backend | USD | seconds | note | file |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for job in plan.jobs:
        if job.shot_id in shots and job.key in takes:
            lines.append(_take_row(plan, job, takes[job.key]))
    recorder.markdown("takes", "\n".join(lines), f"{plan.film.title}: picks to approve")


def budget_rows(plan: Plan) -> Iterator[Mapping[str, object]]:
    """What the missing takes cost: a row for each backend, and one for all."""
    jobs: dict[str, list[ShotJob]] = {}
    for job in plan.missing:
        jobs.setdefault(job.backend, []).append(job)
    for backend, made in [*jobs.items(), ("in all", list(plan.missing))]:
        quote = total_quote(made)
        yield {
            "backend": backend,
            "takes": len(made),
            "usd": round(quote.usd, 2),
            "gpu_seconds": round(quote.gpu_seconds),
        }


def _take_row(plan: Plan, job: ShotJob, take: Take) -> str:
    cells = (
        job.shot_id,
        str(job.take),
        "**picked**" if plan.picked[job.shot_id] == job.take else "",
        job.backend,
        f"{float(take.manifest.get('cost_usd', 0.0)):.2f}",
        f"{float(take.manifest.get('render_s', 0.0)):.0f}",
        job.note.replace("|", "/"),
        f"`{take.picture}`",
    )
    return f"| {' | '.join(cells)} |"
