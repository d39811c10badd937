"""What must hold for every `Timeline`, whoever made it."""

from __future__ import annotations

from editor.timeline import Caption, Clip, Overlay, Timeline
from storyboards.fields import TransitionKind

__all__ = ["OVERLAPPING", "overlap_of", "timeline_problems"]

OVERLAPPING = (
    TransitionKind.DISSOLVE,
    TransitionKind.WIPE,
    TransitionKind.J_CUT,
    TransitionKind.L_CUT,
)
"""The transitions in which a clip starts before the one before it has ended."""


def overlap_of(clip: Clip) -> int:
    """Frames that the clip shares with the one before it."""
    head = clip.head
    return head.num_frames if head is not None and head.kind in OVERLAPPING else 0


def timeline_problems(timeline: Timeline) -> list[str]:
    """Everything that is wrong with the timeline, in words; empty when it can be rendered."""
    if not timeline.clips:
        return ["expected at least one clip, got none"]
    problems: list[str] = []
    if timeline.size[0] % 2 or timeline.size[1] % 2 or min(timeline.size) < 2:
        problems.append(f"expected an even size, got {timeline.size[0]}x{timeline.size[1]}")
    if overlap_of(timeline.clips[0]):
        problems.append(f"{timeline.clips[0].shot}: the first clip has nothing to overlap")
    end = 0
    for index, clip in enumerate(timeline.clips):
        expected = end - (overlap_of(clip) if index else 0)
        if clip.start_frame != expected:
            problems.append(
                f"{clip.shot}: expected to start at frame {expected}, got {clip.start_frame}"
            )
        following = timeline.clips[index + 1] if index + 1 < len(timeline.clips) else None
        problems += _clip_problems(clip, overlap_of(following) if following else 0, timeline)
        end = clip.end_frame
    if end != timeline.num_frames:
        problems.append(f"expected the film to end at frame {timeline.num_frames}, got {end}")
    return problems + _placed_problems(timeline)


def _clip_problems(clip: Clip, next_overlap: int, timeline: Timeline) -> list[str]:
    problems: list[str] = []
    if clip.num_frames < 1:
        problems.append(f"{clip.shot}: expected at least one frame, got {clip.num_frames}")
    if overlap_of(clip) + next_overlap > clip.num_frames:
        problems.append(
            f"{clip.shot}: expected its overlaps to fit in {clip.num_frames} frames, "
            f"got {overlap_of(clip)} + {next_overlap}"
        )
    fades = [edge for edge in (clip.head, clip.tail_fade) if edge]
    for edge in fades:
        if edge.num_frames > clip.num_frames or edge.num_frames < 0:
            problems.append(
                f"{clip.shot}: expected a {edge.kind.value} of at most {clip.num_frames} frames, "
                f"got {edge.num_frames}"
            )
    available = clip.media.num_frames - clip.media.start_frame
    if clip.media.start_frame < 0 or available < clip.num_frames:
        problems.append(f"{clip.shot}: expected {clip.num_frames} frames, got {available}")
    if clip.media.fps != timeline.fps:
        problems.append(
            f"{clip.shot}: expected {float(timeline.fps):g} fps, got {float(clip.media.fps):g}"
        )
    return problems


def _placed_problems(timeline: Timeline) -> list[str]:
    problems: list[str] = []
    words: list[Overlay | Caption] = [*timeline.overlays, *timeline.captions]
    for placed in words:
        end = placed.start_frame + placed.num_frames
        if placed.start_frame < 0 or placed.num_frames < 1 or end > timeline.num_frames:
            problems.append(
                f"words {placed.text[:30]!r}: expected frames inside 0 to {timeline.num_frames}, "
                f"got {placed.start_frame} to {end}"
            )
    return problems
