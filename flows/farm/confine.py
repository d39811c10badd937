"""What a worker allows a run's parameters to name: films, folders and stores inside its roots.

TAKEBOARD_ROOTS says them. `takeboard up` and `takeboard worker` always set it; without it, in the
process of somebody's own command or script, nothing is confined.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from socket import gethostname

from flows.commands import Choice, load, options_for
from flows.farm.roots import read_roots, require_inside_roots, require_store
from flows.options import FilmOptions
from flows.settings import read_settings
from media.errors import UsageError
from media.shared_store import local_root
from storyboards.film import Film

__all__ = ["confined_options", "confined_store", "confined_storyboard", "load_confined"]


def load_confined(choice: Choice) -> Film:
    """The film that `choice` names. UsageError when its storyboard is outside the roots."""
    return load(replace(choice, film=confined_storyboard(choice.film)))


def confined_options(choice: Choice, film: Film) -> FilmOptions:
    """The options of a film that is inside the roots. UsageError when its folders are not.

    Also those that nobody named: beside the storyboard there may be a link that leads away.
    """
    settings = read_settings()
    options = options_for(replace(choice, film=film.path), settings, film)
    roots = read_roots()
    if not roots:
        return options
    return replace(
        options,
        out=require_inside_roots(options.out, roots, "folder for the films"),
        store=require_store(str(options.store), roots, settings.store),
    )


def confined_store(address: str) -> Path:
    """The folder of the store at `address`. UsageError when it is none that a run may use."""
    roots = read_roots()
    return require_store(address, roots, read_settings().store) if roots else local_root(address)


def confined_storyboard(path: Path) -> Path:
    """The storyboard's path; a relative one is looked for in the roots, one after the other.

    UsageError when it is outside the roots, or not there.
    """
    roots = read_roots()
    if not roots:
        return path
    inside = [root / path for root in roots if (root / path).is_file()]
    if not inside and not path.is_absolute():
        raise UsageError(
            "there is no such storyboard in this worker's roots",
            where=str(path),
            todo=f"write it from {' or '.join(map(str, roots))} on",
        )
    found = require_inside_roots(next(iter(inside), path), roots, "storyboard")
    if not found.is_file():
        # Whoever asked for the film may well have a file of that name: on another machine.
        raise UsageError(
            f"{gethostname()}, which makes films, has no such storyboard",
            where=str(path),
            todo="put it where the workers for films see it under the same path",
        )
    return found
