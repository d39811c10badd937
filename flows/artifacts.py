"""What a run shows in Prefect's UI besides its tasks: plan, losses, contact sheet, links."""

from __future__ import annotations

import base64
import io

from PIL import Image

from flows.made import MadeFilm
from flows.recorder import Recorder
from generator.plan import Plan, total_quote
from generator.plan_table import plan_dict
from media.words import counted

__all__ = ["film_words", "record_film", "record_plan_table"]

_SHEET_WIDTH = 1200
"""Pixels; the sheet travels inside the artifact as a data address, which the UI draws."""


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
            "usd": job["quote"]["usd"],
            "gpu_seconds": job["quote"]["gpu_seconds"],
        }
        for job in facts["jobs"]
    ]
    recorder.note(_plan_words(plan))
    for note in plan.notes:
        recorder.note(note)
    recorder.table("plan", rows, f"Plan of {plan.film.title}")
    losses = [{"shot": "film", **loss} for loss in facts["losses"]]
    losses += [{"shot": job["shot"], **loss} for job in facts["jobs"] for loss in job["losses"]]
    if losses:
        recorder.table("loss-report", losses, "What the storyboard asks for and this film lacks")


def record_film(made: MadeFilm, recorder: Recorder) -> None:
    """Contact sheet, paths of the deliverables and a link to the report."""
    recorder.note(film_words(made))
    lines = [f"# {made.film.title}", "", film_words(made) + ".", ""]
    lines += ["| deliverable | running time | loudness | file |", "|---|---|---|---|"]
    for one in made.deliveries:
        loudness = "silent" if one.loudness_lufs is None else f"{one.loudness_lufs:.1f} LUFS"
        lines.append(f"| {one.name} {one.lang} | {one.seconds:.1f} s | {loudness} | `{one.film}` |")
    sheets = made.deliveries[0].contact_sheets
    if sheets:
        with Image.open(sheets[0]) as image:
            lines += ["", f"![contact sheet]({_data_address(image)})"]
    recorder.markdown("film", "\n".join(lines), f"{made.film.title}: contact sheet and files")
    recorder.link("report", made.report, f"Report of {made.film.title}")
    for one in made.deliveries:
        recorder.link(
            f"film-{one.name}-{one.lang}", one.film, f"{made.film.title}, {one.name} {one.lang}"
        )


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


def _data_address(image: Image.Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((_SHEET_WIDTH, _SHEET_WIDTH))
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii")
