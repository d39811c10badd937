"""Which of Wan's pipelines makes a request, and what to add where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from generator.backends.base import Reference, RenderRequest
from generator.backends.wan_parts.models import PARTS, PIPELINES, Pipeline, Wan
from media.errors import RefusalError

__all__ = ["Choice", "is_picture"]


def is_picture(reference: Reference) -> bool:
    """Whether it shows a person, a thing or a place: what VACE is given."""
    return reference.kind == "image" and reference.role in ("character", "sheet", "plate")


@dataclass(frozen=True, slots=True)
class Choice:
    """A request, and what there is to make it with."""

    request: RenderRequest
    wan: Wan
    parts: frozenset[str]

    def has(self, pipeline: Pipeline) -> bool:
        """Whether its weights are named in the models file."""
        part = self.wan.weights.get(pipeline)
        return part == "main" or part in self.parts

    def require(self, pipeline: Pipeline, why: str) -> Pipeline:
        """`pipeline`, or RefusalError with what to add to the models file."""
        if self.has(pipeline):
            return pipeline
        part = self.wan.weights.get(pipeline) or self.wan.weights.get("vace")
        if part is None:
            raise RefusalError(
                f"Wan {self.wan.variant} cannot make {why}",
                todo='set variant = "2.2" under [models.wan] in models.toml, with its weights',
            )
        raise RefusalError(
            f"Wan makes {why} with the part {part}, which models.toml does not name",
            todo=f"add [models.wan.parts.{part}] with source = a folder of {PARTS[part].hint}",
        )

    def pipeline(self) -> Pipeline:
        """What the request needs, or the storyboard's own choice."""
        request = self.request
        if any(ref.role == "motion" for ref in request.references):
            return self._animate()
        asked = dict(request.options).get("pipeline", "")
        if asked:
            if asked not in PIPELINES or asked == "animate":
                words = ", ".join(name for name in PIPELINES if name != "animate")
                raise RefusalError(f"expected the option pipeline to be {words}, got {asked!r}")
            return self._checked(self.require(asked, f"a shot with pipeline: {asked}"))
        return self._needed()

    def _needed(self) -> Pipeline:
        least = self._least()
        if least == "vace":
            return self.require("vace", "pictures that stand inside a shot")
        tail = self.request.continue_from
        wishes = any(is_picture(ref) for ref in self.request.references)
        wishes |= tail is not None and tail.mode == "extend" and tail.tail_frames > 1
        if (wishes or not self.has(least)) and self.has("vace"):
            return "vace"
        why = {"first_last": "a first and a last picture", "image": "a first picture"}
        if tail is not None:
            why["image"] = "a shot that goes on from another"
        return self._for_length(self.require(least, why.get(least, "a shot")))

    def _least(self) -> Pipeline:
        """The smallest pipeline for what the shot must show, whatever there is."""
        held = {key.frame for key in self.request.key_pictures}
        last, tail = self.request.num_frames - 1, self.request.continue_from
        opened = 0 in held or tail is not None
        if held - {0, last} or (tail and 0 in held) or (last in held and not opened):
            return "vace"
        if not opened:
            return "text"
        return "first_last" if last > 0 and last in held else "image"

    def _for_length(self, pipeline: Pipeline) -> Pipeline:
        """A take of several calls is made by one model throughout, where there is one for it."""
        rate = self.wan.fps / self.request.fps
        if self.request.num_frames * rate <= self.wan.frame_rule.maximum:
            return pipeline
        if self.has("vace"):
            return "vace"
        return "image" if pipeline == "text" and self.has("image") else pipeline

    def _checked(self, pipeline: Pipeline) -> Pipeline:
        """The storyboard's own choice, if it can show what the shot must show."""
        order: tuple[Pipeline, ...] = ("text", "image", "first_last", "vace")
        if order.index(self._least()) > order.index(pipeline):
            raise RefusalError(
                f"pipeline: {pipeline} cannot make this shot, which needs {self._least()}",
                todo="take the option pipeline out of the storyboard",
            )
        return pipeline

    def _animate(self) -> Pipeline:
        options = dict(self.request.options)
        if options.get("motion_clip") != "pose":
            raise RefusalError(
                "Wan takes movement over from a pose video, and nothing here draws poses from "
                "footage",
                todo="run wan/modules/animate/preprocess/preprocess_data.py of Wan 2.2 on the "
                "clip, name its src_pose.mp4 as motion_from, and set options: "
                "{motion_clip: pose}",
            )
        if options.get("motion_from.what") == "camera":
            raise RefusalError("Wan takes over how people move, not how a camera does")
        chosen = self.require("animate", "movement taken over from footage")
        pictured = any(is_picture(ref) for ref in self.request.references)
        if not pictured and not any(key.frame == 0 for key in self.request.key_pictures):
            raise RefusalError(
                "expected a picture of who moves, got none",
                todo="give the character refs, or the shot a first picture",
            )
        return chosen
