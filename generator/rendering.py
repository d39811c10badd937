"""Render a take into the store: whole, checked against what was planned, or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from generator.backends.base import (
    Backend,
    Frames,
    Rendered,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.keys import KEY_ENCODING, canonical
from generator.plan import ShotJob
from generator.seams import measure
from generator.shot_cuts import GENERATION, ChangeMeter, cut_take
from generator.shot_groups import GENERATIONS
from generator.takes import PICTURE, SOUND, Take, TakeStore
from media.errors import CancelledError, RenderError, TakeboardError
from media.files import sha256_file
from media.sound import write_sound
from media.store import ContentStore
from media.video import MEZZANINE, write_video

__all__ = [
    "changed_since_plan",
    "named_files",
    "prepare_takes",
    "render_take",
    "tools_for",
    "verified_files",
]

_MOST_FRAMES_A_CHUNK = 16


def render_take(job: ShotJob, backend: Backend, store: TakeStore, tools: RenderTools) -> Take:
    """The job's take, rendered when it is not in the store.

    RenderError and RefusalError name the shot and the take. Cancelled or failed, it leaves
    nothing behind.
    """

    def build(folder: Path) -> Mapping[str, Any]:
        return _render_into(folder, job, backend, store, tools)

    try:
        return Take.of(store.entries.make(job.key, build, should_stop=tools.should_stop))
    except RenderError as error:
        if error.where.startswith(_where(job)):
            raise
        where = f"{_where(job)}, {error.where}" if error.where else _where(job)
        raise type(error)(error.what, where=where, todo=error.todo) from error


def tools_for(
    job: ShotJob, known: Mapping[str, Path], store: TakeStore, tools: RenderTools
) -> RenderTools:
    """`tools` with the files and the take that the job names, verified.

    `known` are files by SHA-256: of a film (`assets_for`), or of a ticket.
    """
    assets = verified_files(job, known)
    takes: dict[str, TakeMedia] = {}
    if job.waits_for:
        parent = store.find(job.waits_for)
        if parent is None:
            raise RenderError(
                "the take that it goes on from has not been rendered", where=_where(job)
            )
        takes[job.waits_for] = parent.media
    return replace(tools, assets=assets, takes=takes, cache=store.entries.root)


def prepare_takes(
    jobs: Sequence[ShotJob],
    backend: Backend,
    known: Mapping[str, Path],
    store: TakeStore,
    tools: RenderTools,
) -> None:
    """Let the backend do at once what `jobs`, all its own, share.

    It is given their files, but no takes: those that they go on from may not be there yet.
    RenderError says what went wrong; the jobs can be rendered all the same.
    """
    assets = {digest: path for job in jobs for digest, path in verified_files(job, known).items()}
    asked = [job.request.cut_from.request if job.request.cut_from else job.request for job in jobs]
    try:
        backend.prepare(
            list(dict.fromkeys(asked)), replace(tools, assets=assets, cache=store.entries.root)
        )
    except TakeboardError:
        raise
    except Exception as error:
        raise RenderError(f"{type(error).__name__}: {error}", where=backend.id) from error


def verified_files(job: ShotJob, known: Mapping[str, Path]) -> dict[str, Path]:
    """The files that the job names, by SHA-256, each found to be what it was when planned."""
    assets: dict[str, Path] = {}
    for digest in named_files(job.request):
        path = known.get(digest)
        if path is None or not path.is_file() or sha256_file(path) != digest:
            raise changed_since_plan(job, path)
        assets[digest] = path
    return assets


def changed_since_plan(job: ShotJob, path: Path | None) -> RenderError:
    """That a file which the job names is not what it was, ready to be raised."""
    return RenderError(
        f"{path.name if path else 'a file'} has changed since the plan was made",
        where=_where(job),
        todo="run again",
    )


def _where(job: ShotJob) -> str:
    return f"{job.shot_id} take {job.take}"


def named_files(request: RenderRequest) -> set[str]:
    """The SHA-256 of every file that the request names."""
    named = {reference.sha256 for reference in request.references}
    named |= {key.sha256 for key in request.key_pictures}
    named |= {area.mask_sha256 for area in request.motion}
    named |= {lora.sha256 for lora in request.loras}
    named |= {placement.sha256 for placement in request.description.placements}
    named.add(request.audio_sha256)
    if request.edit is not None:
        named.add(request.edit.mask_sha256)
    if request.cut_from is not None:
        named |= named_files(request.cut_from.request)
    return named - {""}


def _render_into(
    folder: Path, job: ShotJob, backend: Backend, store: TakeStore, tools: RenderTools
) -> Mapping[str, Any]:
    """Render into `folder` and return the manifest's details."""
    if tools.should_stop():
        raise CancelledError("cancelled before the take was begun", where=_where(job))
    started = time.monotonic()
    try:
        rendered = _rendered(job, backend, store, tools)
        _require_as_planned(job, rendered)
        chunks, meter = _checked(rendered, job, tools), ChangeMeter()
        made = write_video(
            folder / PICTURE,
            meter.over(chunks) if job.request.shots else chunks,
            size=rendered.size,
            fps=rendered.fps,
            encoding=GENERATION if job.request.shots else MEZZANINE,
            should_stop=tools.should_stop,
        )
        audio = rendered.audio()
    except (TakeboardError, OSError):
        raise
    except Exception as error:
        raise RenderError(
            f"{backend.id} failed: {type(error).__name__}: {error}", where=_where(job)
        ) from error
    if made != rendered.num_frames:
        raise RenderError(f"expected {rendered.num_frames} frames, got {made}", where=_where(job))
    if audio is not None:
        write_sound(folder / SOUND, audio)
    details = _details(job, backend, rendered, time.monotonic() - started)
    if job.request.shots:
        return {**details, "changes": meter.changes}
    return {**details, **_join(job, rendered, folder, audio is not None, tools)}


def _rendered(job: ShotJob, backend: Backend, store: TakeStore, tools: RenderTools) -> Rendered:
    """The take in the making, by the backend or cut from its generation, which is made once."""
    cut = job.request.cut_from
    if cut is None:
        return backend.render(job.request, tools)
    whole = replace(job, request=cut.request)

    def build(folder: Path) -> Mapping[str, Any]:
        return _render_into(folder, whole, backend, store, tools)

    generations = ContentStore(store.entries.root, GENERATIONS)
    return cut_take(generations.make(job.generation, build, should_stop=tools.should_stop), cut)


def _join(
    job: ShotJob, rendered: Rendered, folder: Path, heard: bool, tools: RenderTools
) -> Mapping[str, Any]:
    """How well the take goes on from the one before, for the manifest; nothing for a cut."""
    going_on = job.request.continue_from
    before = tools.takes.get(going_on.take_key) if going_on is not None else None
    if going_on is None or before is None:
        return {}
    after = TakeMedia(folder / PICTURE, folder / SOUND if heard else None, rendered.num_frames)
    seam = measure(before, after, shared_frames=int(going_on.mode == "shared_keyframe"))
    faults = [f"the join with the take before: {fault}" for fault in seam.faults]
    return {"join": str(seam), "warnings": [*rendered.warnings, *faults]}


def _require_as_planned(job: ShotJob, rendered: Rendered) -> None:
    asked = (job.request.size, job.request.fps, job.request.num_frames)
    got = (rendered.size, rendered.fps, rendered.num_frames)
    if asked != got:
        words = [f"{n} frames of {w}x{h} at {fps} fps" for (w, h), fps, n in (asked, got)]
        raise RenderError(f"expected {words[0]}, got {words[1]}", where=_where(job))


def _checked(rendered: Rendered, job: ShotJob, tools: RenderTools) -> Iterator[Frames]:
    """The chunks, each found to be what the contract says."""
    width, height = rendered.size
    seen = 0
    for chunk in rendered.frames:
        good = (
            isinstance(chunk, np.ndarray)
            and chunk.dtype == np.uint8
            and chunk.ndim == 4
            and chunk.shape[1:] == (height, width, 3)
            and 1 <= len(chunk) <= _MOST_FRAMES_A_CHUNK
        )
        seen += len(chunk) if good else 0
        if not good or seen > rendered.num_frames:
            shape = getattr(chunk, "shape", type(chunk).__name__)
            raise RenderError(
                f"expected chunks of 1 to {_MOST_FRAMES_A_CHUNK} frames ({height}, {width}, 3) "
                f"uint8 and {rendered.num_frames} frames in all, got {shape} "
                f"{getattr(chunk, 'dtype', '')} after {seen} frames",
                where=_where(job),
            )
        yield chunk
        tools.on_step(seen, rendered.num_frames)


def _details(
    job: ShotJob, backend: Backend, rendered: Rendered, render_s: float
) -> Mapping[str, Any]:
    return {
        "encoding": KEY_ENCODING,
        "backend": backend.id,
        "revision": backend.revision,
        "request": canonical(job.request),
        "size": list(rendered.size),
        "fps": str(rendered.fps),
        "num_frames": rendered.num_frames,
        "seed": rendered.seed,
        "generation": job.generation,
        "model_revision": rendered.revision,
        "versions": dict(rendered.versions),
        "licence": rendered.licence,
        "cost_usd": float(rendered.cost_usd),
        "render_s": round(render_s, 3),
        "timings": {name: round(float(spent), 3) for name, spent in rendered.timings.items()},
        "peak_memory_mb": round(float(rendered.peak_memory_mb()), 1),
        "warnings": list(rendered.warnings),
    }
