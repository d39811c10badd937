"""What an entry's maker wrote down: its files with sizes and SHA-256, and details for programs.

An entry is whole when it has a manifest and every file is as the manifest says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.errors import StoreError
from media.files import sha256_file

__all__ = ["MANIFEST", "FileFacts", "Manifest", "manifest_text", "parse_manifest", "wrong_file"]

MANIFEST = "manifest.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file must be."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that could be read."""

    files: Mapping[str, FileFacts]
    """By name inside the entry's folder."""
    details: Mapping[str, Any]
    upload: str
    """In an object store: the name that the files were uploaded under. Else empty."""
    num_bytes: int
    """Of the manifest itself."""


def manifest_text(kind: str, key: str, folder: Path, details: Mapping[str, Any]) -> str:
    """The manifest of what lies in `folder`; ValueError when `details` are not for JSON."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
        }
        for path in paths
    }
    manifest = {
        "version": _VERSION,
        "kind": kind,
        "key": key,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "files": files,
        "details": details,
    }
    return json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parse_manifest(text: bytes, kind: str, key: str) -> Manifest | str:
    """The manifest, or what is wrong with it."""
    try:
        manifest = json.loads(text)
        expected = (_VERSION, kind, key)
        found = (manifest["version"], manifest["kind"], manifest["key"])
        if found != expected:
            return f"its manifest says {found}, expected {expected}"
        files = {
            str(name): FileFacts(int(facts["bytes"]), str(facts["sha256"]))
            for name, facts in manifest["files"].items()
        }
        if any({"", ".", ".."}.intersection(name.split("/")) for name in files):
            return "its manifest names files outside its folder"
        upload = str(manifest.get("upload", ""))
        if upload and not upload.isalnum():
            return "its manifest names an upload outside its folder"
        return Manifest(files, dict(manifest["details"]), upload, len(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is damaged"


def wrong_file(path: Path, expected: FileFacts, *, verify: bool) -> str:
    """What is wrong with the file, or nothing; its SHA-256 is compared with `verify`."""
    try:
        size = path.stat().st_size
        if size != expected.num_bytes:
            return f"has {size} bytes, expected {expected.num_bytes}"
        if verify and sha256_file(path) != expected.sha256:
            return "is not what was written"
    except (OSError, StoreError):
        return "is missing or cannot be read"
    return ""
