"""One entry of a store on this disk: its files, checked against its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.manifest import MANIFEST, Manifest, parse_manifest, wrong_file

__all__ = ["Entry", "read_entry", "read_manifest"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One key's files and what its maker wrote down about them."""

    key: str
    folder: Path
    files: Mapping[str, Path]
    """By name inside the folder; the manifest is not among them."""
    details: Mapping[str, Any]
    size_bytes: int


def read_entry(folder: Path, kind: str, key: str, *, verify: bool) -> Entry | str | None:
    """The entry in `folder`, None when absent, or what is wrong with it.

    Every file must be there with its size; with `verify` its SHA-256 must be right too.
    """
    listed = read_manifest(folder, kind, key)
    if not isinstance(listed, Manifest):
        return listed
    files: dict[str, Path] = {}
    for name, facts in listed.files.items():
        if wrong := wrong_file(folder / name, facts, verify=verify):
            return f"{name} {wrong}"
        files[name] = folder / name
    size_bytes = listed.num_bytes + sum(facts.num_bytes for facts in listed.files.values())
    return Entry(key, folder, files, listed.details, size_bytes)


def read_manifest(folder: Path, kind: str, key: str) -> Manifest | str | None:
    """The manifest in `folder`, None when it is absent, or what is wrong with it."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        # An entry that is being removed, or was when the machine stopped, is absent.
        return None
    except OSError as error:
        return f"its manifest cannot be read: {(error.strerror or str(error)).lower()}"
    return parse_manifest(text, kind, key)
