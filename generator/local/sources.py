"""Where a model's files are on this machine, and which ones they are.

A source is a folder, a file (of a part), or a hub id with a pinned revision that is looked up in
the local hub cache; with `download = true` what is missing there is fetched when a take is
rendered, never while a film is planned. Nothing here loads weights.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from generator.local.family import Sources
from generator.local.settings import ModelSettings, PartSettings
from media.errors import RefusalError, RenderError
from storyboards.fields import did_you_mean

__all__ = ["Need", "find_sources", "identity_of", "is_told", "told_model", "what_is_missing"]

MAIN = "main"

_TOLD = "told:"
"""Begins a source that stands for files on another machine; what follows says which they are."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_PAPERS = (".md", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".mp4", ".pdf")
"""What lies beside weights and changes no picture."""

_SAMPLE_BYTES = 65_536
_WHOLE_BYTES = 10_000_000
"""A configuration is hashed whole, a larger file by three samples."""


@dataclass(frozen=True, slots=True)
class Need:
    """Files that a model cannot do without, or a part that somebody may add."""

    name: str
    """`main`, or the name of a part in the models file."""
    files: tuple[str, ...]
    """Files and folders, relative to the source, that must be there; `*` stands for any name."""
    size_gb: float
    licence: str
    hint: str
    """Where they come from, such as a hub id."""
    optional: bool = False
    """True: missed only when it is named in the models file and not there."""


def what_is_missing(model: ModelSettings, needs: Sequence[Need]) -> str:
    """Why the needs cannot be met from this machine's disk, and what to do; empty: they can.

    With `download = true` a pinned hub id counts as met, since it can be fetched.
    """
    problems = (_problem(model, need) for need in needs)
    return next((problem for problem in problems if problem), "") or _unused_part(model, needs)


def find_sources(model: ModelSettings, needs: Sequence[Need]) -> Sources:
    """The folders (for a part with `weight_name`: the file), each with all that is needed.

    Fetches what is missing when the settings allow it. RefusalError says what is missing.
    """
    found: dict[str, str] = {}
    for need in needs:
        setting = _setting(model, need.name)
        if setting is None and need.optional:
            continue
        problem = _problem(model, need)
        if setting is None or problem:
            raise RefusalError(problem)
        folder = _folder(setting)
        if folder is None or _absent(folder, setting, need):
            folder = _fetch(setting, need)
            absent = _absent(folder, setting, need)
            if absent:
                raise RefusalError(_missing(need, f"lacks {', '.join(absent)} in {folder}"))
        found[need.name] = str(folder / setting.weight_name if setting.weight_name else folder)
    main = found.pop(MAIN, "")
    return Sources(main, found)


def identity_of(model: ModelSettings, needs: Sequence[Need]) -> str:
    """Which weights these are, as one short word that goes into every take's key.

    A hub id is its pinned revision. A folder is a digest of names, sizes, configurations and
    samples of the weights: the same on every machine it is copied to. Remembered while the
    files keep their times, so that a long plan asks cheaply.
    """
    hasher = hashlib.sha256()
    for need in sorted(needs, key=lambda need: need.name):
        setting = _setting(model, need.name)
        if setting is not None:
            hasher.update(f"{need.name}={_which(setting)}\n".encode())
    return hasher.hexdigest()[:16]


def told_model(model: ModelSettings) -> ModelSettings:
    """The settings as another machine needs them to plan for this one.

    Instead of where the files are they say which files they are: that machine snaps, quotes and
    names takes as this one does, and learns no path, address or key.
    """

    def told(name: str) -> str:
        setting = _setting(model, name)
        return f"{_TOLD}{_which(setting)}" if setting is not None else ""

    return ModelSettings(
        source=told(MAIN),
        variant=model.variant,
        precision=model.precision,
        attention=model.attention,
        step_cache=model.step_cache,
        parts={name: PartSettings(source=told(name)) for name in model.parts},
        profiles=model.profiles,
    )


def is_told(model: ModelSettings) -> bool:
    """Whether the model is another machine's."""
    return model.source.startswith(_TOLD)


def _which(setting: PartSettings) -> str:
    """Which files a source holds, the same on every machine that has them."""
    if setting.source.startswith(_TOLD):
        return setting.source.removeprefix(_TOLD)
    folder = Path(setting.source).expanduser()
    if folder.is_dir():
        return _folder_identity(folder, [setting.weight_name] if setting.weight_name else None)
    return f"{setting.source}@{setting.revision}/{setting.weight_name}"


def _setting(model: ModelSettings, name: str) -> PartSettings | None:
    """What the models file says of a need, a file as a name in its folder; None: nothing."""
    if name == MAIN:
        given = PartSettings(source=model.source, revision=model.revision) if model.source else None
    else:
        given = model.parts.get(name)
    if given is not None and (file := Path(given.source).expanduser()).is_file():
        return PartSettings(source=str(file.parent), weight_name=file.name)
    return given


def _problem(model: ModelSettings, need: Need) -> str:
    """Why a need is not met, as a sentence, or nothing."""
    setting = _setting(model, need.name)
    if setting is None:
        return "" if need.optional else _missing(need, "is not in the models file")
    if Path(setting.source).expanduser().is_dir():
        may_fetch = False
    elif _HUB_ID.fullmatch(setting.source) is None:
        return _missing(need, f"is not at {setting.source}")
    elif not _COMMIT.fullmatch(setting.revision):
        given = f"got {setting.revision!r}" if setting.revision else "got none"
        unpinned = f"names the hub id {setting.source} without a pinned revision"
        return f"{_called(need)} {unpinned}: expected a commit of 40 hexadecimal digits, {given}"
    else:
        may_fetch = model.download
    folder = _folder(setting)
    if may_fetch:
        return ""
    if folder is None:
        where = f"{setting.source}@{setting.revision[:12]}"
        return _missing(need, f"is not in the local hub cache as {where}") + (
            ", or set download = true"
        )
    absent = _absent(folder, setting, need)
    return _missing(need, f"lacks {', '.join(absent)} in {folder}") if absent else ""


def _unused_part(model: ModelSettings, needs: Sequence[Need]) -> str:
    """That a part is named which the model would not read, or nothing."""
    used = [need.name for need in needs if need.name != MAIN]
    unused = next((name for name in model.parts if name not in used), "")
    if not unused:
        return ""
    hint = did_you_mean(unused, used)
    return f"part {unused}: expected one of {', '.join(used) or 'none'} with this model{hint}"


def _missing(need: Need, problem: str) -> str:
    files = ", ".join(need.files)
    return (
        f"{_called(need)} {problem}: expected {files} (about {need.size_gb:g} GB, licence "
        f"{need.licence}); {need.hint}"
    )


def _called(need: Need) -> str:
    return "the model" if need.name == MAIN else f"part {need.name}"


def _folder(setting: PartSettings) -> Path | None:
    """The folder of a source, from disk or the local hub cache; None: it is in neither."""
    folder = Path(setting.source).expanduser()
    if folder.is_dir():
        return folder
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(setting.source, revision=setting.revision, local_files_only=True)
        )
    except (OSError, ValueError):
        return None


def _fetch(setting: PartSettings, need: Need) -> Path:
    """The needed files of a hub id, fetched into the local hub cache."""
    from huggingface_hub import snapshot_download

    wanted = [pattern for name in need.files for pattern in (name, f"{name}/*")]
    named = [setting.weight_name] if setting.weight_name else []
    try:
        fetched = snapshot_download(
            setting.source, revision=setting.revision, allow_patterns=["*.json", *wanted, *named]
        )
    except Exception as error:
        raise RenderError(
            f"cannot fetch {setting.source}@{setting.revision[:12]} (about {need.size_gb:g} GB): "
            f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}",
            todo="check the network and HF_TOKEN, or copy the folder here and name it as source",
        ) from error
    return Path(fetched)


def _absent(folder: Path, setting: PartSettings, need: Need) -> list[str]:
    """The needed files that are not in the folder, shards that an index names included."""
    files = (*need.files, *((setting.weight_name,) if setting.weight_name else ()))
    absent = []
    for name in files:
        there = sorted(folder.glob(name))
        if not there:
            absent.append(name)
        for path in there:
            shards = (shard for index in path.glob("*.index.json") for shard in _shards(index))
            absent += [f"{name}/{shard}" for shard in sorted(set(shards))]
    return absent


def _shards(index: Path) -> Iterator[str]:
    """Files that an index of weights names and that are not beside it."""
    try:
        named = set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    yield from (name for name in named if not (index.parent / str(name)).exists())


def _folder_identity(folder: Path, names: Sequence[str] | None) -> str:
    """Of the named files, or of all."""
    if names is not None:
        paths = [folder / name for name in names]
    else:
        found = (path for path in folder.rglob("*") if path.suffix.lower() not in _PAPERS)
        paths = sorted(
            path
            for path in found
            if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        )
    stats = tuple(
        (path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns)
        for path in paths
        if path.is_file()
    )
    return _digest(str(folder.resolve()), stats)


@lru_cache(maxsize=64)
def _digest(folder: str, stats: tuple[tuple[str, int, int], ...]) -> str:
    hasher = hashlib.sha256()
    for name, num_bytes, _ in stats:
        hasher.update(f"{name}:{num_bytes}\n".encode())
        whole = name.endswith(".json") and num_bytes <= _WHOLE_BYTES
        with Path(folder, name).open("rb") as file:
            for at in (0,) if whole else (0, num_bytes // 2, max(0, num_bytes - _SAMPLE_BYTES)):
                file.seek(at)
                hasher.update(file.read(num_bytes if whole else _SAMPLE_BYTES))
    return hasher.hexdigest()
