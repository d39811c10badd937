"""What must hold for a film made by a farm, whatever was killed meanwhile."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from flows.farm.names import GPU_POOL, SLOTS
from flows.farm.window import window_size
from tests.faults.farm_run import Farm, until
from tests.flows.films import command, picture_digests, sound_of

__all__ = [
    "Film",
    "Watch",
    "board",
    "finished_takes",
    "require_kept",
    "undisturbed",
    "watched",
    "write_board",
]

SETTLED_WITHIN_S = 150.0
"""A worker that is gone is noticed after a minute and a half."""


_CHAINED = (1, 3, 4)
"""Shots that go on from the one before."""


def board(num_shots: int = 8, words: Mapping[int, str] | None = None) -> dict[str, Any]:
    """A film of tiny shots for two models, in which two chains go on from each other.

    `words` are added to the action of a shot.
    """
    shots: list[dict[str, Any]] = []
    for number in range(num_shots):
        shot = {
            "id": f"sh{number * 10 + 10:04}",
            "size": "LS",
            "duration": "6f",
            "action": f"Beat {_beat(number)} of the night. {(words or {}).get(number, '')}",
            "backend": "pastel" if number % 3 == 2 else "sketch",
        }
        if number in _CHAINED:
            shot["join"] = {"from": f"sh{number * 10:04}", "mode": "extend"}
            shot["backend"] = shots[-1]["backend"]
        shots.append(shot)
    return {
        "version": 1,
        "project": {"code": "FRM", "title": "Farm", "fps": 24, "size": "160x90"},
        "scenes": [{"id": "sc010", "slugline": "EXT. SHORE - NIGHT", "shots": shots}],
    }


def write_board(folder: Path, storyboard: Mapping[str, Any]) -> Path:
    """The path of the storyboard, written into a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "film.yaml"
    path.write_text(yaml.safe_dump(dict(storyboard), sort_keys=False), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Film:
    """What an audience gets."""

    pictures: list[bytes]
    sound: bytes

    @classmethod
    def at(cls, out: Path) -> Film:
        """The film that was delivered there."""
        path = out / "FRM_master_en.mp4"
        return cls(picture_digests(path), np.asarray(sound_of(path)).tobytes())


def undisturbed(folder: Path, storyboard: Mapping[str, Any], farm: Farm) -> Film:
    """The same film, made in one process without a farm."""
    path = write_board(folder, storyboard)
    places = ("--store", folder / "store", "--out", folder / "out")
    path_of_plugins = farm.environment["PYTHONPATH"]
    done = command("produce", path, "--quiet", *places, home=folder, PYTHONPATH=path_of_plugins)
    assert done.returncode == 0, done.stderr
    return Film.at(folder / "out")


@dataclass(slots=True)
class Watch:
    """What was seen of a film's takes while it was made."""

    store: Path
    kept: dict[str, str] = field(default_factory=dict)
    """Digest of each finished take when it was first seen, by key."""
    most_in_pool: int = 0

    def has(self, key: str) -> bool:
        """Whether that take is finished."""
        return (self.store / "takes" / key[:2] / key / "manifest.json").exists()

    def look(self) -> None:
        """Note the takes that are finished."""
        for key in finished_takes(self.store) - self.kept.keys():
            self.kept[key] = digest_of(self.store / "takes" / key[:2] / key)


def finished_takes(store: Path) -> set[str]:
    """Keys of the takes that are in the store, whole."""
    found = (manifest.parent.name for manifest in store.glob("takes/??/*/manifest.json"))
    return {name for name in found if not name.startswith(".")}  # not those being published


def digest_of(take: Path) -> str:
    """Of all files of a take, with their names."""
    hasher = hashlib.sha256()
    for path in sorted(take.rglob("*")):
        if path.is_file():
            hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()


@contextmanager
def watched(farm: Farm, store: Path) -> Iterator[Watch]:
    """Look at the takes and at the pool until the context ends."""
    watch, enough = Watch(store), threading.Event()

    def look() -> None:
        while not enough.wait(0.3):
            watch.look()
            with suppress(httpx.HTTPError):
                states = ("SCHEDULED", "PENDING", "RUNNING")
                address = str(store)
                runs = farm.flow_runs(*states, pool=GPU_POOL)
                ours = [run["parameters"] for run in runs]
                # A take that is in the store is no longer waited for, whatever its run says.
                wanted = {
                    one["key"]
                    for one in ours
                    if one["store"] == address and not watch.has(one["key"])
                }
                watch.most_in_pool = max(watch.most_in_pool, len(wanted))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        enough.set()
        thread.join(30)


def require_kept(
    farm: Farm,
    watch: Watch,
    out: Path,
    expected: Film,
    begun: int,
    *,
    workers: int = 1,
    films: int = 1,
) -> None:
    """Everything that holds for a film that is finished; `begun` lines of the log came before."""
    assert Film.at(out) == expected, "the film is another one"
    for key, digest in watch.kept.items():
        assert digest_of(watch.store / "takes" / key[:2] / key) == digest, f"take {key} changed"
    require_once(farm, begun)
    # A chain that has begun goes on though the window is full.
    window = films * (window_size(workers * SLOTS[GPU_POOL]) + len(_CHAINED))
    assert watch.most_in_pool <= window, f"{watch.most_in_pool} in a window of {window}"
    require_settled(farm)


def require_once(farm: Farm, begun: int) -> None:
    """No take was rendered twice, but one whose process was killed; one load a process."""
    by_take: dict[str, list[int]] = {}
    for name, pid in farm.marks("begin")[begun:]:
        by_take.setdefault(name, []).append(pid)
    for name, pids in by_take.items():
        alive = [pid for pid in pids if pid not in farm.killed]
        assert len(alive) <= 1, f"{name} was rendered {len(pids)} times: {pids}, {farm.killed}"
        assert len(set(pids)) == len(pids), f"{name} was rendered twice by one process: {pids}"
    for (model, pid), loads in Counter(farm.marks("load")).items():
        assert loads == 1, f"{model} was loaded {loads} times by process {pid}"


def require_settled(farm: Farm) -> None:
    """Nothing is left under way, or waiting, on the server: of runs, and in films' own lists."""

    def left() -> list[str]:
        states = ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING"]
        runs = [*farm.flow_runs(*states)]
        runs += farm.ask("task_runs", task_runs={"state": {"type": {"any_": states}}}, limit=200)
        return [f"{run['name']}: {run['state']['name']}" for run in runs]

    try:
        until(lambda: None if left() else True, SETTLED_WITHIN_S)
    except AssertionError:
        raise AssertionError(f"left on the server: {left()}") from None


def _beat(number: int) -> str:
    return f"{'abcdefghijklmnopqrstuvwxyz'[number]}{number}"
