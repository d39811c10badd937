"""Which of a shot's references a model is given, decided when the film is planned.

Nothing is dropped without a word: what a model cannot take is named as a loss, and what nobody
could use is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from generator.backends.base import Capabilities, Loss, Reference, RefRole, RenderRequest
from generator.references import MIN_SIDE, MIN_VOICE_S
from media.errors import MediaError, RefusalError
from media.image import image_size

__all__ = ["choose_references", "require_usable"]

_FIELDS: Mapping[RefRole, str] = {
    "plate": "location.refs",
    "layer": "location.layers",
    "style": "look.refs",
    "motion": "motion_from",
}
_WORDS: Mapping[RefRole, str] = {
    "character": "pictures of the cast",
    "sheet": "sheets of views",
    "voice": "voices",
    "plate": "pictures of a place",
    "layer": "layers of a place",
    "style": "pictures of a style",
    "motion": "movement from footage",
}
_KINDS = {"image": "pictures", "video": "clips", "audio": "sounds"}


def choose_references(
    request: RenderRequest,
    capabilities: Capabilities,
    roles: Sequence[RefRole],
    *,
    model: str = "this model",
    at_most: int | None = None,
) -> tuple[tuple[Reference, ...], tuple[Loss, ...]]:
    """The references of `request` that the model takes, in their order, and what it cannot take.

    `roles` are those that it understands, the dearest first; `at_most` counts all kinds together,
    where a model has such a limit. When there are too many, the first view of everybody comes
    before a second of anybody, and among those the dearer role; what stays out is named.
    """
    losses: dict[Loss, None] = {}
    fitting: list[tuple[tuple[int, int, int], Reference]] = []
    views: dict[tuple[RefRole, str], int] = {}
    for order, reference in enumerate(request.references):
        if reference.role not in roles or not capabilities.max_references.get(reference.kind, 0):
            reason = f"{model} takes no {_WORDS[reference.role]}"
            losses[Loss(_field(reference), reason)] = None
            continue
        subject = (reference.role, reference.subject)
        views[subject] = views.get(subject, -1) + 1
        fitting.append(((views[subject], roles.index(reference.role), order), reference))
    kept: dict[int, Reference] = {}
    left_out: list[Reference] = []
    for (_, _, order), reference in sorted(fitting, key=lambda one: one[0]):
        same = sum(other.kind == reference.kind for other in kept.values())
        full = at_most is not None and len(kept) >= at_most
        if full or same >= capabilities.max_references[reference.kind]:
            left_out.append(reference)
        else:
            kept[order] = reference
    for reference in left_out:
        losses[_too_many(reference, left_out, request, capabilities, model, at_most)] = None
    return tuple(kept[order] for order in sorted(kept)), tuple(losses)


def require_usable(references: Sequence[Reference], files: Mapping[str, Path]) -> None:
    """Raise RefusalError for a file too small or too short to hold anybody by. Reads headers only.

    `files` are the film's, by SHA-256; whether they are damaged was asked when it was loaded.
    """
    for reference in references:
        path = files.get(reference.sha256)
        # One that is gone since the film was loaded is missed when it is rendered.
        if path is None or not path.is_file():
            continue
        if wrong := _wrong_with(reference.kind, path, reference.sha256):
            raise RefusalError(
                f"{_field(reference)}, {path.name}: {wrong}", todo="replace the file"
            )


def _field(reference: Reference) -> str:
    """The storyboard's words for where a reference comes from."""
    if reference.role in _FIELDS:
        return _FIELDS[reference.role]
    field = "voice.ref" if reference.role == "voice" else "refs"
    return f"cast.{reference.subject}.{field}" if reference.subject else field


def _too_many(
    reference: Reference,
    left_out: Sequence[Reference],
    request: RenderRequest,
    capabilities: Capabilities,
    model: str,
    at_most: int | None,
) -> Loss:
    field = _field(reference)
    given = sum(_field(one) == field for one in request.references)
    lost = sum(_field(one) == field for one in left_out)
    most = capabilities.max_references[reference.kind]
    limit = f"{most} {_KINDS[reference.kind]}"
    if at_most is not None and at_most < most:
        limit = f"{at_most} references"
    return Loss(field, f"{lost} of {given} stay out: {model} takes at most {limit}")


@lru_cache(maxsize=16384)
def _wrong_with(kind: str, path: Path, _sha256: str) -> str:
    """What is wrong with a file, or nothing; a plan asks the same of many shots and backends."""
    try:
        if kind == "image":
            width, height = image_size(path)
            good = min(width, height) >= MIN_SIDE
            expected = f"expected at least {MIN_SIDE} pixels a side, found {width}x{height}"
            return "" if good else expected
        # A tenth of a second to import, which most films do not need.
        from media.probe import probe

        found = probe(path)
    except MediaError as error:
        return error.what
    if kind == "video" and not found.num_frames:
        return "there is no moving picture in it"
    if kind == "audio" and found.duration_s < MIN_VOICE_S:
        return f"expected at least {MIN_VOICE_S:g} s, found {float(found.duration_s):.2f} s"
    return ""
