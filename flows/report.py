"""The report of a run: one page that opens from the disk, for the people who were not there.

It plays the film and says what was delivered, how it was made, what it cost and what it lacks.
The page needs no network and runs no script; the style, the captions and a still for each player
are inside it, and the films, pictures and timelines are links beside it.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import cv2
import pysubs2
from jinja2 import Environment, FunctionLoader, StrictUndefined
from PIL import Image

from flows.made import Delivered, MadeFilm
from generator.backends.base import Backend, Quote
from generator.backends.registry import backend_named
from generator.keys import content_digest
from generator.plan import Plan, ShotJob, total_quote
from media.errors import MediaError
from media.files import write_atomic
from media.timebase import timecode
from media.video import read_frame
from storyboards.film import Film, Scene, Shot, cut_of

__all__ = ["write_report"]

LOUDNESS_TOLERANCE_LU = 0.3
"""How far from its target a film may be before the report marks it."""

STILL_WIDTH = 640
"""Of the still that stands in a player until it is started, in pixels."""


_HEAD_CHARS = 4000
"""Of the page: what it says of the film, as a digest, stands among the first lines."""


@dataclass(frozen=True, slots=True)
class _ShotRow:
    """A shot of the table; `job` is that of its picked take, None when it was not asked for."""

    shot: Shot
    starts: str
    job: ShotJob | None
    num_takes: int
    quote: Quote


@dataclass(frozen=True, slots=True)
class _Screen:
    """A deliverable as it is played and listed."""

    delivered: Delivered
    still: str
    """JPEG as a data URI; empty when the film cannot be read."""
    captions: str
    """WebVTT as a data URI; empty when there are none."""
    off_target_lu: float
    """Loudness against its target; 0 within the tolerance, and for silence."""


@dataclass(frozen=True, slots=True)
class _Note:
    """Something that holds for several shots or deliverables."""

    subject: str
    text: str
    holds_for: tuple[str, ...]


def write_report(made: MadeFilm) -> Path:
    """Write the report of `made` to `made.report`, whole or not at all, and return its path.

    A run that made nothing leaves the report of the run that did, as long as it says the same of
    the film: in a folder that cannot be written, too, a film that is there is there.
    """
    screens = [_screen(delivered, made.film) for delivered in made.deliveries]
    at_rest = replace(made, rendered=0, reused=0, wall_seconds=0.0, spent=Quote())
    at_rest = replace(at_rest, plan=_settled(made.plan))
    resting = [replace(screen, delivered=_uncut(screen.delivered)) for screen in screens]
    lasting = content_digest(_page(at_rest, resting, datetime.fromtimestamp(0, UTC), ""))
    if made.rendered or not _says(made.report, lasting):
        write_atomic(made.report, _page(made, screens, datetime.now(UTC), lasting))
    return made.report


def _page(made: MadeFilm, screens: Sequence[_Screen], written: datetime, lasting: str) -> str:
    return (
        _desk(made.report.parent)
        .get_template("film.html.j2")
        .render(
            made=made,
            film=made.film,
            screens=screens,
            scenes=_scenes(made.film, made.plan),
            losses=_losses(made.plan),
            adjustments=_adjustments(made.plan),
            remarks=_remarks(made),
            backends=_backends(made.plan),
            whole=_whole_quote(made.plan.jobs),
            spent=made.spent,
            running_s=max((delivered.seconds for delivered in made.deliveries), default=0.0),
            written=written,
            lasting=lasting,
        )
    )


def _settled(plan: Plan) -> Plan:
    """The plan as it stands once everything is made."""
    jobs = tuple(replace(job, state="cached", stale_reason="") for job in plan.jobs)
    return replace(plan, jobs=jobs)


def _uncut(delivered: Delivered) -> Delivered:
    return replace(delivered, segments_encoded=0, segments_reused=0)


def _says(report: Path, lasting: str) -> bool:
    """Whether the report that is there says the same of the film."""
    try:
        with report.open(encoding="utf-8") as page:
            return lasting in page.read(_HEAD_CHARS)
    except (OSError, UnicodeDecodeError):
        return False


def _desk(folder: Path) -> Environment:
    """Jinja2 as the page needs it: everything escaped, nothing undefined."""
    desk = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    desk.filters["address"] = lambda path: _address(path, folder)
    desk.filters["shown"] = _shown
    desk.filters["clock"] = _clock
    desk.filters["level"] = _level
    desk.filters["money"] = lambda usd: f"${usd:,.2f}"
    desk.filters["timecode"] = timecode
    desk.filters["fps"] = lambda fps: f"{float(fps):.5g}"
    return desk


def _template(name: str) -> str:
    return files("templates").joinpath("report", name).read_text(encoding="utf-8")


def _address(path: Path, folder: Path) -> str:
    """`path` as a relative address from a page in `folder`, percent-encoded byte by byte."""
    parts = Path(os.path.relpath(path, folder)).parts
    return "/".join(quote(os.fsencode(part), safe="") for part in parts)


def _shown(path: Path) -> str:
    """The file's name, also when its bytes are not UTF-8."""
    return os.fsencode(path.name).decode(errors="replace")


def _clock(seconds: float) -> str:
    """`4.2 s` below a minute, then `1:05` and `1:01:05`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _level(decibels: float) -> str:
    """One decimal with a minus sign that does not break from its number."""
    return f"{decibels:.1f}".replace("-", "\N{MINUS SIGN}")


def _screen(delivered: Delivered, film: Film) -> _Screen:
    targets = {each.name: each.loudness.lufs for each in film.deliverables}
    off = 0.0
    if delivered.loudness_lufs is not None and delivered.name in targets:
        off = round(delivered.loudness_lufs - targets[delivered.name], 2)
    return _Screen(
        delivered,
        _still(delivered),
        _captions(delivered.captions),
        off if abs(off) > LOUDNESS_TOLERANCE_LU else 0.0,
    )


def _still(delivered: Delivered) -> str:
    try:
        picture = read_frame(delivered.film, delivered.num_frames // 3)
    except MediaError:
        return ""  # the player shows its own empty frame; the table still names the file
    height, width = picture.shape[:2]
    size = (STILL_WIDTH, max(1, round(height * STILL_WIDTH / width)))
    shrunk = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    jpeg = io.BytesIO()
    Image.fromarray(shrunk).save(jpeg, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"


def _captions(paths: Iterable[Path]) -> str:
    """The captions as WebVTT inside the page.

    Browsers read only WebVTT, and from a page on the disk only when it stands in the page itself:
    each file there counts as a site of its own.
    """
    readable = [path for path in paths if path.suffix.lower() in (".vtt", ".srt")]
    for path in sorted(readable, key=lambda path: path.suffix.lower() != ".vtt"):
        try:
            text = pysubs2.load(str(path), encoding="utf-8").to_string("vtt")
        except (OSError, UnicodeDecodeError, pysubs2.exceptions.Pysubs2Error):
            continue
        return f"data:text/vtt;base64,{base64.b64encode(text.encode()).decode()}"
    return ""


def _scenes(film: Film, plan: Plan) -> list[tuple[Scene, list[_ShotRow]]]:
    cut = cut_of(film)
    starts = {
        shot.id: timecode(start, film.fps)
        for shot, start in zip(cut.shots, cut.start_frames, strict=True)
    }
    takes: dict[str, list[ShotJob]] = {}
    for job in plan.jobs:
        takes.setdefault(job.shot_id, []).append(job)

    def row(shot: Shot) -> _ShotRow:
        jobs = takes.get(shot.id, [])
        picked = next((job for job in jobs if job.take == plan.picked.get(shot.id)), None)
        return _ShotRow(shot, starts[shot.id], picked, len(jobs), _whole_quote(jobs))

    return [(scene, [row(shot) for shot in scene.shots]) for scene in film.scenes]


def _losses(plan: Plan) -> list[_Note]:
    of_film = [(loss.field, loss.reason, "the film") for loss in plan.losses]
    of_shots = [(loss.field, loss.reason, job.shot_id) for job in plan.jobs for loss in job.losses]
    return _gathered(of_film + of_shots)


def _adjustments(plan: Plan) -> list[_Note]:
    return _gathered([("", text, job.shot_id) for job in plan.jobs for text in job.adjustments])


def _remarks(made: MadeFilm) -> list[_Note]:
    deliveries = made.deliveries
    notes = _gathered(
        [("", text, f"{each.name} {each.lang}") for each in deliveries for text in each.remarks]
    )
    everywhere = len(deliveries)
    return [_Note("", text, ()) for text in (*made.failed, *made.plan.notes)] + [
        _Note("", note.text, () if len(note.holds_for) == everywhere else note.holds_for)
        for note in notes
    ]


def _gathered(said: Iterable[tuple[str, str, str]]) -> list[_Note]:
    """One note for whatever is said of several, in the order in which it is first said."""
    notes: dict[tuple[str, str], dict[str, None]] = {}
    for subject, text, one in said:
        notes.setdefault((subject, text), {})[one] = None
    return [_Note(subject, text, tuple(each)) for (subject, text), each in notes.items()]


def _backends(plan: Plan) -> list[tuple[Backend, str, int]]:
    """Each backend of the plan, the revision that was planned with, and how many shots it has."""
    shots: dict[tuple[str, str], set[str]] = {}
    for job in plan.jobs:
        shots.setdefault((job.backend, job.revision), set()).add(job.shot_id)
    return [(backend_named(id), revision, len(of)) for (id, revision), of in shots.items()]


def _whole_quote(jobs: Iterable[ShotJob]) -> Quote:
    """What the jobs cost when none of them is there; a key that several share is paid once."""
    return total_quote([replace(job, state="new") for job in jobs])
