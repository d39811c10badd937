"""What a run shows in Prefect's UI besides its tasks: plan, losses, contact sheet, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flows.events import film_delivered
from flows.made import MadeFilm
from flows.page_pictures import data_address
from flows.recorder import Recorder
from generator.plan import Plan, ShotJob, total_quote
from generator.plan_table import plan_dict
from media.errors import TakeboardError
from media.words import counted

__all__ = ["film_words", "record_failures", "record_film", "record_plan_table"]

_MOST_NAMES = 12
"""Of shots that lack the same."""
_MOST_FAILED = 100
"""Takes that are named under one reason."""


def record_plan_table(plan: Plan, recorder: Recorder) -> None:
    """The plan as a table a shot a row, and the loss report."""
    facts = plan_dict(plan)
    rows = [
        {
            "shot": job["shot"],
            "take": job["take"],
            "backend": job["backend"],
            "frames": job["num_frames"],
            "state": job["state"],
            "why": job["stale_reason"],
            "USD": round(job["quote"]["usd"], 3),
            "GPU s": round(job["quote"]["gpu_seconds"], 1),
        }
        for job in facts["jobs"]
    ]
    recorder.note(_plan_words(plan))
    for note in plan.notes:
        recorder.note(note)
    recorder.table("plan", rows, f"Plan of {plan.film.title}")
    losses = [(loss.field, loss.reason, "the film") for loss in plan.losses]
    losses += [(loss.field, loss.reason, job.shot_id) for job in plan.jobs for loss in job.losses]
    if losses:
        title = "What the storyboard asks for and this film lacks"
        recorder.markdown("loss-report", _loss_page(losses), title)


def record_failures(
    plan: Plan,
    failed: Mapping[str, TakeboardError],
    left_out: Mapping[str, str],
    recorder: Recorder,
) -> None:
    """The takes that could not be made, why, and what to do; both by key.

    `left_out` names what each of those needed. When all is well, a page that an earlier run left
    is replaced, so that nobody mends what works.
    """
    title = f"{plan.film.title}: takes that could not be made"
    reasons = _reasons(plan, failed, left_out)
    if not reasons:
        recorder.replace("failures", f"# {plan.film.title}\n\nNothing failed.", title)
        return
    lost = sum(len(names) for names in reasons.values())
    # Not a table: the UI cuts wide ones off on the right, where what to do would stand.
    lines = [f"# {_plain(plan.film.title)}: {counted(lost, 'take')} could not be made", ""]
    for (what, todo), names in reasons.items():
        lines += [f"## {_plain(what)}", "", f"**What to do:** {_plain(todo or 'run again')}.", ""]
        lines += [f"- {name}" for name in names[:_MOST_FAILED]]
        if len(names) > _MOST_FAILED:
            lines.append(f"- and {len(names) - _MOST_FAILED} more")
        lines.append("")
    lines.append("Every take that was finished is kept. Run the film again to try the others.")
    recorder.markdown("failures", "\n".join(lines), title)


def _reasons(
    plan: Plan, failed: Mapping[str, TakeboardError], left_out: Mapping[str, str]
) -> Mapping[tuple[str, str], list[str]]:
    """Takes by what happened to them and what to do about it."""
    jobs = {job.key: job for job in plan.jobs}
    place = {key: at for at, key in enumerate(jobs)}
    found: dict[tuple[str, str], list[str]] = {}
    for key in sorted(failed, key=lambda key: place.get(key, -1)):
        error = failed[key]
        said = _lost(plan, jobs[key]) if key in jobs else error.where or key
        found.setdefault(_told(error), []).append(said)
    for key in jobs:
        if key in left_out:
            need = left_out[key]
            needed = _name(jobs[need]) if need in jobs else need
            why = (f"Left out: needs {needed}", "see there")
            found.setdefault(why, []).append(_lost(plan, jobs[key]))
    return found


def _told(error: TakeboardError) -> tuple[str, str]:
    """What happened, and what to do; a worker's run has told both in one line, in that order."""
    if error.todo:
        return error.what, error.todo
    what, _, todo = error.what.rpartition("; ")
    return (what, todo) if what else (error.what, "")


def _lost(plan: Plan, job: ShotJob) -> str:
    picked = ", **the film needs it**" if plan.picked.get(job.shot_id) == job.take else ""
    return f"`{_name(job)}`, {job.backend}{picked}"


def _name(job: ShotJob) -> str:
    return f"{job.shot_id} take {job.take}"


def _plain(text: str) -> str:
    """Text on one line that is no HTML."""
    return " ".join(text.split()).rstrip(".").replace("<", "&lt;")


def _loss_page(losses: Iterable[tuple[str, str, str]]) -> str:
    """What is lacking, why, and in which shots: once for all shots that lack it for one reason."""
    shots: dict[tuple[str, str], dict[str, None]] = {}
    for field, reason, shot in losses:
        shots.setdefault((field, reason), {})[shot] = None
    lines = []
    for (field, reason), of in shots.items():
        count = f" ({counted(len(of), 'shot')})" if len(of) > 1 else ""
        lines.append(f"- **{_plain(field)}**: {_plain(reason)}{count}\\")
        lines.append(f"  {_some(list(of))}")
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def record_film(made: MadeFilm, recorder: Recorder) -> None:
    """Contact sheet, and links to the deliverables and the report with their paths."""
    recorder.note(film_words(made))
    page = _film_page(made, recorder)
    recorder.markdown("film", page, f"{made.film.title}: contact sheet and files")
    recorder.link("report", made.report, f"Report of {made.film.title}")
    for one in made.deliveries:
        recorder.link(
            f"film-{one.name}-{one.lang}", one.film, f"{made.film.title}, {one.name} {one.lang}"
        )
    recorder.event(film_delivered(made))


def _film_page(made: MadeFilm, recorder: Recorder) -> str:
    lines = [f"# {_plain(made.film.title)}", "", film_words(made) + ".", ""]
    lines += ["| deliverable | running time | picture | loudness |", "|---|---:|---|---:|"]
    for one in made.deliveries:
        loudness = "silent" if one.loudness_lufs is None else f"{one.loudness_lufs:.1f} LUFS"
        size = f"{one.size[0]}x{one.size[1]}"
        lines.append(f"| {one.name} {one.lang} | {one.seconds:.1f} s | {size} | {loudness} |")
    # Not in the table: narrow windows cut its last column off, and a path must be legible.
    lines.append("")
    for one in made.deliveries:
        lines.append(f"- {one.name} {one.lang}: {_place(one.film, 'play', recorder)}")
    lines.append(f"- report: {_place(made.report, 'open', recorder)}")
    sheets = made.deliveries[0].contact_sheets
    if sheets:
        lines += ["", f"![contact sheet]({data_address(sheets[0])})"]
    if len(sheets) > 1:
        lines += ["", f"Page 1 of {len(sheets)}; the others are beside `{sheets[0]}`."]
    remarks = dict.fromkeys([*made.failed, *(r for one in made.deliveries for r in one.remarks)])
    if remarks:
        lines += ["", "## Remarks", "", *(f"- {_plain(remark)}" for remark in remarks)]
    return "\n".join(lines)


def _place(path: Path, verb: str, recorder: Recorder) -> str:
    """The path, to be copied, after a link where there is one."""
    address = recorder.address(path.resolve())
    return f"[{verb}]({address}) `{path}`" if address else f"`{path}`"


def film_words(made: MadeFilm) -> str:
    """What came of a run, in one line."""
    longest = max((one.seconds for one in made.deliveries), default=0.0)
    words = f"{counted(made.rendered, 'take')} rendered, {made.reused} reused"
    if made.failed:
        words += f", {len(made.failed)} failed that were not picked"
    return f"{words}; running time {longest:.1f} s" if made.deliveries else words


def _plan_words(plan: Plan) -> str:
    quote = total_quote(plan.jobs)
    return (
        f"plan: {len(plan.jobs)} takes, {len(plan.missing)} to render for "
        f"{quote.usd:.2f} USD and {quote.gpu_seconds:.0f} s of GPU"
    )
