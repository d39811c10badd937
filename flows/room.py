"""What a deliverable in one language is made of: its sounds, its cut, and what identifies them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from editor.assemble import assemble
from editor.captions import SpokenLine, captions_for
from editor.spans import cut_spans, span_key
from editor.timeline import Caption, ClipMedia, PlacedSound, Timeline
from flows.options import FilmOptions, FilmRun, preview_size
from flows.pool import Work, run_all
from generator.keys import content_digest
from generator.sound.jobs import SoundJob, SoundPlan
from generator.sound.plan import plan_sound
from generator.sound.render import SOUND_FILE, render_sound
from media.store import ContentStore, Entry
from media.timebase import SAMPLE_RATE
from media.video import DELIVERY, DRAFT, WORKPRINT, Encoding
from storyboards.film import Film, FilmDeliverable, cut_of, film_shots

__all__ = ["CutMaterial", "Room", "rooms_of"]

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
    notes: Mapping[str, str]
    """By shot whose pick is a retake, what was said when it was asked for."""


def rooms_of(film: Film, material: CutMaterial, options: FilmOptions) -> tuple[Room, ...]:
    """A room for each deliverable and language; a preview is the first one alone."""
    rooms = tuple(
        Room(film, _shaped(deliverable, options), lang, material, options)
        for deliverable in film.deliverables
        for lang in deliverable.langs
    )
    return rooms[:1] if options.preview else rooms


class Room:
    """One deliverable in one language, before its files are made."""

    def __init__(
        self,
        film: Film,
        deliverable: FilmDeliverable,
        lang: str,
        material: CutMaterial,
        options: FilmOptions,
    ) -> None:
        self.film, self.deliverable, self.lang = film, deliverable, lang
        self.material, self.options = material, options
        self.name = f"{film.code}_{deliverable.name}_{lang}"
        self.encoding = _encoding(film, material, options)
        cut = cut_of(film, deliverable.shots)
        self.sound_plan: SoundPlan = plan_sound(film, cut, lang, native=material.native)
        self._media = {
            shot: media if shot in self.sound_plan.native else replace(media, sound=None)
            for shot, media in material.media.items()
        }

    @property
    def fingerprint(self) -> str:
        """Digest of everything that changes the deliverable's files."""
        return _fingerprint(self, self.assemble((), ()))

    @property
    def burns_captions(self) -> bool:
        """Whether spoken words stand in the picture, which then waits for how long they take."""
        return "burned" in self.deliverable.captions

    def used(self) -> set[str]:
        """Keys of the sounds and segments that it is made of."""
        sounds = {job.key for job in self.sound_plan.jobs}
        store = ContentStore(self.options.store, "sounds")
        found = {key: store.find(key, verify=False) for key in sounds if store.peek(key)}
        entries = {key: entry for key, entry in found.items() if entry is not None}
        # Burnt captions are timed by the spoken words: without them there are no segments yet.
        captions = self.captions(entries) if len(entries) == len(sounds) else ()
        timeline = self.assemble((), captions)
        return sounds | {span_key(one, timeline, self.encoding) for one in cut_spans(timeline)}

    def assemble(self, sounds: tuple[PlacedSound, ...], captions: tuple[Caption, ...]) -> Timeline:
        """The cut, with these sounds and captions."""
        slates = self.material.slated if self.options.slates else frozenset()
        return assemble(
            self.film,
            self.deliverable,
            self.lang,
            self._media,
            slates=slates,
            notes=self.material.notes,
            sounds=sounds,
            captions=captions,
        )

    def make_sounds(self, run: FilmRun) -> Mapping[str, Entry]:
        """Every sound of the deliverable by key, made where it is not in the store."""
        jobs = {job.key: job for job in self.sound_plan.jobs}
        store = ContentStore(self.options.store, "sounds")
        run.progress.stage("sound", len(jobs))

        def work_for(job: SoundJob) -> Work[Entry]:
            def make() -> Entry:
                entry = render_sound(job, store, self.material.assets)
                run.progress.advance("sound", label=job.name)
                return entry

            return Work(run.turns.taking(make, run.stop.is_set))

        outcome = run_all(
            {key: work_for(job) for key, job in jobs.items()},
            jobs=self.options.jobs,
            stop=run.stop,
        )
        for error in outcome.failed.values():
            raise error
        return outcome.done

    def placed(self, entries: Mapping[str, Entry]) -> tuple[PlacedSound, ...]:
        """The sounds in their places in the film."""
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

    def captions(self, entries: Mapping[str, Entry]) -> tuple[Caption, ...]:
        """What is said, timed by the sounds as they were made."""
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
        for line in self.sound_plan.native_lines:
            start = round(line.start_sample * frames_per_sample)
            end = round((line.start_sample + line.num_samples) * frames_per_sample)
            said = line.spoken
            lines.append(SpokenLine(said.speaker, said.text, start, max(start + 1, end)))
        return captions_for(lines, lang=self.lang, fps=fps, num_frames=cut.num_frames)


def _shaped(deliverable: FilmDeliverable, options: FilmOptions) -> FilmDeliverable:
    if not options.preview:
        return deliverable
    return replace(deliverable, size=preview_size(deliverable.size))


def _encoding(film: Film, material: CutMaterial, options: FilmOptions) -> Encoding:
    """A film of nothing but animatic is a work print: made fast, and seen by its makers."""
    if options.preview:
        return DRAFT
    drawn = all(shot.id in material.slated for shot in film_shots(film))
    return WORKPRINT if drawn else DELIVERY


def _fingerprint(room: Room, timeline: Timeline) -> str:
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
            clip.media.sound is not None,
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
        room.sound_plan.native_lines,
        timeline.overlays,
        tuple((scene.id, scene.slugline) for scene in room.film.scenes),
        *((timeline.grain,) if timeline.grain else ()),
    )
