"""From takes to deliverables: each in its shape and language, with captions and timelines.

A deliverable whose ingredients are all as they were, and whose files still lie where they were
put, is left alone: nothing is read, mixed or joined again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from editor.assemble import assemble, slate_lines
from editor.captions import SpokenLine, captions_for, write_srt, write_vtt
from editor.contact_sheet import contact_sheet
from editor.deliver import Chapter, deliver, export_stems
from editor.loudness import FinishedSound, finish_sound
from editor.mix import Stems, mix
from editor.otio_export import export_edl, export_fcp7xml, export_otio
from editor.render import PictureReport, render_picture
from editor.spans import cut_spans, span_key
from editor.timeline import Caption, ClipMedia, PlacedSound, Timeline
from flows.delivery_folder import WORK_PREFIX
from flows.handover import DeliveryRecord, deliveries_before, remember_deliveries
from flows.made import Delivered
from flows.options import FilmOptions, FilmRun, preview_size
from flows.pool import Work, run_all
from generator.keys import content_digest
from generator.sound.plan import SoundJob, SoundPlan, plan_sound
from generator.sound.render import SOUND_FILE, render_sound
from media.errors import MediaError, translate_os_errors
from media.store import ContentStore, Entry
from media.timebase import SAMPLE_RATE
from media.video import DELIVERY, DRAFT, WORKPRINT, Encoding
from storyboards.film import Film, FilmDeliverable, cut_of, film_shots

__all__ = ["CutMaterial", "cut_film", "used_in_cut"]

EDITOR_REVISION = "1"
"""Raised whenever the same ingredients would give another film."""


@dataclass(frozen=True, slots=True)
class CutMaterial:
    """What the cutting room receives."""

    media: Mapping[str, ClipMedia]
    """By shot id."""
    slated: frozenset[str]
    """Shots that carry a slate: those drawn as an animatic."""
    native: frozenset[str]
    """Shots whose take brought its own sound."""
    assets: Mapping[str, Path]
    """The user's files by SHA-256."""


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
    rooms = _rooms(film, material, options, run)
    if not all(room.is_current(before) for room in rooms):
        require_whole()
    for room in rooms:
        records[room.name] = before[room.name] if room.is_current(before) else room.deliver()
        remember_deliveries(options.out, {**before, **records})
    return tuple(record.delivered for record in records.values())


def used_in_cut(film: Film, material: CutMaterial, options: FilmOptions) -> frozenset[str]:
    """Keys of every sound and segment that the film's deliverables are made of."""
    keys: set[str] = set()
    for room in _rooms(film, material, options, FilmRun()):
        keys |= room.used()
    return frozenset(keys)


def _rooms(
    film: Film, material: CutMaterial, options: FilmOptions, run: FilmRun
) -> tuple[_Room, ...]:
    """A room for each deliverable and language; a preview is the first one alone."""
    rooms = tuple(
        _Room(film, _shaped(deliverable, options), lang, material, options, run)
        for deliverable in film.deliverables
        for lang in deliverable.langs
    )
    return rooms[:1] if options.preview else rooms


def _shaped(deliverable: FilmDeliverable, options: FilmOptions) -> FilmDeliverable:
    if not options.preview:
        return deliverable
    return replace(deliverable, size=preview_size(deliverable.size))


class _Room:
    """One deliverable in one language, from its plan to its files."""

    def __init__(
        self,
        film: Film,
        deliverable: FilmDeliverable,
        lang: str,
        material: CutMaterial,
        options: FilmOptions,
        run: FilmRun,
    ) -> None:
        self.film, self.deliverable, self.lang = film, deliverable, lang
        self.material, self.options, self.run = material, options, run
        self.name = f"{film.code}_{deliverable.name}_{lang}"
        self.encoding = _encoding(film, material, options)
        cut = cut_of(film, deliverable.shots)
        self.sound_plan: SoundPlan = plan_sound(film, cut, lang, native=material.native)
        self.fingerprint = _fingerprint(self, self._assemble((), ()))

    def is_current(self, before: Mapping[str, DeliveryRecord]) -> bool:
        """Whether its files are already there, made of the same ingredients."""
        return self.name in before and before[self.name].is_current(self.fingerprint)

    def used(self) -> set[str]:
        """Keys of the sounds and segments that it is made of."""
        sounds = {job.key for job in self.sound_plan.jobs}
        store = ContentStore(self.options.store, "sounds")
        found = {key: store.find(key, verify=False) for key in sounds if store.peek(key)}
        entries = {key: entry for key, entry in found.items() if entry is not None}
        # Burnt captions are timed by the spoken words: without them there are no segments yet.
        captions = self._captions(entries) if len(entries) == len(sounds) else ()
        timeline = self._assemble((), captions)
        return sounds | {span_key(one, timeline, self.encoding) for one in cut_spans(timeline)}

    def deliver(self) -> DeliveryRecord:
        """Make every file of the deliverable, each whole before it takes its name."""
        entries = self._make_sounds()
        captions = self._captions(entries)
        timeline = self._assemble(self._placed(entries), captions)
        out = self.options.out
        with translate_os_errors("make a folder", out, MediaError):
            out.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=out))
        try:
            delivered = self._files(timeline, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return DeliveryRecord.of(self.fingerprint, delivered)

    def _assemble(self, sounds: tuple[PlacedSound, ...], captions: tuple[Caption, ...]) -> Timeline:
        slates = self.material.slated if self.options.slates else frozenset()
        return assemble(
            self.film,
            self.deliverable,
            self.lang,
            self.material.media,
            slates=slates,
            sounds=sounds,
            captions=captions,
        )

    def _make_sounds(self) -> Mapping[str, Entry]:
        jobs = {job.key: job for job in self.sound_plan.jobs}
        store = ContentStore(self.options.store, "sounds")
        self.run.progress.stage("sound", len(jobs))

        def work_for(job: SoundJob) -> Work[Entry]:
            def make() -> Entry:
                entry = render_sound(job, store, self.material.assets)
                self.run.progress.advance("sound", label=job.name)
                return entry

            return Work(make)

        outcome = run_all(
            {key: work_for(job) for key, job in jobs.items()},
            jobs=self.options.jobs,
            stop=self.run.stop,
        )
        for error in outcome.failed.values():
            raise error
        return outcome.done

    def _placed(self, entries: Mapping[str, Entry]) -> tuple[PlacedSound, ...]:
        return tuple(
            PlacedSound(
                name=job.name,
                path=entries[job.key].folder / SOUND_FILE,
                stem=job.stem,
                start_sample=job.start_sample,
                num_samples=job.num_samples,
                gain_db=job.gain_db,
                fade_in_samples=job.fade_in_samples,
                fade_out_samples=job.fade_out_samples,
                duck_db=job.duck_db,
            )
            for job in self.sound_plan.jobs
        )

    def _captions(self, entries: Mapping[str, Entry]) -> tuple[Caption, ...]:
        fps = self.film.fps
        cut = cut_of(self.film, self.deliverable.shots)
        frames_per_sample = fps / SAMPLE_RATE
        lines = []
        for job in self.sound_plan.jobs:
            if job.spoken is None:
                continue
            details = entries[job.key].details
            heard = min(job.num_samples, int(details["num_samples"]))
            start = round(job.start_sample * frames_per_sample)
            lines.append(
                SpokenLine(
                    job.spoken.speaker,
                    job.spoken.text,
                    start,
                    max(start + 1, round((job.start_sample + heard) * frames_per_sample)),
                    tuple((str(word), float(a), float(b)) for word, a, b in details["words"]),
                )
            )
        return captions_for(lines, lang=self.lang, fps=fps, num_frames=cut.num_frames)

    def _files(self, timeline: Timeline, work: Path) -> Delivered:
        picture, report, sound = self._picture_and_sound(timeline, work)
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
            f"{loss.shot} {loss.field}: {loss.reason}".strip() for loss in self.sound_plan.losses
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
                encoding=self.encoding,
                jobs=self.options.jobs,
                should_stop=run.stop.is_set,
                on_span=lambda done, total: run.progress.at("picture", done, total),
            )

        def mix_sound() -> FinishedSound:
            stems = mix(timeline, work / "raw", speaking=self.material.native)
            return finish_sound(stems, target, work / "finished", with_stems=self.deliverable.stems)

        facts: dict[str, str | int | float] = {
            "deliverable": self.name,
            "frames": timeline.num_frames,
        }
        steps: dict[str, Work[PictureReport | FinishedSound]] = {
            "picture": Work(
                run.recorder.task("cut picture", f"{self.name} picture", cut_picture, facts)
            ),
            "sound": Work(run.recorder.task("mix sound", f"{self.name} sound", mix_sound, facts)),
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


def _encoding(film: Film, material: CutMaterial, options: FilmOptions) -> Encoding:
    """A film of nothing but animatic is a work print: made fast, and seen by its makers."""
    if options.preview:
        return DRAFT
    drawn = all(shot.id in material.slated for shot in film_shots(film))
    return WORKPRINT if drawn else DELIVERY


def _fingerprint(room: _Room, timeline: Timeline) -> str:
    """Digest of everything that changes the deliverable's files."""
    clips = tuple(
        (
            clip.shot,
            clip.media.digest,
            clip.media.start_frame,
            clip.start_frame,
            clip.num_frames,
            clip.head,
            clip.tail_fade,
            clip.slate,
            clip.lut_digest,
            clip.lut_strength,
        )
        for clip in timeline.clips
    )
    sounds = tuple(
        (
            job.key,
            job.name,
            job.stem,
            job.start_sample,
            job.num_samples,
            job.gain_db,
            job.fade_in_samples,
            job.fade_out_samples,
            job.duck_db,
            job.spoken,
        )
        for job in room.sound_plan.jobs
    )
    return content_digest(
        EDITOR_REVISION,
        room.film.title,
        room.film.exports,
        room.deliverable,
        room.lang,
        room.encoding,
        clips,
        sounds,
        timeline.overlays,
        tuple((scene.id, scene.slugline) for scene in room.film.scenes),
    )
