"""The words that MiniMax-H3 is given: the prompt, and before it what the pictures are.

H3 labels what it is given `<Picture n>`, `<Video n>`, `<Audio n>`, counted by kind in the order
given; its prompt guide (skills/h3-prompt-writing in github.com/MiniMax-AI/MiniMax-H3, read
November 2026) says how a prompt speaks of them. The template writes the shot; what is put in front
depends on which references the plan kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from generator.backends.base import Reference, RenderRequest

__all__ = ["Workflow", "h3_prompt", "workflow_of"]

Workflow = Literal["t2va", "fl2va", "ref2va"]

_LABELS = {"image": "Picture", "video": "Video", "audio": "Audio"}
_SHOT = "integrated_multimodal_description:"


def workflow_of(request: RenderRequest) -> Workflow:
    """Which of H3's tasks a request is."""
    if request.key_pictures or request.continue_from is not None:
        return "fl2va"
    return "ref2va" if request.references else "t2va"


def h3_prompt(request: RenderRequest) -> str:
    """The whole prompt of a snapped request."""
    workflow = workflow_of(request)
    if workflow == "fl2va":
        return f"{_alignment(request)}\n\n{request.prompt}"
    if workflow == "t2va":
        return request.prompt
    labels = _labelled(request.references)
    shot = request.prompt.replace(_SHOT, "detailed_description:", 1)
    return "\n".join(
        [
            "subject_definitions: " + " ".join(_definitions(request, labels)),
            f"summary: [{' + '.join(_tasks(request.references))}] "
            "The target video is one new shot with these people, places and voices.",
            "retention_analysis: " + " ".join(_retention(request.references, labels)),
            shot,
        ]
    )


def _alignment(request: RenderRequest) -> str:
    """Where the first and the last picture stand, in the guide's own sentences."""
    opened = request.continue_from is not None or request.key_pictures[0].frame == 0
    last = any(key.frame == request.num_frames - 1 for key in request.key_pictures)
    end_s = float((request.num_frames - 1) / request.fps)
    if opened and not last:
        return (
            "For the target video, at 0.00 seconds into the target video, <Picture 1> (from "
            "[Shot 1]) is fully referenced."
        )
    opening = "How the reference pictures align with the target video —"
    if not opened:
        return (
            f"{opening} <Picture 1> (from [Shot 1]) aligns with the {end_s:.2f}-second mark of the "
            "target video."
        )
    return (
        f"{opening} Picture 1 (from Shot 1) aligns with the 0.00-second mark; Picture 2 (from "
        f"Shot 1) aligns with the {end_s:.2f}-second mark."
    )


def _labelled(references: Sequence[Reference]) -> list[str]:
    counts = dict.fromkeys(_LABELS, 0)
    labels = []
    for reference in references:
        counts[reference.kind] += 1
        labels.append(f"<{_LABELS[reference.kind]} {counts[reference.kind]}>")
    return labels


def _people(references: Sequence[Reference]) -> list[str]:
    """Those who are seen, in the order of their first picture: `<Subject 1>` and so on."""
    seen = (ref.subject for ref in references if ref.role in ("character", "sheet"))
    return list(dict.fromkeys(name for name in seen if name))


def _definitions(request: RenderRequest, labels: Sequence[str]) -> list[str]:
    references = request.references
    people = _people(references)
    looks = {one.subject: one.description for one in request.description.placements}
    told = []
    for number, name in enumerate(people, start=1):
        shown = [
            label
            for reference, label in zip(references, labels, strict=True)
            if reference.subject == name and reference.kind == "image"
        ]
        look = f", {looks[name]}," if looks.get(name) else ""
        told.append(f"<Subject {number}> is {name}{look} in {', '.join(shown)}.")
    what = dict(request.options).get("motion_from.what", "performance")
    for reference, label in zip(references, labels, strict=True):
        name = reference.subject
        who = f"<Subject {people.index(name) + 1}>" if name in people else name
        said = {
            "plate": "is the place of the shot",
            "style": "is the style of the shot, its light and its colours",
            "voice": f"is the voice timbre reference for {who}'s voice",
            "motion": "is the camera movement to follow"
            if what == "camera"
            else f"is the movement that {who or 'the person'} makes",
        }.get(reference.role)
        if said is not None:
            told.append(f"{label} {said}.")
    return told


def _tasks(references: Sequence[Reference]) -> list[str]:
    tasks = ["reference generation"]
    if any(reference.kind == "audio" for reference in references):
        tasks.append("audio reference")
    return tasks


def _retention(references: Sequence[Reference], labels: Sequence[str]) -> list[str]:
    told = [
        f"<Subject {number}> (appears in [Shot 1]): fully_preserved - {name} keeps face, hair and "
        "clothes."
        for number, name in enumerate(_people(references), start=1)
    ]
    kept = {
        "plate": "partially_preserved - the place is the same, seen from where the shot is.",
        "style": "attribute_transfer - only light and colours are taken over.",
        "motion": "attribute_transfer - only the movement is taken over.",
        "voice": "reference - only the timbre is taken over, the words are those of the shot.",
    }
    for reference, label in zip(references, labels, strict=True):
        if reference.role in kept:
            told.append(f"{label}: {kept[reference.role]}")
    return told
