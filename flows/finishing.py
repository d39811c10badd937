"""The film as it is cut, and its picked takes made ready for that: their rate and their size.

A storyboard is planned and rendered in the project's own rate and size. `finish` in it asks for
more: the cut is then made of finished takes, at the finished rate, and every cut stays where it
was. A take of another rate than the film's is finished whatever the storyboard asks. A preview
finishes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from editor.timeline import ClipMedia
from flows.options import FilmOptions, FilmRun
from flows.pool import Work, run_all
from generator.backends.base import Loss
from generator.backends.registry import InstalledBackends
from generator.finish import (
    FinishedFilm,
    FinishRecipe,
    enlarger_for,
    finish_key,
    finish_take,
    finished_picture,
    recipe_for,
)
from generator.plan import Plan
from generator.takes import Take
from media.errors import RenderError
from storyboards.film import Film, Shot, film_shots
from storyboards.film_rate import film_at_rate

__all__ = ["Finishing", "finish_losses"]


class Finishing:
    """How the takes of one plan are finished. Making one reads no picture and no weights."""

    def __init__(self, plan: Plan, options: FilmOptions) -> None:
        """UsageError when an upscaling model is set up wrongly and the film asks for one."""
        finish = plan.film.finish
        upscale = 1 if options.preview else int(finish.upscale[0])
        fps = finish.interpolate_fps or plan.film.fps
        self.film = _ungrained(plan.film) if options.preview else film_at_rate(plan.film, fps)
        """As it is cut."""
        self._plan, self._store = plan, options.store
        self._jobs = options.jobs
        self._backends = InstalledBackends()
        self._wanted = FinishedFilm(plan.raster.size, upscale, self.film.fps)
        self._enlarger = enlarger_for(self._wanted)
        planned = {job.shot_id for job in plan.jobs}
        self._recipes = {
            shot.id: recipe
            for shot in film_shots(plan.film)
            if shot.id in planned and (recipe := self._recipe(shot))
        }

    def media(self, shot: Shot, take: Take | None = None) -> ClipMedia:
        """What the cut uses of a shot, known before its take is there; `take` brings the sound."""
        job = self._plan.job(shot.id)
        # Sound of the model's own is heard only where the storyboard asks for it.
        sound = take.sound if take is not None and shot.audio == "native" else None
        recipe = self._recipes.get(shot.id)
        if recipe is not None:
            key = finish_key(job.key, recipe, self._enlarger)
            picture = finished_picture(key, self._store)
            return ClipMedia(picture, key, recipe.num_frames, recipe.size, recipe.fps, sound=sound)
        asked = job.request
        picture = take.picture if take is not None else self._plan.film.path
        return ClipMedia(picture, job.key, asked.num_frames, asked.size, asked.fps, sound=sound)

    def finished_keys(self) -> frozenset[str]:
        """Keys of all finished takes of this film."""
        return frozenset(
            finish_key(self._plan.job(shot).key, recipe, self._enlarger)
            for shot, recipe in self._recipes.items()
        )

    def finish(
        self,
        shot: Shot,
        take: Take,
        run: FilmRun,
        on_step: Callable[[int, int], None] = lambda done, total: None,
    ) -> ClipMedia:
        """What the cut uses of `take`, finished now if it was not; raises as `finish_take` does."""
        recipe = self._recipes.get(shot.id)
        if recipe is None:
            return self.media(shot, take)
        try:
            finish_take(
                take,
                recipe,
                self._store,
                enlarger=self._enlarger,
                should_stop=run.stop.is_set,
                on_step=on_step,
            )
        except RenderError as error:
            where = f"{shot.id}, {error.where}" if error.where else shot.id
            raise type(error)(error.what, where=where, todo=error.todo) from error
        return self.media(shot, take)

    def finish_picked(self, takes: Mapping[str, Take], run: FilmRun) -> None:
        """Finish everything that the cut needs; `takes` by key."""
        wanted: dict[str, Shot] = {}
        for shot in film_shots(self._plan.film):
            if shot.id in self._recipes:
                wanted.setdefault(self.media(shot).digest, shot)
        if not wanted:
            return
        shots = wanted.values()
        job, stop = self._plan.job, run.stop.is_set
        run.progress.stage("finish", sum(self._recipes[shot.id].num_frames for shot in shots))
        work = {
            key: Work(run.turns.taking(self._recorded(shot, takes[job(shot.id).key], run), stop))
            for key, shot in wanted.items()
        }
        outcome = run_all(work, jobs=self._jobs, stop=run.stop)
        for error in outcome.failed.values():
            raise error

    def _recipe(self, shot: Shot) -> FinishRecipe | None:
        job = self._plan.job(shot.id)
        # What is drawn for a work print is enlarged by the cut alone.
        drawn = self._backends[job.backend].capabilities.stand_in
        wanted = replace(self._wanted, upscale=1) if drawn else self._wanted
        seconds = shot.num_frames / self._plan.film.fps
        return recipe_for(job.request.size, job.request.fps, seconds, wanted)

    def _recorded(self, shot: Shot, take: Take, run: FilmRun) -> Callable[[], ClipMedia]:
        """Finishing `take`, recorded as a task."""
        recipe = self._recipes[shot.id]

        def make() -> ClipMedia:
            told = 0

            def on_step(done: int, total: int) -> None:
                nonlocal told
                run.progress.advance("finish", done - told, shot.id)
                told = done

            finished = self.finish(shot, take, run, on_step)
            on_step(recipe.num_frames, recipe.num_frames)
            return finished

        facts: dict[str, str | int | float] = {
            "shot": shot.id,
            "frames": recipe.num_frames,
            "size": f"{recipe.size[0]}x{recipe.size[1]}",
            "fps": float(recipe.fps),
        }
        return run.recorder.task("finish take", f"{self._plan.film.code} {shot.id}", make, facts)


def _ungrained(film: Film) -> Film:
    return replace(film, finish=film.finish.model_copy(update={"grain": 0.0}))


def finish_losses(plan: Plan) -> tuple[Loss, ...]:
    """What the finish of this film lacks: a model to enlarge what models made."""
    film = plan.film
    wanted = FinishedFilm(film.size, int(film.finish.upscale[0]), film.fps)
    backends = InstalledBackends()
    made = [job for job in plan.jobs if not backends[job.backend].capabilities.stand_in]
    if wanted.upscale == 1 or not made or enlarger_for(wanted) is not None:
        return ()
    reason = (
        "enlarged by ffmpeg's Lanczos filter, which adds no detail; for a model that does, "
        "set up [models.spandrel] in the models file"
    )
    return (Loss("finish.upscale", reason),)
