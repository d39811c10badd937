"""Which pieces of a cut can be encoded as its takes land, while others are still being made.

The edit points of a film are known before its takes. A piece waits for every take that is seen
in it, so a dissolve waits for two.
"""

from __future__ import annotations

from dataclasses import replace

from editor.spans import Span, cut_spans
from editor.timeline import ClipMedia, Timeline

__all__ = ["Landing"]


class Landing:
    """The pieces of one cut, each given out once: when the last of its takes has landed.

    Cutting a film into pieces is done once, and a take that lands touches only its own.
    """

    def __init__(self, timeline: Timeline) -> None:
        """`timeline` has stand-ins where there are no takes yet."""
        self.timeline = timeline
        self._spans = cut_spans(timeline)
        self._media: dict[str, ClipMedia] = {}
        self._touching: dict[str, list[int]] = {}
        for index, span in enumerate(self._spans):
            for shot in _shots(span):
                self._touching.setdefault(shot, []).append(index)

    def land(self, shot: str, media: ClipMedia) -> tuple[Span, ...]:
        """The pieces that `shot`'s take completes, with the media of all that is seen in them.

        Nothing for a shot that is not in the cut, and for one that has landed before.
        """
        if shot in self._media:
            return ()
        self._media[shot] = media
        touched = [self._spans[index] for index in self._touching.get(shot, ())]
        return tuple(self._filled(span) for span in touched if _shots(span) <= self._media.keys())

    def _filled(self, span: Span) -> Span:
        layers = tuple(
            replace(layer, clip=replace(layer.clip, media=self._media[layer.clip.shot]))
            for layer in span.layers
        )
        return replace(span, layers=layers)


def _shots(span: Span) -> set[str]:
    return {layer.clip.shot for layer in span.layers}
