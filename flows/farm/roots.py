"""Folders that a farm's runs may read and write. Whoever reaches the server's API can start a run.

Paths in a run's parameters are followed through links and `..` and must end up inside a root.
Runs in the process of a person's own command are not confined: they may do what the person may.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from media.errors import UsageError
from media.shared_store import address_of, binding_of, is_url, local_root

__all__ = ["chosen_roots", "read_roots", "require_inside_roots", "require_store"]

_WHERE = "TAKEBOARD_ROOTS"


def chosen_roots(
    chosen: Sequence[Path] | None, environ: Mapping[str, str] = os.environ
) -> tuple[Path, ...]:
    """The roots of this machine: those that were typed, the environment's, or this folder.

    UsageError for one that is no folder.
    """
    roots = tuple(path.expanduser().resolve() for path in chosen or ()) or read_roots(environ)
    for root in roots:
        if not root.is_dir():
            raise UsageError("it is no folder", where=f"--root {root}", todo="make it first")
    return roots or (Path.cwd().resolve(),)


def read_roots(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """What the environment says, with links followed."""
    listed = environ.get(_WHERE, "").split(os.pathsep)
    return tuple(Path(root).expanduser().resolve() for root in listed if root.strip())


def require_inside_roots(path: Path, roots: Sequence[Path], what: str) -> Path:
    """The path with links followed. UsageError when it is in none of the roots."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a null character
        raise UsageError(
            f"the {what} cannot be followed: {error}", where=repr(path)[:200]
        ) from None
    if any(real.is_relative_to(root) for root in roots):
        return real
    shown = " or ".join(map(str, roots)) or "one"
    leads = f" leads to {real}," if real != path else " is"
    raise UsageError(
        f"the {what}{leads} outside this worker's roots",
        where=str(path),
        todo=f"put it into {shown}, or start the worker (`takeboard up`) with --root",
    )


def require_store(address: str, roots: Sequence[Path], configured: Path | None) -> Path:
    """The folder of a store that a run names: this worker's own, or a folder inside a root.

    `configured` is the worker's own store. UsageError for any other, and for every object store
    that is not the worker's: its keys would open more than this film's takes.
    """
    own = configured is not None and address in (str(configured), address_of(configured))
    if own:
        assert configured is not None
        return configured
    folder = None if is_url(address) else require_inside_roots(local_root(address), roots, "store")
    # A folder that is bound to an object store is that store, by the keys of this worker.
    if folder is None or binding_of(folder) is not None:
        raise UsageError(
            "the store is not this worker's",
            where=address[:200],
            todo="start the worker with --store or TAKEBOARD_STORE set to it",
        )
    return folder
