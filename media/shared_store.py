"""Where a store is: a folder, or an object store with a copy of what this machine used of it.

An address is a path, or the URL of a bucket and a prefix (`s3://films/lighthouse`, or any that
fsspec knows). Everything inside Takeboard works on a folder: for a URL it is this machine's local
copy, bound to the URL by a `shared.json` in it. The endpoint and the keys of the object store come
from the environment, as its library reads them (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …); they are
never written down.

TAKEBOARD_STORE_COPY   folder of the local copies; default: takeboard/stores in the user's cache
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from media.errors import StoreError, UsageError, translate_os_errors
from media.files import write_atomic
from media.object_store import ObjectStore, open_objects
from media.patience import Patience
from media.shared_kind import SHARED_KINDS, SharedKind

__all__ = [
    "BINDING",
    "Binding",
    "address_of",
    "binding_of",
    "is_url",
    "local_root",
    "require_exclusive",
    "shared_kind",
    "shared_objects",
]

BINDING = "shared.json"
"""In the root of a local copy: what it is a copy of."""

_VERSION = 1
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_PLACE = re.compile(r"[^/\s@?#:]+(/[^/\s?#]+)*")
"""Bucket and prefix. No `@` or `:` in the bucket: what stands before one may be a key."""
_FOLDERS = ("file", "local")


@dataclass(frozen=True, slots=True)
class Binding:
    """What a local copy is a copy of."""

    url: str
    copy: str
    """A name that no other local copy has."""


def is_url(address: str) -> bool:
    """Whether the address is on an object store."""
    return _URL.fullmatch(address.strip()) is not None


def local_root(address: str, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder to work on for a store's address; for a URL it is made and bound.

    Nothing is asked of the object store yet. UsageError when the URL cannot be one or the
    library for it is not installed.
    """
    if not is_url(address):
        return Path(address.strip()).expanduser().resolve()
    url = _checked_url(address.strip())
    digest = hashlib.sha256(url.encode()).hexdigest()
    root = _copies(environ) / digest[:32]
    if (bound := binding_of(root)) is None:
        with translate_os_errors("make the local copy of a store", root):
            # A copy holds films that are nobody else's business.
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = {"version": _VERSION, "url": url, "copy": uuid.uuid4().hex}
        write_atomic(root / BINDING, json.dumps(facts, indent=1) + "\n")
    elif bound.url != url:
        raise StoreError(
            f"it is the local copy of another store, {bound.url}",
            where=str(root),
            todo="choose another folder with TAKEBOARD_STORE_COPY",
        )
    return root


def address_of(root: Path) -> str:
    """The address that stands for `root` on every machine: its URL, else the path."""
    bound = binding_of(root)
    return bound.url if bound else str(root)


def binding_of(root: Path) -> Binding | None:
    """What `root` is a copy of; None for a plain folder. StoreError when that cannot be told."""
    path = root / BINDING
    try:
        facts = json.loads(path.read_bytes())
        if facts["version"] != _VERSION:
            raise ValueError(f"version {facts['version']}, expected {_VERSION}")
        return Binding(str(facts["url"]), str(facts["copy"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Working on as a plain folder would quietly stop sharing.
        raise StoreError(
            f"cannot be read: {str(error) or type(error).__name__}",
            where=str(path),
            todo="remove the file; the next run with the store's URL writes it again",
        ) from error


def shared_objects(root: Path) -> ObjectStore | None:
    """What `root` is a copy of, ready to be asked; None for a plain folder."""
    bound = binding_of(root)
    return _opened(bound.url, os.getpid()) if bound else None


def shared_kind(root: Path, kind: str) -> SharedKind | None:
    """The entries of `kind` that all machines share; None where there are none."""
    if kind not in SHARED_KINDS or (bound := binding_of(root)) is None:
        return None
    return _opened_kind(bound, kind, os.getpid())


def require_exclusive(root: Path, objects: ObjectStore, patience: Patience) -> None:
    """StoreError unless the object store refuses to write a name that is taken.

    Some that speak S3 ignore the condition and overwrite; there, two machines could both believe
    that theirs is the entry. Tried once for each local copy.
    """
    passed = root / _PROBED
    if passed.exists():
        return
    name = f"probe/{uuid.uuid4().hex}"
    objects.create(name, b"first", patience)
    refused = not objects.create(name, b"second", patience)
    objects.delete(name, patience)
    if not refused:
        raise StoreError(
            "it writes over a name that is taken (If-None-Match is ignored), so takes of two "
            "machines could get mixed",
            where=objects.url,
            todo="use an object store with conditional writes, or a folder on NFS",
        )
    write_atomic(passed, "")


_PROBED = "shared.tried"


@lru_cache(maxsize=64)
def _opened(url: str, _pid: int) -> ObjectStore:
    """One for a process: connections do not survive a fork."""
    return open_objects(url)


@lru_cache(maxsize=1024)
def _opened_kind(bound: Binding, kind: str, pid: int) -> SharedKind:
    return SharedKind(_opened(bound.url, pid), kind, bound.copy)


def _checked_url(url: str) -> str:
    """The URL in the one way in which it is written."""
    match = _URL.fullmatch(url)
    protocol, place = (match[1].lower(), match[2].strip("/")) if match else ("", "")
    if protocol in _FOLDERS:
        raise UsageError("expected the path of a folder, without file://", where="store")
    if not _PLACE.fullmatch(place) or ".." in place.split("/"):
        # Not repeated here: people put keys into URLs, and errors into bug reports.
        raise UsageError(
            f"expected a URL such as s3://bucket/prefix, got another after {protocol}://",
            where="store",
            todo="name bucket and prefix only; keys and endpoint belong in the environment",
        )
    _require_library(protocol)
    return f"{protocol}://{place}"


def _require_library(protocol: str) -> None:
    from fsspec.registry import get_filesystem_class, known_implementations

    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        wants = known_implementations.get(protocol, {}).get("err", "install its fsspec library")
        s3 = protocol in ("s3", "s3a")
        raise UsageError(
            f"{protocol}:// needs a library that is not installed",
            where="store",
            todo='pip install "takeboard[s3]"' if s3 else wants,
        ) from error
    except ValueError as error:
        raise UsageError(
            f"no library knows {protocol}://",
            where="store",
            todo="use a folder, s3://bucket/prefix, or another that fsspec knows",
        ) from error


def _copies(environ: Mapping[str, str]) -> Path:
    if given := environ.get("TAKEBOARD_STORE_COPY", "").strip():
        return Path(given).expanduser().resolve()
    cache = environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    return Path(cache).expanduser().resolve() / "takeboard" / "stores"
