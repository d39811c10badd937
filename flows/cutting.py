"""From takes to deliverables: each in its shape and language, with captions and timelines.

A deliverable whose ingredients are all as they were, and whose files still lie where they were
put, is left alone: nothing is read, mixed or joined again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from editor.assemble import slate_lines
from editor.captions import write_srt, write_vtt
from editor.contact_sheet import contact_sheet
from editor.deliver import Chapter, deliver, export_stems
from editor.loudness import FinishedSound, finish_sound
from editor.mix import Stems, mix
from editor.otio_export import export_edl, export_fcp7xml, export_otio
from editor.render import PictureReport, render_picture
from editor.timeline import Caption, Timeline
from flows.delivery_folder import WORK_PREFIX
from flows.handover import DeliveryRecord, deliveries_before, remember_deliveries
from flows.made import Delivered
from flows.options import FilmOptions, FilmRun
from flows.pool import Work, run_all
from flows.room import CutMaterial, Room, rooms_of
from media.errors import MediaError, translate_os_errors
from media.store import ContentStore
from storyboards.film import Film, film_shots

__all__ = ["cut_film", "used_in_cut"]


def cut_film(
    film: Film,
    material: CutMaterial,
    options: FilmOptions,
    run: FilmRun,
    require_whole: Callable[[], None],
) -> tuple[Delivered, ...]:
    """Every deliverable of the film in every language, on disk.

    `require_whole` is called before the first picture is read, and not when none will be.

    Raises MediaError, StoreError or CancelledError; files of an earlier run stay as they are
    until the new ones are whole.
    """
    before = deliveries_before(options.out)
    records: dict[str, DeliveryRecord] = {}
    desks = [_Desk(room, run) for room in rooms_of(film, material, options)]
    if not all(desk.is_current(before) for desk in desks):
        require_whole()
    for desk in desks:
        name = desk.room.name
        records[name] = before[name] if desk.is_current(before) else desk.deliver()
        remember_deliveries(options.out, {**before, **records})
    return tuple(record.delivered for record in records.values())


def used_in_cut(film: Film, material: CutMaterial, options: FilmOptions) -> frozenset[str]:
    """Keys of every sound and segment that the film's deliverables are made of."""
    keys: set[str] = set()
    for room in rooms_of(film, material, options):
        keys |= room.used()
    return frozenset(keys)


class _Desk:
    """Where the files of one deliverable in one language are made."""

    def __init__(self, room: Room, run: FilmRun) -> None:
        self.room, self.run = room, run
        self.film, self.deliverable, self.lang = room.film, room.deliverable, room.lang
        self.name, self.options = room.name, room.options
        self.fingerprint = room.fingerprint

    def is_current(self, before: Mapping[str, DeliveryRecord]) -> bool:
        """Whether its files are already there, made of the same ingredients."""
        return self.name in before and before[self.name].is_current(self.fingerprint)

    def deliver(self) -> DeliveryRecord:
        """Make every file of the deliverable, each whole before it takes its name."""
        entries = self.room.make_sounds(self.run)
        timeline = self.room.assemble(self.room.placed(entries), self.room.captions(entries))
        out = self.options.out
        with translate_os_errors("make a folder", out, MediaError):
            out.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=out))
        try:
            delivered = self._files(timeline, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return DeliveryRecord.of(self.fingerprint, delivered)

    def _files(self, timeline: Timeline, work: Path) -> Delivered:
        picture, report, sound = self._picture_and_sound(timeline, work)
        with self.run.turns.turn(self.run.stop.is_set):
            return self._delivered(timeline, picture, report, sound)

    def _delivered(
        self, timeline: Timeline, picture: Path, report: PictureReport, sound: FinishedSound
    ) -> Delivered:
        out = self.options.out
        film = deliver(
            timeline,
            picture,
            sound.aac,
            out=out / f"{self.name}.mp4",
            captions=self._soft_captions(timeline),
            chapters=self._chapters(timeline),
        )
        remarks = [
            f"{loss.shot} {loss.field}: {loss.reason}".strip()
            for loss in self.room.sound_plan.losses
        ]
        if sound.report.note:
            remarks.append(sound.report.note)
        return Delivered(
            name=self.deliverable.name,
            lang=self.lang,
            film=film,
            captions=self._caption_files(timeline),
            timelines=self._timeline_files(timeline),
            contact_sheets=contact_sheet(
                timeline,
                out / f"{self.name}_contact.jpg",
                framings={shot.id: slate_lines(shot)[0] for shot in film_shots(self.film)},
            ),
            stems=self._stem_files(sound.stems),
            size=timeline.size,
            fps=timeline.fps,
            num_frames=timeline.num_frames,
            loudness_lufs=sound.report.lufs,
            true_peak_db=sound.report.true_peak_db,
            segments_encoded=report.encoded,
            segments_reused=report.reused,
            remarks=tuple(remarks),
        )

    def _picture_and_sound(
        self, timeline: Timeline, work: Path
    ) -> tuple[Path, PictureReport, FinishedSound]:
        """Both at once: mixing is mostly waiting for ffmpeg and leaves the cores free."""
        run, target = self.run, self.deliverable.loudness
        picture = work / "picture.mp4"
        run.progress.stage("picture", 0)

        def cut_picture() -> PictureReport:
            return render_picture(
                timeline,
                ContentStore(self.options.store, "segments"),
                picture,
                encoding=self.room.encoding,
                jobs=self.options.jobs,
                should_stop=run.stop.is_set,
                on_span=lambda done, total: run.progress.at("picture", done, total),
                turn=lambda: run.turns.turn(run.stop.is_set),
            )

        def mix_sound() -> FinishedSound:
            stems = mix(timeline, work / "raw", speaking=self.room.sound_plan.speaking)
            return finish_sound(stems, target, work / "finished", with_stems=self.deliverable.stems)

        facts: dict[str, str | int | float] = {
            "deliverable": self.name,
            "frames": timeline.num_frames,
        }
        steps: dict[str, Work[PictureReport | FinishedSound]] = {
            "picture": Work(
                run.recorder.task("cut picture", f"{self.name} picture", cut_picture, facts)
            ),
            "sound": Work(
                run.turns.taking(
                    run.recorder.task("mix sound", f"{self.name} sound", mix_sound, facts),
                    run.stop.is_set,
                )
            ),
        }
        outcome = run_all(steps, jobs=2, stop=run.stop)
        for error in outcome.failed.values():
            raise error
        report, sound = outcome.done["picture"], outcome.done["sound"]
        assert isinstance(report, PictureReport)
        assert isinstance(sound, FinishedSound)
        return picture, report, sound

    def _caption_files(self, timeline: Timeline) -> tuple[Path, ...]:
        writers = {"srt": write_srt, "vtt": write_vtt}
        paths = []
        for kind in self.deliverable.captions:
            if kind in writers:
                path = self.options.out / f"{self.name}.{kind}"
                writers[kind](path, timeline.captions, timeline.fps)
                paths.append(path)
        return tuple(paths)

    def _timeline_files(self, timeline: Timeline) -> tuple[Path, ...]:
        stem = self.options.out / self.name
        paths = [export_otio(timeline, stem.with_name(f"{self.name}.otio"))]
        if "edl" in self.film.exports:
            paths.append(export_edl(timeline, stem.with_name(f"{self.name}.edl")))
        if "fcp7xml" in self.film.exports:
            paths.append(export_fcp7xml(timeline, stem.with_name(f"{self.name}.xml")))
        return tuple(paths)

    def _stem_files(self, stems: Stems) -> tuple[Path, ...]:
        if not self.deliverable.stems:
            return ()
        return tuple(export_stems(stems, self.options.out / f"{self.name}_stems").values())

    def _soft_captions(self, timeline: Timeline) -> Mapping[str, Sequence[Caption]]:
        return {self.lang: timeline.captions} if "soft" in self.deliverable.captions else {}

    def _chapters(self, timeline: Timeline) -> tuple[Chapter, ...]:
        """A chapter where each scene's first shot of this cut starts."""
        names = {scene.id: scene.slugline for scene in self.film.scenes}
        starts: dict[str, int] = {}
        for clip in timeline.clips:
            starts.setdefault(clip.shot.split("/")[0], clip.start_frame)
        return tuple(Chapter(frame, names[scene]) for scene, frame in starts.items())
