"""Where a model's files are on this machine, and which ones they are.

A source is a folder, or a hub id with a pinned revision that is looked up in the local hub cache;
with `download = true` what is missing there is fetched when a take is rendered, never while a
film is planned. Nothing here reads weights.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from generator.local.family import Sources
from generator.local.settings import ModelSettings, PartSettings
from media.errors import RefusalError, RenderError

__all__ = ["Need", "find_sources", "identity_of", "what_is_missing"]

MAIN = "main"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LARGEST_JSON_BYTES = 10_000_000
"""Configurations are small; a tokenizer's vocabulary may be larger and goes in by size."""


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
    for need in needs:
        setting = _setting(model, need.name)
        if setting is None:
            if need.optional:
                continue
            return _missing(need, "is not in the models file")
        problem = _problem(setting, need, may_fetch=model.download)
        if problem:
            return _missing(need, problem)
    return ""


def find_sources(model: ModelSettings, needs: Sequence[Need]) -> Sources:
    """The folders (for a part with `weight_name`: the file), each with all that is needed.

    Fetches what is missing when the settings allow it. RefusalError says what is missing.
    """
    found: dict[str, str] = {}
    for need in needs:
        setting = _setting(model, need.name)
        if setting is None and need.optional:
            continue
        problem = (
            "is not in the models file"
            if setting is None
            else _problem(setting, need, may_fetch=model.download)
        )
        if setting is None or problem:
            raise RefusalError(_missing(need, problem))
        folder = _folder(setting) or _fetch(setting, need)
        absent = _absent(folder, setting, need)
        if absent:
            raise RefusalError(_missing(need, f"lacks {', '.join(absent)} in {folder}"))
        found[need.name] = str(folder / setting.weight_name if setting.weight_name else folder)
    main = found.pop(MAIN, "")
    return Sources(main, found)


def identity_of(model: ModelSettings, needs: Sequence[Need]) -> str:
    """Which weights these are, as one short word that goes into every take's key.

    A hub id is its pinned revision; a folder is a digest of names, sizes and configurations.
    Remembered while the folder's files keep their times, so a long plan asks cheaply.
    """
    hasher = hashlib.sha256()
    for need in sorted(needs, key=lambda need: need.name):
        setting = _setting(model, need.name)
        if setting is None:
            continue
        folder = Path(setting.source).expanduser()
        is_local = folder.is_dir() or not _is_hub_id(setting.source)
        which = _folder_identity(folder) if is_local else f"{setting.source}@{setting.revision}"
        hasher.update(f"{need.name}={which}/{setting.weight_name}\n".encode())
    return hasher.hexdigest()[:16]


def _setting(model: ModelSettings, name: str) -> PartSettings | None:
    """What the models file says of a need; None: nothing."""
    if name == MAIN:
        main = PartSettings(source=model.source, revision=model.revision)
        return main if model.source else None
    return model.parts.get(name)


def _missing(need: Need, problem: str) -> str:
    files = ", ".join(need.files)
    return (
        f"{need.name} {problem}: expected {files} (about {need.size_gb:g} GB, licence "
        f"{need.licence}); {need.hint}"
    )


def _problem(setting: PartSettings, need: Need, *, may_fetch: bool) -> str:
    """What is wrong with a setting, or nothing."""
    is_folder = Path(setting.source).expanduser().is_dir()
    if not is_folder and not _is_hub_id(setting.source):
        return f"is not at {setting.source}"
    if not is_folder and not _COMMIT.fullmatch(setting.revision):
        given = f"got {setting.revision!r}" if setting.revision else "got none"
        return (
            f"names the hub id {setting.source} without a pinned revision: expected a commit of "
            f"40 hexadecimal digits, {given}"
        )
    folder = _folder(setting)
    if folder is None:
        if may_fetch:
            return ""
        return (
            f"is not in the local hub cache as {setting.source}@{setting.revision[:12]} (set "
            "download = true to fetch it)"
        )
    absent = _absent(folder, setting, need)
    if absent and not (may_fetch and not is_folder):
        return f"lacks {', '.join(absent)} in {folder}"
    return ""


def _is_hub_id(source: str) -> bool:
    return _HUB_ID.fullmatch(source) is not None


def _folder(setting: PartSettings) -> Path | None:
    """The folder of a source, from disk or the local hub cache; None: it is in neither."""
    folder = Path(setting.source).expanduser()
    if folder.is_dir():
        return folder
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import snapshot_download

    try:
        cached = snapshot_download(setting.source, revision=setting.revision, local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(cached)


def _fetch(setting: PartSettings, need: Need) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(setting.source, revision=setting.revision))
    except Exception as error:
        raise RenderError(
            f"cannot fetch {setting.source}@{setting.revision[:12]} (about {need.size_gb:g} GB): "
            f"{type(error).__name__}: {error}",
            todo="check the network and HF_TOKEN, or copy the folder and name it as source",
        ) from error


def _absent(folder: Path, setting: PartSettings, need: Need) -> list[str]:
    files = (*need.files, *((setting.weight_name,) if setting.weight_name else ()))
    return [name for name in files if not any(folder.glob(name))]


def _folder_identity(folder: Path) -> str:
    """Digest of relative names, sizes and the contents of configurations."""
    stats = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-2:]):
            stat = path.stat()
            stats.append((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns))
    return _digest(str(folder.resolve()), tuple(stats))


@lru_cache(maxsize=64)
def _digest(folder: str, stats: tuple[tuple[str, int, int], ...]) -> str:
    hasher = hashlib.sha256()
    for name, num_bytes, _ in stats:
        hasher.update(f"{name}:{num_bytes}\n".encode())
        if name.endswith(".json") and num_bytes <= _LARGEST_JSON_BYTES:
            hasher.update(Path(folder, name).read_bytes())
    return hasher.hexdigest()
