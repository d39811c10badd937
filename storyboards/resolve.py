"""From a storyboard file to a film in exact frames, or to every problem in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from media.errors import Problem, StoryboardError
from storyboards.cues import sound_cues
from storyboards.edges import check_groups, continuations, transitions
from storyboards.film import (
    Character,
    DepthLayer,
    Film,
    Location,
    Look,
    Scene,
    Shot,
    cut_of,
)
from storyboards.handover import deliverables, music_cues
from storyboards.loader import LoadedStoryboard, read_storyboard
from storyboards.marks import Loc
from storyboards.schema import StoryboardText, VariableValue, Voice
from storyboards.script import Script, open_script
from storyboards.shots import resolve_shot
from storyboards.spelling import check_names
from storyboards.staging import scene_sides
from storyboards.timing import MAX_FILM_S, shot_times
from storyboards.variants import Variant, load_variants

__all__ = ["load_film", "load_films", "resolve_film"]


def load_film(
    path: Path | str,
    *,
    variables: Mapping[str, VariableValue] | None = None,
    variant: str | None = None,
) -> Film:
    """The film that the storyboard at `path` describes, or StoryboardError with all problems.

    `variant` names a row of its table; `variables` overrule both the row and the storyboard.
    """
    values: dict[str, VariableValue] = {}
    if variant is not None:
        values.update(_row(Path(path), variant).values)
    outcome = _attempt(Path(path), {**values, **(variables or {})}, variant or "")
    if outcome.film is None:
        raise StoryboardError(outcome.problems)
    return outcome.film


def load_films(
    path: Path | str, *, variables: Mapping[str, VariableValue] | None = None
) -> tuple[Film, ...]:
    """One film for each row of the storyboard's table, or the one film of a storyboard without."""
    path, given = Path(path), variables or {}
    first = _attempt(path, given, "")
    rows = _rows(path, first)
    if not rows:
        if first.film is None:
            raise StoryboardError(first.problems)
        return (first.film,)
    outcomes = {row.name: _attempt(path, {**row.values, **given}, row.name) for row in rows}
    films = [outcome.film for outcome in outcomes.values() if outcome.film is not None]
    if len(films) < len(rows):
        raise StoryboardError(_gathered(outcomes))
    return tuple(films)


def resolve_film(loaded: LoadedStoryboard, *, variant: str = "") -> Film:
    """The film, or StoryboardError with everything that does not fit together."""
    film, problems = _resolve(loaded, variant)
    if problems:
        raise StoryboardError(problems)
    return film


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A film, or what is wrong with it; the text as far as it could be read."""

    film: Film | None
    problems: list[Problem]
    text: StoryboardText | None


def _attempt(path: Path, values: Mapping[str, VariableValue], variant: str) -> _Outcome:
    reading = read_storyboard(path, values)
    if reading.loaded is None:
        return _Outcome(None, reading.problems, None)
    film, found = _resolve(reading.loaded, variant)
    problems = sorted({*reading.problems, *found})
    return _Outcome(None if problems else film, problems, reading.loaded.text)


def _rows(path: Path, outcome: _Outcome) -> tuple[Variant, ...]:
    """The rows of the storyboard's table; none when it has no table."""
    text = outcome.text
    if text is None or text.variants is None:
        return ()
    reading = read_storyboard(path, {})
    if reading.loaded is None:
        return ()
    script = open_script(reading.loaded)
    table = script.references.asset(text.variants, "table", ("variants",))
    if table is None:
        raise StoryboardError(sorted({*outcome.problems, *script.problems.found}))
    try:
        return load_variants(path.parent / text.variants, text.variables)
    except StoryboardError as error:
        raise StoryboardError([*outcome.problems, *error.problems]) from None


def _row(path: Path, variant: str) -> Variant:
    reading = read_storyboard(path, {})
    outcome = _Outcome(None, [], reading.loaded.text if reading.loaded else None)
    rows = {row.name: row for row in _rows(path, outcome)}
    if variant in rows:
        return rows[variant]
    if reading.loaded is None:
        raise StoryboardError(reading.problems)
    script = open_script(reading.loaded)
    script.check_name(variant, "variant", tuple(rows), ("variants",))
    raise StoryboardError(list(script.problems.found))


def _gathered(outcomes: Mapping[str, _Outcome]) -> list[Problem]:
    """The problems of all rows; what only some rows have says which."""
    rows: dict[Problem, list[str]] = {}
    for name, outcome in outcomes.items():
        for problem in outcome.problems:
            rows.setdefault(problem, []).append(name)
    found = []
    for problem, names in rows.items():
        some = f" (in variant {', '.join(names[:5])}{', ...' if len(names) > 5 else ''})"
        what = problem.what if len(names) == len(outcomes) else problem.what + some
        found.append(Problem(problem.file, problem.line, problem.column, problem.path, what))
    return found


def _resolve(loaded: LoadedStoryboard, variant: str) -> tuple[Film, list[Problem]]:
    """The film, complete only when there are no problems."""
    script = open_script(loaded)
    _resolve_cast(script)
    _resolve_locations(script)
    _resolve_looks(script)
    check_names(script)
    scenes = _scenes(script)
    text, project = loaded.text, loaded.text.project
    script.references.asset(text.variants, "table", ("variants",))
    film = Film(
        path=loaded.path,
        folder=loaded.folder,
        variant=variant,
        code=project.code,
        title=project.title,
        fps=project.fps,
        size=project.size,
        seed=project.seed,
        lang=project.lang,
        budget=text.budget,
        cast=script.cast,
        locations=script.locations,
        looks=script.looks,
        music=music_cues(script),
        scenes=scenes,
        finish=text.finish,
        deliverables=deliverables(script),
        exports=tuple(dict.fromkeys(text.exports)),
        approve=tuple(dict.fromkeys(text.approve)),
    )
    _check_whole(script, film)
    return film, sorted(script.problems.found)


def _resolve_cast(script: Script) -> None:
    for name, character in script.text.cast.items():
        loc: Loc = ("cast", name)
        voice = character.voice or Voice()
        refs = {
            view: script.references.asset(path, "image", (*loc, "refs", view))
            for view, path in character.refs.items()
        }
        loras = [
            (lora, script.references.asset(lora.path, "weights", (*loc, "lora", index, "path")))
            for index, lora in enumerate(character.lora)
        ]
        script.cast[name] = Character(
            id=name,
            name=character.name or name.replace("_", " ").title(),
            description=character.description,
            refs={view: asset for view, asset in refs.items() if asset},
            voice=voice,
            voice_ref=script.references.asset(voice.ref, "sound", (*loc, "voice", "ref")),
            loras=tuple((lora, asset) for lora, asset in loras if asset),
            height_m=character.height_m,
        )


def _resolve_locations(script: Script) -> None:
    for name, location in script.text.locations.items():
        loc: Loc = ("locations", name)
        plates = [
            script.references.asset(path, "image", (*loc, "refs", index))
            for index, path in enumerate(location.refs)
        ]
        layers = [
            (script.references.asset(layer.path, "image", (*loc, "layers", index, "path")), layer)
            for index, layer in enumerate(location.layers)
        ]
        depths = [DepthLayer(asset, layer.depth_m) for asset, layer in layers if asset]
        script.locations[name] = Location(
            name,
            location.description or "",
            tuple(asset for asset in plates if asset),
            tuple(sorted(depths, key=lambda layer: -layer.depth_m)),
        )


def _resolve_looks(script: Script) -> None:
    for name, look in script.text.looks.items():
        loc: Loc = ("looks", name)
        refs = [
            script.references.asset(path, "image", (*loc, "refs", index))
            for index, path in enumerate(look.refs)
        ]
        script.looks[name] = Look(
            name,
            look.prompt or "",
            look.negative or "",
            script.references.asset(look.lut, "lut", (*loc, "lut")),
            look.lut_strength,
            tuple(asset for asset in refs if asset),
        )


def _scenes(script: Script) -> tuple[Scene, ...]:
    times = shot_times(script)
    edges = transitions(script, times)
    continues = continuations(script, times)
    check_groups(script)
    sides = [scene_sides(scene) for scene in script.text.scenes]
    shots: dict[Loc, list[Shot]] = {}
    for place in script.places:
        shot = resolve_shot(
            script,
            place,
            times[place.index],
            edges[place.index],
            continues.get(place.index),
            sides[int(place.scene_loc[1])],
        )
        shots.setdefault(place.scene_loc, []).append(shot)
    return tuple(
        _scene(script, index, tuple(shots.get(("scenes", index), ())))
        for index in range(len(script.text.scenes))
    )


def _scene(script: Script, index: int, shots: tuple[Shot, ...]) -> Scene:
    scene, defaults = script.text.scenes[index], script.text.defaults
    loc: Loc = ("scenes", index, "ambience")
    written = scene.ambience
    if written is None:
        written, loc = defaults.ambience, ("defaults", "ambience")
    return Scene(scene.id, scene.slugline, sound_cues(script, written or (), loc, None), shots)


def _check_whole(script: Script, film: Film) -> None:
    """What only the whole film shows: its length, its raster, its rate."""
    length_s = cut_of(film).num_frames / film.fps
    if length_s > MAX_FILM_S:
        script.problems.add(
            ("scenes",), f"expected a film of at most 3 hours, got {float(length_s) / 3600:.2f}"
        )
    scale = int(film.finish.upscale[0])
    if max(film.size) * scale > 8192:
        script.problems.add(
            ("finish", "upscale"),
            f"expected at most 8192 pixels a side, got {max(film.size) * scale}",
        )
    rate = film.finish.interpolate_fps
    if rate is not None and rate < film.fps:
        script.problems.add(
            ("finish", "interpolate_fps"),
            f"expected at least the project's {float(film.fps):g} fps, got {float(rate):g}",
        )
