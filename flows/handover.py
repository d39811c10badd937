"""What was delivered before: which ingredients each deliverable was made of, and its files.

`deliveries.json` in the deliveries folder. When it is lost or damaged, films are cut anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from flows.delivery_folder import RECORD
from flows.made import Delivered
from media.files import write_atomic

__all__ = ["DeliveryRecord", "deliveries_before", "remember_deliveries"]

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One deliverable, the digest of its ingredients, and its files as they were written."""

    fingerprint: str
    delivered: Delivered
    files: Mapping[str, tuple[int, int]]
    """Size in bytes and modification time in nanoseconds, by path."""

    @staticmethod
    def of(fingerprint: str, delivered: Delivered) -> DeliveryRecord:
        """The record of what has just been written."""
        paths = [
            delivered.film,
            *delivered.captions,
            *delivered.timelines,
            *delivered.contact_sheets,
            *delivered.stems,
        ]
        return DeliveryRecord(fingerprint, delivered, {str(path): _state(path) for path in paths})

    def is_current(self, fingerprint: str) -> bool:
        """Whether these ingredients were used and every file is still as it was written."""
        try:
            return self.fingerprint == fingerprint and all(
                _state(Path(path)) == state for path, state in self.files.items()
            )
        except OSError:
            return False


def deliveries_before(folder: Path) -> Mapping[str, DeliveryRecord]:
    """Records of earlier runs by deliverable name; none when there is nothing to believe."""
    try:
        table = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if table["version"] != RECORD_VERSION:
            return {}
        return {name: _record(entry, folder) for name, entry in table["deliveries"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remember_deliveries(folder: Path, records: Mapping[str, DeliveryRecord]) -> None:
    """Write the records down; a folder that cannot be written raises StoreError."""
    table = {
        "version": RECORD_VERSION,
        "deliveries": {name: _entry(record, folder) for name, record in records.items()},
    }
    text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
    try:
        unchanged = (folder / RECORD).read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        unchanged = False
    if not unchanged:
        write_atomic(folder / RECORD, text)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _entry(record: DeliveryRecord, folder: Path) -> dict[str, Any]:
    one = record.delivered
    return {
        "fingerprint": record.fingerprint,
        "files": {_name(Path(path), folder): state for path, state in record.files.items()},
        "name": one.name,
        "lang": one.lang,
        "film": _name(one.film, folder),
        "captions": [_name(path, folder) for path in one.captions],
        "timelines": [_name(path, folder) for path in one.timelines],
        "contact_sheets": [_name(path, folder) for path in one.contact_sheets],
        "stems": [_name(path, folder) for path in one.stems],
        "size": one.size,
        "fps": str(one.fps),
        "num_frames": one.num_frames,
        "loudness_lufs": one.loudness_lufs,
        "true_peak_db": one.true_peak_db,
        "segments": one.segments_encoded + one.segments_reused,
        "remarks": one.remarks,
    }


def _record(entry: Mapping[str, Any], folder: Path) -> DeliveryRecord:
    def paths(field: str) -> tuple[Path, ...]:
        return tuple(folder / name for name in entry[field])

    width, height = entry["size"]
    delivered = Delivered(
        name=entry["name"],
        lang=entry["lang"],
        film=folder / entry["film"],
        captions=paths("captions"),
        timelines=paths("timelines"),
        contact_sheets=paths("contact_sheets"),
        stems=paths("stems"),
        size=(int(width), int(height)),
        fps=Fraction(entry["fps"]),
        num_frames=int(entry["num_frames"]),
        loudness_lufs=entry["loudness_lufs"],
        true_peak_db=entry["true_peak_db"],
        segments_encoded=0,
        segments_reused=int(entry["segments"]),
        remarks=tuple(entry["remarks"]),
    )
    files = {str(folder / name): (int(a), int(b)) for name, (a, b) in entry["files"].items()}
    return DeliveryRecord(entry["fingerprint"], delivered, files)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
