"""What commands say of films checked, planned, made or ordered: for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from media.words import counted

if TYPE_CHECKING:
    from flows.farm.order import OrderedFilm
    from flows.made import MadeFilm
    from generator.plan import Plan

__all__ = [
    "check_line",
    "gc_lines",
    "made_facts",
    "ordered_facts",
    "plan_facts",
    "print_made",
    "print_ordered",
    "print_plan",
    "short",
]


def check_line(facts: Mapping[str, Any]) -> str:
    """`check`'s answer in one line."""
    variants = f" in {facts['variants']} variants" if facts["variants"] else ""
    return (
        f"{facts['film']}: good. {facts['title']}{variants}: {counted(facts['scenes'], 'scene')}, "
        f"{counted(facts['shots'], 'shot')}, {facts['seconds']:.1f} s"
    )


def plan_facts(planned: Plan) -> dict[str, Any]:
    """The plan for programs."""
    from generator.plan_table import plan_dict

    return plan_dict(planned)


def print_plan(planned: Plan, console: Console) -> None:
    """The plan and its loss report for people."""
    from generator.plan_table import plan_table

    console.print(plan_table(planned))


def ordered_facts(ordered: OrderedFilm) -> dict[str, Any]:
    """A film that the farm makes, for programs."""
    return {
        "title": ordered.title,
        "variant": ordered.variant,
        "flow_run": str(ordered.flow_run),
        "address": ordered.address,
        "said": ordered.said,
        "films": [str(path) for path in ordered.films],
        "report": str(ordered.report) if ordered.report else "",
    }


def print_ordered(ordered: OrderedFilm, console: Console) -> None:
    """What the farm made, and where; a line a file."""
    said = ordered.said or "asked for; it waits for a worker"
    lines = [f"{ordered.title}: {said}", *(f"  film      {_seen(path)}" for path in ordered.films)]
    if ordered.report:
        lines.append(f"  report    {_seen(ordered.report)}")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _seen(path: Path) -> str:
    """The path from here, or as the machine that has it knows it."""
    return short(path) if path.exists() else f"{path} (on the machine of the worker for films)"


def made_facts(made: MadeFilm) -> dict[str, Any]:
    """A made film for programs."""
    return {
        "title": made.film.title,
        "variant": made.film.variant,
        "rendered": made.rendered,
        "reused": made.reused,
        "failed": list(made.failed),
        "wall_seconds": round(made.wall_seconds, 3),
        "report": str(made.report),
        "deliverables": [
            {
                "name": one.name,
                "lang": one.lang,
                "film": str(one.film),
                "captions": [str(path) for path in one.captions],
                "timelines": [str(path) for path in one.timelines],
                "contact_sheets": [str(path) for path in one.contact_sheets],
                "stems": [str(path) for path in one.stems],
                "frames": one.num_frames,
                "seconds": round(one.seconds, 3),
                "loudness_lufs": one.loudness_lufs,
                "true_peak_db": one.true_peak_db,
                "remarks": list(one.remarks),
            }
            for one in made.deliveries
        ],
    }


def print_made(made: MadeFilm, console: Console) -> None:
    """The paths of what was made, one a line."""

    def line(what: str, path: Path) -> None:
        console.print(f"  {what:<9} {short(path)}", highlight=False, soft_wrap=True, markup=False)

    length = f"{max(one.seconds for one in made.deliveries):.1f} s, " if made.deliveries else ""
    console.print(
        f"{made.film.title}: {length}{counted(made.rendered, 'take')} rendered, "
        f"{made.reused} reused, in {made.wall_seconds:.1f} s",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    for text in made.failed:
        console.print(f"  {text}", style="yellow", highlight=False, soft_wrap=True, markup=False)
    for one in made.deliveries:
        line("film", one.film)
        for path in one.captions:
            line("captions", path)
        for path in one.timelines:
            line("timeline", path)
        for remark in one.remarks:
            note = f"  note      {remark}"
            console.print(note, style="yellow", highlight=False, markup=False, soft_wrap=True)
        for path in one.contact_sheets:
            line("contact", path)
    if made.deliveries:
        line("report", made.report)


def gc_lines(facts: Mapping[str, Any]) -> str:
    """`gc`'s answer."""
    did = "deleted" if facts["deleted"] else "would delete"
    lines = [
        f"  {entry['kind']}/{entry['key'][:12]}  {entry['mb']:.1f} MB" for entry in facts["entries"]
    ]
    total = f"{did} {len(facts['entries'])} entries, {facts['mb']:.1f} MB, in {facts['store']}"
    hint = "" if facts["deleted"] or not facts["entries"] else "; add --run to delete them"
    return "\n".join([*lines, total + hint])


def short(path: Path) -> str:
    """`path` against the working directory when it lies inside it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
